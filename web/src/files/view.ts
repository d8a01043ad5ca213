// Files of the platform as they are: all of a raw dump, or those of a capsule. Where each is, how large, and saving it.
import type { App } from '../app.js';
import { guard, saveFile } from '../save/one.js';
import { t } from '../texts/index.js';
import { alien, h, put } from '../ui/dom.js';
import { bytes } from '../ui/format.js';

const PAGE = 200;

export function filesTable (app: App, all: number, capsule: boolean): HTMLElement {
  const { opened } = app;
  const rows = h('tbody');
  const rest = h('div');
  const place = h('div');
  let shown = 0;
  const row = ([path, size]: [string, number]) => h('tr', { 'data-file': path },
    h('th', { scope: 'row' }, alien(path)),
    h('td', { class: 'num', 'data-label': t('size') }, bytes(size)),
    h('td', { class: 'act' }, h('button', { type: 'button', class: 'quiet', onclick: () => void saveFile({ app, opened, call: 'file', argument: { path }, what: 'file' }, place, path.split('/').at(-1) ?? path) }, t('save.short'))));
  const more = () => guard(place, async () => {
    const next = await app.client.call<Array<[string, number]>>('files', { from: shown, count: PAGE, capsule });
    rows.append(...next.map(row));
    shown += next.length;
    put(rest, shown < all && next.length > 0 && h('button', { type: 'button', onclick: () => void more() }, t('more', { n: all - shown })));
  });
  void more();
  return h('div', null,
    h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': t('files.title') },
      h('table', { class: 'files' },
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, t('file')), h('th', { scope: 'col', class: 'num' }, t('size')), h('th', { scope: 'col' }, h('span', { class: 'away' }, t('actions'))))),
        rows)),
    rest, place);
}
