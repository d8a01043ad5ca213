// The streams as a tree, with what each holds.
import { t } from '../texts/index.js';
import { alien, h, put } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { raw } from './record.js';
import type { LookedAt, Stream } from './user.js';

const OPEN_AT_FIRST = 200;

export function streamsPanel (looked: LookedAt): HTMLElement {
  const own = new Map(looked.info.get('events')?.streams ?? []);
  const all = new Map<string, number>();
  const detail = h('div', { class: 'stream-detail', role: 'status' }, h('p', { class: 'hint' }, t('streams.choose')));
  for (const id of looked.streams.keys()) all.set(id, looked.withChildren(id).reduce((sum, one) => sum + (own.get(one) ?? 0), 0));
  const open = looked.streams.size <= OPEN_AT_FIRST;

  const show = (stream: Stream) => put(detail,
    h('h3', null, alien(stream.name || stream.id)),
    h('dl', { class: 'facts' }, h('dt', null, t('streams.id')), h('dd', null, alien(stream.id, { class: 'mono' })),
      h('dt', null, t('streams.own')), h('dd', null, number(own.get(stream.id) ?? 0)), h('dt', null, t('streams.all')), h('dd', null, number(all.get(stream.id) ?? 0))),
    h('div', { class: 'row' }, h('button', { type: 'button', class: 'primary', onclick: () => looked.showEvents({ streams: looked.withChildren(stream.id) }) }, t('streams.events'))),
    raw(stream.raw));
  const label = (stream: Stream) => h('button', { type: 'button', class: 'link', 'data-stream': stream.id, onclick: () => show(stream) }, alien(stream.name || stream.id));
  const flags = (stream: Stream) => [stream.trashed && h('span', { class: 'flag' }, t('flag.trashed')), stream.deleted !== undefined && h('span', { class: 'flag' }, t('flag.deleted'))];
  const count = (stream: Stream) => h('span', { class: 'count' }, number(all.get(stream.id) ?? 0), (looked.children.get(stream.id)?.length ?? 0) > 0 && t('streams.below'));
  const list = (streams: Stream[], depth: number): HTMLElement => h('ul', { class: 'tree' }, streams.map((stream) => {
    const children = looked.children.get(stream.id) ?? [];
    if (children.length === 0) return h('li', null, h('span', { class: 'leaf' }, label(stream), ' ', count(stream), flags(stream)));
    const inner = h('div');
    const node = h('details', { open: open && depth < 20, ontoggle: () => {
      if ((node as HTMLDetailsElement).open && inner.childNodes.length === 0) put(inner, list(children, depth + 1));
    } }, h('summary', null, h('span', { class: 'away' }, alien(stream.name || stream.id))), inner);
    return h('li', { class: 'branch' }, node, h('span', { class: 'leaf' }, label(stream), ' ', count(stream), flags(stream)));
  }));
  const roots = looked.children.get(null) ?? [];
  return h('section', { class: 'card streams' },
    roots.length === 0 ? h('p', null, t('streams.none')) : h('div', { class: 'split' }, list(roots, 0), detail));
}
