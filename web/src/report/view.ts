// The evidence report, for print and as JSON.
import type { App, Opened, View } from '../app.js';
import { factRows } from '../archive/facts.js';
import { limitsOf, proofsOf } from '../archive/proofs.js';
import { signerLine } from '../archive/signer.js';
import { findingList, listedFindings, proofItem, verdictOf, type Verdict } from '../archive/verdict.js';
import { offer } from '../save/sinks.js';
import { maybe, t, type Key } from '../texts/index.js';
import type { UserInfo } from '../types.js';
import { alien, h, put, type Child } from '../ui/dom.js';
import { bytes, dateTime, fileName, number, span } from '../ui/format.js';
import { shownText } from '../ui/shown.js';
import { evidence } from './evidence.js';

export function reportView (app: App, user?: UserInfo): View {
  const { opened } = app;
  const element = h('article', { class: 'report' });
  if (opened === undefined) return { title: 'report.title', element };
  const draw = () => put(element, contentOf(app, opened, user));
  draw();
  opened.changes.addEventListener('change', draw);
  return { title: 'report.title', element, shown: draw, close: () => opened.changes.removeEventListener('change', draw) };
}

function contentOf (app: App, opened: Opened, user: UserInfo | undefined): Child[] {
  const report = evidence(app, user);
  if (report === undefined) return [];
  const { info, verification } = opened;
  const running = verification.state === 'running';
  const asJson = () => {
    const text = JSON.stringify(evidence(app, user), null, 2);
    offer(new Blob([text], { type: 'application/json' }), fileName(`pryv-backup-${info.id.slice(0, 8)}${user === undefined ? '' : `-${user.username}`}-report.json`));
  };
  const rows = (pairs: Array<[string, Child]>) => h('dl', { class: 'facts' }, pairs.map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
  const tag = (verdict: Verdict, words: Key) => h('strong', { class: `tag ${verdict}`, 'data-scope': words.startsWith('verdict.user') ? 'user' : 'archive' }, t(words));
  const findings = listedFindings(app, user);
  const own = verdictOf(app, user);
  const whole = verdictOf(app);
  return [
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, user === undefined ? t('report.title') : [t('report.title'), ': ', alien(user.username)]),
    h('p', { class: 'lead' }, t('report.lead', { at: dateTime(Date.now(), 'zone'), version: PAGE_VERSION })),
    h('div', { class: 'row no-print' },
      h('button', { type: 'button', class: 'primary', disabled: running, onclick: () => print() }, t('report.print')),
      h('button', { type: 'button', 'data-report': 'json', disabled: running, onclick: asJson }, t('report.json'))),
    h('section', { class: 'card' }, h('h2', null, t('facts.title')), rows(factRows(app))),
    h('section', { class: 'card' }, h('h2', null, t('verify.title')),
      h('p', null, user === undefined ? tag(whole, `verdict.${whole}`) : tag(own, `verdict.user.${own}`)),
      signerLine(info),
      running && verification.task.element,
      rows([
        ...(user === undefined ? [] : [[t('report.whole'), tag(whole, `verdict.${whole}`)] as [string, Child]]),
        [t('report.checked.at'), dateTime(verification.startedAt, 'zone')],
        ...(running ? [] : [
          [t('report.checked.took'), span(verification.seconds)],
          [t(user === undefined ? 'report.checked.files' : 'report.checked.files.user'), number(report.verification.filesChecked)],
          [t(user === undefined ? 'report.checked.records' : 'report.checked.records.user'), number(report.verification.recordsChecked)],
        ] as Array<[string, Child]>),
        [t('report.cipher'), t(info.engine === 'host' ? 'engine.host' : 'engine.wasm')],
      ]),
      h('h3', null, t('report.proven')), h('ul', { class: 'proofs' }, proofsOf(app, user).map(proofItem)),
      h('h3', null, t('report.notproven')), h('ul', null, limitsOf(app).map((key) => h('li', null, t(key)))),
      findings.length > 0 && [h('h3', null, t('report.findings')), findingList(findings)]),
    h('section', { class: 'card' }, h('h2', null, t('users.title')),
      h('table', { class: 'plain' }, h('thead', null, h('tr', null, h('th', { scope: 'col' }, t('users.name')), h('th', { scope: 'col' }, t('report.holds')))),
        h('tbody', null, report.users.slice(0, 1000).map(({ userId, username, holds }) => h('tr', null, h('th', { scope: 'row' }, alien(username), h('small', null, alien(userId))),
          h('td', null, Object.entries(holds ?? {}).map(([name, count]) => `${maybe(`stats.${name}`, shownText(name))} ${number(count)}`).join(' · ')))))),
      report.users.length > 1000 && h('p', null, t('more', { n: report.users.length - 1000 }))),
    h('section', { class: 'card' }, h('h2', null, t('report.exported')),
      report.exported.length === 0 ? h('p', null, t('report.exported.none')) : report.exported.map((one) => [
        h('h3', null, alien(one.to), ' · ', dateTime(Date.parse(one.at ?? ''), 'zone'), !one.complete && [' ', h('span', { class: 'tag stopped' }, t('report.exported.stopped'))]),
        h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': t('report.exported') }, h('table', { class: 'plain hashes' },
          h('thead', null, h('tr', null, h('th', { scope: 'col' }, t('file')), h('th', { scope: 'col', class: 'num' }, t('size')), h('th', { scope: 'col' }, 'SHA-256'))),
          h('tbody', null, one.files.slice(0, 2000).map(({ path, size, sha256 }) => h('tr', null, h('td', null, alien(path)), h('td', { class: 'num' }, bytes(size)), h('td', null, h('code', null, sha256))))))),
        one.files.length > 2000 && h('p', null, t('report.more', { n: one.files.length - 2000 })),
      ])),
  ];
}
