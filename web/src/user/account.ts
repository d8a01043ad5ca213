// Account fields, profile, webhooks and what stores keep.
import { t } from '../texts/index.js';
import { alien, h, type Child } from '../ui/dom.js';
import { dateTime, number } from '../ui/format.js';
import { masked } from './accesses.js';
import { raw } from './record.js';
import { parse, type LookedAt } from './user.js';

export interface Field { field: string, value: unknown, time: number | undefined, earlier: number }

/** The current value of each account field, and how many it had before. */
export function fieldsOf (looked: LookedAt): Field[] {
  const account = parse(looked.data.account[0] ?? '{}');
  const fields = new Map<string, Field>();
  for (const one of Array.isArray(account.accountFields) ? account.accountFields : []) {
    if (one === null || typeof one !== 'object') continue;
    const field = String(one.field ?? '');
    const known = fields.get(field);
    const time = typeof one?.time === 'number' ? one.time : undefined;
    if (known === undefined) fields.set(field, { field, value: one?.value, time, earlier: 0 });
    else {
      known.earlier++;
      if ((time ?? -Infinity) >= (known.time ?? -Infinity)) Object.assign(known, { value: one?.value, time });
    }
  }
  return [...fields.values()].sort((a, b) => a.field.localeCompare(b.field));
}

export function accountPanel (looked: LookedAt): HTMLElement {
  const account = parse(looked.data.account[0] ?? '{}');
  const passwords = Array.isArray(account.passwords) ? account.passwords.length : 0;
  const list = (lines: string[]): Child => (lines.length === 0 ? h('p', null, t('none')) : lines.map((line) => raw(masked(line))));
  return h('div', null,
    h('section', { class: 'card' }, h('h2', null, t('account.fields')), fieldsTable(looked), h('p', { class: 'hint' }, t('account.passwords', { n: passwords }))),
    h('section', { class: 'card' }, h('h2', null, t('account.profile')), list(looked.data.profile)),
    h('section', { class: 'card' }, h('h2', null, t('account.webhooks'), ' ', h('span', { class: 'count' }, number(looked.data.webhooks.length))), list(looked.data.webhooks)),
    h('section', { class: 'card' }, h('h2', null, t('account.stored')), list((Array.isArray(account.storeKeyValues) ? account.storeKeyValues : []).map((one: unknown) => JSON.stringify(one)))));
}

export function fieldsTable (looked: LookedAt): HTMLElement {
  const fields = fieldsOf(looked);
  if (fields.length === 0) return h('p', null, t('none'));
  return h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': t('account.fields') }, h('table', { class: 'plain' },
    h('thead', null, h('tr', null, [t('account.field'), t('account.value'), t('account.since')].map((name) => h('th', { scope: 'col' }, name)), h('th', { scope: 'col', class: 'num' }, t('account.earlier')))),
    h('tbody', null, fields.map(({ field, value, time, earlier }) => h('tr', null, h('th', { scope: 'row' }, alien(field || '—')),
      h('td', null, alien(typeof value === 'string' ? value : JSON.stringify(value ?? null))), h('td', null, time === undefined ? '' : dateTime(time * 1000)), h('td', { class: 'num' }, number(earlier)))))));
}
