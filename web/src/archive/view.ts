// An open archive: whether it is whole, what it is, who is in it.
import type { App, View } from '../app.js';
import { filesTable } from '../files/view.js';
import { errorBox } from '../open/view.js';
import { reportView } from '../report/view.js';
import { saveView } from '../save/view.js';
import { CallError } from '../rpc.js';
import { t } from '../texts/index.js';
import type { ArchiveInfo } from '../types.js';
import { alien, h, put } from '../ui/dom.js';
import { bytes, dateTime, number } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import { usersTable } from '../users/view.js';
import { factRows } from './facts.js';
import { runChooser } from './runs.js';
import { verdictCard } from './verdict.js';

export function archiveView (app: App): View {
  const opened = app.opened;
  if (opened === undefined) return { title: 'archive.title', element: h('div') };
  const { info } = opened;
  const verdict = h('div');
  const drawVerdict = () => put(verdict, verdictCard(app));
  drawVerdict();
  opened.changes.addEventListener('change', drawVerdict);
  const { chain } = info;
  const problem = h('div');
  const show = async (run: number) => {
    opened.verification.task.cancel();
    try {
      app.takeInstead(await app.client.call<ArchiveInfo>('at', { run }));
    } catch (error) {
      put(problem, errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
    }
  };
  const element = h('div', { class: 'archive' },
    h('div', { class: 'head' },
      h('div', null, h('h1', null, t('archive.title')),
        h('p', { class: 'lead' }, alien(info.domain), ' · ', info.made === null ? t('unknown') : dateTime(info.made), ' · ',
          t('users.count', { n: info.users.length }), ' · ', bytes(info.bytes))),
      h('div', { class: 'row' },
        h('button', { type: 'button', class: 'primary', onclick: () => app.go(() => saveView(app)) }, t('save.all')),
        h('button', { type: 'button', onclick: () => app.go(() => reportView(app)) }, t('report.title')))),
    chain !== null && chain.runs.length > 1 && h('section', { class: 'card' }, runChooser(t('runs.other'), chain.runs, chain.run, (run) => void show(run)), opened.otherId !== undefined && h('p', { class: 'notice partly', 'data-otherid': true }, icon('warning'), h('span', null, t('proof.otherid'))), problem),
    verdict,
    info.backupType === 'raw'
      ? h('section', { class: 'card', 'aria-labelledby': 'files-h' }, h('h2', { id: 'files-h' }, t('files.title'), ' ', h('span', { class: 'count' }, number(info.listed))), h('p', null, t('files.raw')), filesTable(app, info.listed, false))
      : h('section', { class: 'card', 'aria-labelledby': 'users-h' }, h('h2', { id: 'users-h' }, t('users.title'), ' ', h('span', { class: 'count' }, number(info.users.length))), usersTable(app)),
    info.backupType !== 'raw' && info.capsule > 0 && h('section', { class: 'card', 'aria-labelledby': 'capsule-h', 'data-capsule': true }, h('h2', { id: 'capsule-h' }, t('capsule.title'), ' ', h('span', { class: 'count' }, number(info.capsule))), h('p', null, t('capsule.lead')), filesTable(app, info.capsule, true)),
    h('section', { class: 'card', 'aria-labelledby': 'facts-h' }, h('h2', { id: 'facts-h' }, t('facts.title')),
      h('dl', { class: 'facts' }, factRows(app).map(([name, value]) => [h('dt', null, name), h('dd', null, value)]))));
  return { title: 'archive.title', element, shown: drawVerdict, close: () => opened.changes.removeEventListener('change', drawVerdict) };
}
