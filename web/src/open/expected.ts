// The expectations of a reader before a backup opens: its id, its signer, and that it is encrypted.
import { t } from '../texts/index.js';
import { freshId, h, put } from '../ui/dom.js';
import { icon } from '../ui/icons.js';

const FIELDS = ['expect', 'signer'] as const;
type Field = typeof FIELDS[number];

const RIGHT: Record<Field, RegExp> = { expect: /^[0-9a-f]{64}$/i, signer: /^RW[Q-T][0-9A-Za-z+/]{53}$/ };

/** The input so far. */
export class Expected {
  typed: Record<Field, string> = { expect: '', signer: '' };
  wrong: Field | undefined;
  /** That the backup is not encrypted was confirmed; that it must be was said. */
  cleartext = false;
  unconfirmed = false;

  /** Another backup was chosen. */
  another (): void {
    this.cleartext = this.unconfirmed = false;
  }

  /** Whether all of it can be meant; `cleartext`: the backup is not encrypted. What cannot is named in the form. */
  check (cleartext: boolean): boolean {
    this.wrong = FIELDS.find((name) => this.typed[name] !== '' && !RIGHT[name].test(this.typed[name]));
    this.unconfirmed = cleartext && !this.cleartext;
    return this.wrong === undefined && !this.unconfirmed;
  }

  /** The field that a reader has to go back to. */
  get focus (): string {
    return `[name=${this.wrong ?? 'cleartext'}]`;
  }

  get id (): string | undefined {
    return this.typed.expect || undefined;
  }

  get signer (): string | undefined {
    return this.typed.signer || undefined;
  }
}

/** The fields for the id and the signer; `asked`: to be seen at once. */
export function expectedFields (expected: Expected, asked: boolean): HTMLElement {
  return h('details', { open: asked || FIELDS.some((name) => expected.typed[name] !== '') }, h('summary', null, t('open.expect')), FIELDS.map((name) => {
    const [id, hint] = [freshId(), freshId()];
    const wrong = expected.wrong === name;
    return [
      h('p', { class: 'field' }, h('label', { for: id }, t(`open.${name}.label`)),
        h('input', { id, type: 'text', name, value: expected.typed[name], autocomplete: 'off', spellcheck: 'false', class: 'mono', 'aria-describedby': hint, 'aria-invalid': wrong ? 'true' : undefined,
          oninput: (event: Event) => { expected.typed[name] = valueOf(name, (event.target as HTMLInputElement).value); } })),
      wrong
        ? h('p', { id: hint, class: 'field-error', role: 'alert' }, t(`open.${name}.wrong`, { n: [...expected.typed[name]].length }))
        : h('p', { id: hint, class: 'hint' }, t(`open.${name}.hint`)),
    ];
  }));
}

/** The signer's key in what was typed, which may be a whole file with a key. */
function valueOf (name: Field, typed: string): string {
  const text = typed.trim();
  return name === 'signer' && text.startsWith('untrusted comment:') ? text.slice(-56) : text;
}

/** Explains that a backup is not encrypted, and asks for confirmation. */
export function cleartextNotice (expected: Expected): HTMLElement {
  const [id, why] = [freshId(), freshId()];
  const error = h('p', { class: 'field-error', role: 'alert' }, expected.unconfirmed && t('open.cleartext.first'));
  return h('div', { class: 'notice partly', 'data-cleartext': true }, icon('warning'), h('div', null,
    h('p', { id: why }, h('strong', null, t('open.cleartext')), ' ', t('open.cleartext.why')),
    h('p', { class: 'check' },
      h('input', { id, type: 'checkbox', name: 'cleartext', checked: expected.cleartext, 'aria-describedby': why, 'aria-invalid': expected.unconfirmed ? 'true' : undefined,
        onchange: (event: Event) => {
          expected.cleartext = (event.target as HTMLInputElement).checked;
          expected.unconfirmed = false;
          (event.target as HTMLInputElement).removeAttribute('aria-invalid');
          put(error);
        } }),
      h('label', { for: id }, t('open.cleartext.confirm'))),
    error));
}
