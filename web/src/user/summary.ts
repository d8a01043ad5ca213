// A user on a page or two, for print.
import type { View } from '../app.js';
import { verdictOf } from '../archive/verdict.js';
import { maybe, t, type Key } from '../texts/index.js';
import { alien, h, named } from '../ui/dom.js';
import { date, dateTime, number } from '../ui/format.js';
import { shownText } from '../ui/shown.js';
import { permissionsOf, standingOf, times, type Standing } from './accesses.js';
import { fieldsTable } from './account.js';
import { parse, type LookedAt } from './user.js';

const MOST_STREAMS = 200;

export function summaryView (looked: LookedAt): View {
  const { user, app } = looked;
  const info = looked.info.get('events');
  const streams = (info?.streams ?? []).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const accesses = looked.data.accesses.map(parse).filter((access) => typeof access.headId !== 'string');
  const standing = (wanted: Standing) => accesses.filter((access) => standingOf(access) === wanted);
  const accessList = (title: Key, some: any[]) => h('section', { class: 'card' }, h('h2', null, t(title)), some.length === 0 ? h('p', null, t('none')) : some.map((access) => [
    h('h3', null, alien(access.name ?? access.id), ' (', named('access.type', access.type), ')'), h('p', { class: 'small' }, times(access)),
    h('ul', null, permissionsOf(looked, access).map((permission) => h('li', null, permission)))]));
  const counts = (rows: Array<[string, number]>, label: string, name: (id: string) => string) => h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': label }, h('table', { class: 'plain' }, h('tbody', null,
    rows.slice(0, MOST_STREAMS).map(([id, count]) => h('tr', null, h('th', { scope: 'row' }, alien(name(id) || '—')), h('td', { class: 'num' }, number(count)))))));
  const element = h('article', { class: 'report' },
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, t('summary.title'), ' ', alien(user.username)),
    h('p', { class: 'lead' }, t('summary.lead', { at: dateTime(Date.now(), 'zone'), made: app.opened?.info.made === null ? t('unknown') : date(app.opened?.info.made ?? 0) })),
    h('p', { class: 'hint' }, t('times.zone', { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })),
    h('div', { class: 'row no-print' }, h('button', { type: 'button', class: 'primary', onclick: () => print() }, t('report.print'))),
    h('section', { class: 'card' }, h('dl', { class: 'facts' },
      h('dt', null, t('summary.id')), h('dd', null, alien(user.userId, { class: 'mono' })),
      h('dt', null, t('facts.id')), h('dd', null, h('code', null, app.opened?.info.id ?? '')),
      h('dt', null, t('verify.title')), h('dd', { 'data-verdict': verdictOf(app, user) }, t(`verdict.user.${verdictOf(app, user)}`)),
      h('dt', null, t('summary.period')), h('dd', null, info?.from === null || info?.from === undefined ? t('none') : `${date(info.from * 1000)} – ${date((info.to ?? info.from) * 1000)}`),
      h('dt', null, t('facts.content')), h('dd', null, Object.entries(user.stats ?? {}).map(([name, count]) => `${maybe(`stats.${name}`, shownText(name))} ${number(count)}`).join(' · ')))),
    h('section', { class: 'card' }, h('h2', null, t('account.fields')), fieldsTable(looked)),
    h('section', { class: 'card' }, h('h2', null, t('summary.types')), h('p', { class: 'hint' }, t('counts.live')), counts((info?.types ?? []).filter(([, count]) => count > 0), t('summary.types'), (id) => id)),
    h('section', { class: 'card' }, h('h2', null, t('summary.streams')), h('p', { class: 'hint' }, t('counts.live')), counts(streams, t('summary.streams'), (id) => looked.streamName(id))),
    accessList('access.active', standing('active')),
    standing('expired').length > 0 && accessList('access.expired', standing('expired')));
  return { title: 'summary.open', element };
}
