// Saving what was decrypted: everything, or one user.
import type { App, View } from '../app.js';
import { errorBox } from '../open/view.js';
import { reportView } from '../report/view.js';
import { CallError } from '../rpc.js';
import { t } from '../texts/index.js';
import type { Outcome, UserInfo } from '../types.js';
import { alien, freshId, h, put } from '../ui/dom.js';
import { bytes, fileName, number } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import { Task } from '../ui/task.js';
import { findingList } from '../archive/verdict.js';
import { FolderSink, canSaveFolder, canStream, fileSink } from './sinks.js';

export function saveView (app: App, user?: UserInfo): View {
  const opened = app.opened;
  const element = h('div', { class: 'save' });
  if (opened === undefined) return { title: 'save.title', element };
  const result = h('div', { class: 'save-result', role: 'status' });
  const withManifest = freshId();
  const base = fileName(`pryv-backup-${opened.info.id.slice(0, 8)}${user === undefined ? '' : `-${user.username}`}-decrypted`);

  const run = async (work: (task: Task) => Promise<{ where: string, outcome: Outcome } | undefined>) => {
    const task = new Task(t('save.running'));
    put(result, task.element);
    for (const button of buttons.querySelectorAll('button')) button.disabled = true;
    try {
      const done = await work(task);
      if (done === undefined) return put(result);
      opened.saved.push({ what: user === undefined ? 'archive' : 'user', user: user?.username, where: done.where, at: Date.now(), outcome: done.outcome, files: done.outcome.exported });
      put(result, summary(done.where, done.outcome));
    } catch (error) {
      put(result, (error as CallError).kind === 'interrupted'
        ? h('p', { class: 'notice partly' }, icon('warning'), h('span', null, t('save.cancelled')))
        : errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
    } finally {
      for (const button of buttons.querySelectorAll('button')) button.disabled = false;
    }
  };
  const options = () => ({
    user: user?.userId,
    manifest: user === undefined || element.querySelector<HTMLInputElement>('[name=manifest]')?.checked === true,
  });

  const asZip = () => run(async (task) => {
    const sink = await fileSink(`${base}.zip`, 'application/zip');
    if (sink === undefined) return undefined;
    try {
      const outcome = await app.client.call<Outcome>('saveZip', options(), task.options((value) => sink.write(value.bytes)));
      await sink.close();
      return { where: sink.name, outcome };
    } catch (error) {
      await sink.abort().catch(() => {});
      throw error;
    }
  });
  const asFolder = () => run(async (task) => {
    const sink = await FolderSink.choose(base);
    if (sink === undefined) return undefined;
    try {
      const outcome = await app.client.call<Outcome>('saveFolder', { ...options(), caseless: sink.caseless }, task.options((value) => sink.take(value)));
      return { where: sink.name, outcome };
    } catch (error) {
      await sink.abort();
      throw error;
    }
  });
  const summary = (where: string, outcome: Outcome) => h('div', { class: `notice ${outcome.damaged.length === 0 ? 'good' : 'bad'}`, 'data-saved': outcome.damaged.length === 0 ? 'whole' : 'partly' },
    icon(outcome.damaged.length === 0 ? 'check' : 'stop'),
    h('div', { class: 'grow' },
      h('p', null, h('strong', null, t(outcome.damaged.length === 0 ? 'save.done' : 'save.done.partly', { n: outcome.damaged.length }))),
      h('p', null, alien(where), ' · ', t('files', { n: outcome.exported.length }), ' · ', bytes(outcome.bytes), outcome.records > 0 ? ` · ${number(outcome.records)} ${t('records')}` : ''),
      outcome.damaged.length > 0 && findingList(outcome.damaged),
      h('p', null, h('button', { type: 'button', onclick: () => app.go(() => reportView(app, user)) }, t('report.title')))));

  const buttons = h('div', { class: 'row' },
    canSaveFolder() && h('button', { type: 'button', class: 'primary', onclick: asFolder }, icon('folder'), t('save.folder')),
    h('button', { type: 'button', class: canSaveFolder() ? '' : 'primary', 'data-save': 'zip', onclick: asZip }, icon('save'), t('save.zip')));
  put(element,
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, user === undefined ? t('save.title') : [t('save.user'), ' ', alien(user.username)]),
    h('p', { class: 'lead' }, t('save.lead')),
    h('p', { class: 'notice partly' }, icon('warning'), h('span', null, t('save.warning'))),
    user !== undefined && h('p', { class: 'check' }, h('input', { id: withManifest, type: 'checkbox', name: 'manifest' }), h('label', { for: withManifest }, t('save.manifest'))),
    h('section', { class: 'card' }, buttons, !canStream() && opened.info.bytes > 1e9 && h('p', { class: 'hint' }, t('save.memory'))),
    result);
  return { title: 'save.title', element };
}
