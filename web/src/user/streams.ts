// The streams as a tree, with what each holds.
import { t } from '../texts/index.js';
import { alien, freshId, h, put } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { raw } from './record.js';
import type { LookedAt, Stream } from './user.js';

const OPEN_AT_FIRST = 200;
const DEEPEST_OPEN = 20;

export function streamsPanel (looked: LookedAt): HTMLElement {
  const roots = looked.children.get(null) ?? [];
  return h('section', { class: 'card streams' }, roots.length === 0
    ? h('p', null, t('streams.none'))
    : [h('p', { class: 'hint' }, t('counts.live')), treeOf(looked, roots)]);
}

function treeOf (looked: LookedAt, roots: Stream[]): HTMLElement {
  const all = looked.below;
  const own = new Map(looked.info.get('events')?.streams ?? []);
  const detail = h('div', { class: 'stream-detail', role: 'status' }, h('p', { class: 'hint' }, t('streams.choose')));
  const open = looked.streams.size <= OPEN_AT_FIRST;
  const show = (stream: Stream) => put(detail,
    h('h3', null, alien(stream.name || stream.id)),
    h('dl', { class: 'facts' }, h('dt', null, t('streams.id')), h('dd', null, alien(stream.id, { class: 'mono' })),
      h('dt', null, t('streams.own')), h('dd', null, number(own.get(stream.id) ?? 0)), h('dt', null, t('streams.all')), h('dd', null, number(all.get(stream.id) ?? 0))),
    h('div', { class: 'row' }, h('button', { type: 'button', class: 'primary', onclick: () => looked.showEvents({ streams: looked.withChildren(stream.id) }) }, t('streams.events'))),
    raw(stream.raw));
  const leaf = (stream: Stream, toggle: HTMLElement | false) => h('div', { class: 'leaf' }, toggle, h('div', null,
    h('button', { type: 'button', class: 'link', 'data-stream': stream.id, onclick: () => show(stream) }, alien(stream.name || stream.id)),
    h('span', { class: 'count' }, number(all.get(stream.id) ?? 0), toggle !== false && t('streams.below')),
    stream.trashed && h('span', { class: 'flag' }, t('flag.trashed')), stream.deleted !== undefined && h('span', { class: 'flag' }, t('flag.deleted'))));
  const list = (streams: Stream[], depth: number): HTMLElement => h('ul', { class: 'tree' }, streams.map((stream) => {
    const children = looked.children.get(stream.id) ?? [];
    if (children.length === 0) return h('li', null, leaf(stream, false));
    const inner = h('div', { id: freshId() });
    const name = h('bdi', { class: 'away', id: freshId() }, stream.name || stream.id);
    const toggle = h('button', { type: 'button', class: 'toggle', 'aria-controls': inner.id, onclick: () => unfold(toggle.getAttribute('aria-expanded') !== 'true') }, name);
    const unfold = (wide: boolean) => {
      toggle.setAttribute('aria-expanded', String(wide));
      inner.hidden = !wide;
      if (wide && inner.childNodes.length === 0) put(inner, list(children, depth + 1));
    };
    unfold(open && depth < DEEPEST_OPEN);
    return h('li', null, leaf(stream, toggle), inner);
  }));
  return h('div', { class: 'split' }, list(roots, 0), detail);
}
