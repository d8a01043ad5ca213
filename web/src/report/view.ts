// The evidence report, for print and as JSON.
import type { App, View } from '../app.js';
import { factRows } from '../archive/facts.js';
import { findingList, verdictOf, allFindings } from '../archive/verdict.js';
import { offer } from '../save/sinks.js';
import { maybe, t } from '../texts/index.js';
import type { UserInfo } from '../types.js';
import { alien, h } from '../ui/dom.js';
import { bytes, dateTime, fileName, number, span } from '../ui/format.js';
import { shownText } from '../ui/shown.js';
import { evidence } from './evidence.js';

export function reportView (app: App, user?: UserInfo): View {
  const opened = app.opened;
  const report = evidence(app, user);
  if (opened === undefined || report === undefined) return { title: 'report.title', element: h('div') };
  const { info, verification } = opened;
  const asJson = () => {
    const text = JSON.stringify(evidence(app, user), null, 2);
    offer(new Blob([text], { type: 'application/json' }), fileName(`pryv-backup-${info.id.slice(0, 8)}${user === undefined ? '' : `-${user.username}`}-report.json`));
  };
  const rows = (pairs: Array<[string, unknown]>) => h('dl', { class: 'facts' }, pairs.map(([name, value]) => [h('dt', null, name), h('dd', null, value as Node)]));
  // What a missing inventory means is said above them.
  const findings = allFindings(app).filter(({ code }) => code !== 'no-inventory').filter(({ path }) => report.findings.some((one) => one.path === path));
  const element = h('article', { class: 'report' },
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, user === undefined ? t('report.title') : [t('report.title'), ': ', alien(user.username)]),
    h('p', { class: 'lead' }, t('report.lead', { at: dateTime(Date.now(), true), version: PAGE_VERSION })),
    h('div', { class: 'row no-print' },
      h('button', { type: 'button', class: 'primary', onclick: () => print() }, t('report.print')),
      h('button', { type: 'button', 'data-report': 'json', onclick: asJson }, t('report.json'))),
    h('section', { class: 'card' }, h('h2', null, t('facts.title')), rows(factRows(app))),
    h('section', { class: 'card' }, h('h2', null, t('verify.title')),
      h('p', null, h('strong', { class: `tag ${verdictOf(app)}` }, t(`verdict.${verdictOf(app)}`))),
      rows([
        [t('report.checked.at'), dateTime(verification.startedAt, true)],
        [t('report.checked.took'), span(verification.seconds)],
        [t('report.checked.files'), number(report.verification.filesChecked)],
        [t('report.checked.records'), number(report.verification.recordsChecked)],
        [t('report.cipher'), t(info.engine === 'host' ? 'engine.host' : 'engine.wasm')],
      ]),
      h('h3', null, t('report.proven')), h('ul', null, [info.encrypted && t('proof.blocks'), t('proof.structure'), info.inventoried && t('proof.complete'), opened.expectId !== undefined && t('proof.id')].filter(Boolean).map((text) => h('li', null, text as string))),
      h('h3', null, t('report.notproven')), h('ul', null, [t('proof.origin'), t('proof.newest'), opened.expectId === undefined && t('proof.noid'), !info.encrypted && t('proof.cleartext'), !info.inventoried && t(info.encrypted ? 'proof.incomplete.sealed' : 'proof.incomplete.cleartext')].filter(Boolean).map((text) => h('li', null, text as string))),
      findings.length > 0 && [h('h3', null, t('report.findings')), findingList(findings)]),
    h('section', { class: 'card' }, h('h2', null, t('users.title')),
      h('table', { class: 'plain' }, h('thead', null, h('tr', null, h('th', { scope: 'col' }, t('users.name')), h('th', { scope: 'col' }, t('report.holds')))),
        h('tbody', null, report.users.slice(0, 1000).map(({ userId, username, holds }) => h('tr', null, h('th', { scope: 'row' }, alien(username), h('small', null, alien(userId))),
          h('td', null, Object.entries(holds ?? {}).map(([name, count]) => `${maybe(`stats.${name}`, shownText(name))} ${number(count)}`).join(' · ')))))),
      report.users.length > 1000 && h('p', null, t('more', { n: report.users.length - 1000 }))),
    h('section', { class: 'card' }, h('h2', null, t('report.exported')),
      report.exported.length === 0 ? h('p', null, t('report.exported.none')) : report.exported.map((one) => [
        h('h3', null, alien(one.to), ' · ', dateTime(Date.parse(one.at ?? ''))),
        h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': t('report.exported') }, h('table', { class: 'plain hashes' },
          h('thead', null, h('tr', null, h('th', { scope: 'col' }, t('file')), h('th', { scope: 'col', class: 'num' }, t('size')), h('th', { scope: 'col' }, 'SHA-256'))),
          h('tbody', null, one.files.slice(0, 2000).map(({ path, size, sha256 }) => h('tr', null, h('td', null, alien(path)), h('td', { class: 'num' }, bytes(size)), h('td', null, h('code', null, sha256))))))),
        one.files.length > 2000 && h('p', null, t('report.more', { n: one.files.length - 2000 })),
      ])));
  return { title: 'report.title', element };
}
