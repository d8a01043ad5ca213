// Saving what was decrypted: everything, or one user.
import type { App, View } from '../app.js';
import { t } from '../texts/index.js';
import type { ExportedFile, UserInfo } from '../types.js';
import { alien, freshId, h, put } from '../ui/dom.js';
import { fileName } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import type { Target } from './saving.js';
import { FolderSink, canSaveFolder, canStream, fileSink } from './sinks.js';

export function saveView (app: App, user?: UserInfo): View {
  const opened = app.opened;
  const element = h('div', { class: 'save' });
  if (opened === undefined) return { title: 'save.title', element };
  const withManifest = freshId();
  const base = fileName(`pryv-backup-${opened.info.id.slice(0, 8)}${user === undefined ? '' : `-${user.username}`}-decrypted`);
  const options = () => ({
    user: user?.userId,
    manifest: user === undefined || element.querySelector<HTMLInputElement>('[name=manifest]')?.checked === true,
  });
  const zip = async (): Promise<Target | undefined> => {
    const sink = await fileSink(`${base}.zip`, 'application/zip');
    if (sink === undefined) return undefined;
    const written: ExportedFile[] = [];
    return { kind: 'zip', name: sink.name, call: 'saveZip', argument: options(), take: (message) => sink.write(message.bytes), close: () => sink.close(), abort: () => sink.abort(), written };
  };
  const folder = async (): Promise<Target | undefined> => {
    const sink = await FolderSink.choose(base);
    if (sink === undefined) return undefined;
    return { kind: 'folder', name: sink.name, call: 'saveFolder', argument: { ...options(), caseless: sink.caseless }, take: (message) => sink.take(message), close: async () => {}, abort: () => sink.abort(), written: sink.written };
  };
  put(element,
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, user === undefined ? t('save.title') : [t('save.user'), ' ', alien(user.username)]),
    h('p', { class: 'lead' }, t('save.lead')),
    h('p', { class: 'notice partly' }, icon('warning'), h('span', null, t('save.warning'))),
    user !== undefined && h('p', { class: 'check' }, h('input', { id: withManifest, type: 'checkbox', name: 'manifest' }), h('label', { for: withManifest }, t('save.manifest'))),
    h('section', { class: 'card' },
      h('div', { class: 'row' },
        canSaveFolder() && h('button', { type: 'button', class: 'primary', 'data-save': 'folder', onclick: () => void app.saving.run(user, folder) }, icon('folder'), t('save.folder')),
        h('button', { type: 'button', class: canSaveFolder() ? '' : 'primary', 'data-save': 'zip', onclick: () => void app.saving.run(user, zip) }, icon('save'), t('save.zip'))),
      !canStream() && opened.info.bytes > 1e9 && h('p', { class: 'hint' }, t('save.memory'))),
    h('div', { class: 'save-place' }));
  return { title: user === undefined ? 'save.title' : 'save.short', element };
}
