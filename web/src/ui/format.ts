// Numbers, sizes and times in the reader's language.
import { locale, t } from '../texts/index.js';

export const number = (value: number): string => new Intl.NumberFormat(locale()).format(value);

export function bytes (size: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return new Intl.NumberFormat(locale(), {
    style: 'unit', unit: units[unit], unitDisplay: unit === 0 ? 'long' : 'short', maximumFractionDigits: size < 10 && unit > 0 ? 1 : 0,
  }).format(size);
}

/** A number for an axis: short, however large. */
export function compact (value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-4)) return new Intl.NumberFormat(locale(), { notation: 'scientific', maximumSignificantDigits: 3 }).format(value);
  return new Intl.NumberFormat(locale(), size >= 1e5 ? { notation: 'compact', maximumSignificantDigits: 4 } : { maximumSignificantDigits: 6 }).format(value);
}

/** A number with all the digits that it is sure to have. */
export const exact = (value: number): string => new Intl.NumberFormat(locale(), { maximumSignificantDigits: 15 }).format(value);

/** A time in milliseconds, in the reader's zone; with `zone` that is said too, for what is read elsewhere. */
export function dateTime (ms: number, exact: boolean | 'zone' = false): string {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return String(ms);
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: exact === 'zone' ? 'long' : exact ? 'medium' : 'short' }).format(ms);
}

export function date (ms: number): string {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return String(ms);
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium' }).format(ms);
}

export function timeOfDay (ms: number, seconds: boolean): string {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return '';
  return new Intl.DateTimeFormat(locale(), { timeStyle: seconds ? 'medium' : 'short' }).format(ms);
}

/** Seconds as a rough span. */
export function span (seconds: number): string {
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 60) return t('span.seconds', { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 3600) return t('span.minutes', { n: Math.round(seconds / 60) });
  return t('span.hours', { n: (seconds / 3600).toFixed(1) });
}

/** A name that every file system takes, Windows included. */
export function fileName (name: string, fallback = 'file'): string {
  const clean = name.normalize('NFC')
    .replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '')
    .replace(/[<>:"/\\|?*]/g, '_')
    .replace(/^[. ]+|[. ]+$/g, '');
  const short = [...clean].slice(0, 120).join('').replace(/[. ]+$/, '');
  if (short === '') return fallback;
  return /^(con|prn|aux|nul|clock\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(\.|$)/i.test(short) ? `_${short}` : short;
}
