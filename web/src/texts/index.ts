// Every sentence of the page, in one file per language.
import { de } from './de.js';
import { en } from './en.js';
import { fr } from './fr.js';

export type Key = keyof typeof en;
export type Texts = Record<Key, string>;
export type Language = 'en' | 'fr' | 'de';

const ALL: Record<Language, Texts> = { en, fr, de };
export const LANGUAGES: Array<[Language, string]> = [['en', 'English'], ['fr', 'Français'], ['de', 'Deutsch']];

let current: Language = (navigator.languages ?? [navigator.language])
  .map((tag) => tag.slice(0, 2)).find((tag): tag is Language => tag in ALL) ?? 'en';

export const language = (): Language => current;

/** The language with the reader's region, for numbers and dates. */
export const locale = (): string => (navigator.languages ?? []).find((tag) => tag.startsWith(current)) ?? current;

export function setLanguage (to: Language): void {
  current = to;
}

/**
 * A sentence with its gaps filled. Where it has two forms, parted by ` | `, the number `n` chooses between one and many.
 */
export function t (key: Key, gaps: Record<string, string | number> = {}): string {
  const forms = ALL[current][key].split(' | ');
  const n = Number(gaps.n ?? 2);
  const form = forms.length > 1 && new Intl.PluralRules(current).select(n) !== 'one' ? forms[1] : forms[0];
  return form.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = gaps[name];
    return value === undefined ? whole : typeof value === 'number' ? new Intl.NumberFormat(locale()).format(value) : value;
  });
}

/** A sentence whose key is made up at run time; the key itself where there is none. */
export function maybe (key: string, fallback: string): string {
  return key in ALL[current] ? t(key as Key) : fallback;
}
