// Events, or the audit log: filter, timeline, table.
import { DELETED, HISTORY, RUNNING, TRASHED, ATTACHED, type Filter, type IndexInfo, type Kind, type QueryResult, type Row } from '../records.js';
import { CallError } from '../rpc.js';
import { fileSink } from '../save/sinks.js';
import { t } from '../texts/index.js';
import { alien, freshId, h, put, type Child } from '../ui/dom.js';
import { dateTime, fileName, number } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import { shownText } from '../ui/shown.js';
import { Task } from '../ui/task.js';
import { showRecord } from './record.js';
import { VirtualTable } from './table.js';
import { TimelinePlot } from './timeline.js';
import type { LookedAt } from './user.js';

const MOST_OPTIONS = 2000;

export class EventsPanel {
  readonly element: HTMLElement;
  #filter: Filter = { newestFirst: true };
  #stream = '';
  #text = '';
  #table: VirtualTable<Row>;
  #plot: TimelinePlot;
  #status = h('p', { class: 'status', role: 'status', 'data-count': '' });
  #searching = h('div');
  #form: HTMLFormElement;
  #info: IndexInfo;
  #run = 0;
  #search: Task | undefined;

  constructor (private readonly looked: LookedAt, private readonly kind: Kind) {
    this.#info = looked.info.get(kind) as IndexInfo;
    this.#table = new VirtualTable<Row>({
      label: t(kind === 'events' ? 'tab.events' : 'tab.audit'),
      columns: [t('event.time'), t(kind === 'events' ? 'event.type' : 'audit.action'), t(kind === 'events' ? 'event.streams' : 'audit.access'), t('event.content')],
      fetch: (from, to) => looked.app.client.call('user.rows', { kind, from, to }),
      cells: (row) => this.#cells(row),
      open: (row) => void showRecord(looked, kind, row.row),
    });
    this.#plot = new TimelinePlot((from, to) => this.set({ ...this.#filter, from, to }));
    this.#form = h('form', { class: 'filters', onsubmit: (event: Event) => { event.preventDefault(); this.#changed(); } });
    this.element = h('div', { class: 'events' },
      h('section', { class: 'card', 'aria-label': t('filter.title') }, this.#form, this.#plot.element),
      h('section', { class: 'card table-card' }, h('div', { class: 'row spread' }, this.#status, this.#exports()), this.#searching, this.#table.element));
    this.#drawForm();
    void this.#ask();
  }

  /** Sets another filter. */
  set (filter: Filter): void {
    this.#stream = filter.streams?.[0] ?? this.#stream;
    this.#filter = { newestFirst: this.#filter.newestFirst, ...filter };
    if (filter.streams === undefined) delete this.#filter.streams;
    this.#drawForm();
    void this.#ask();
  }

  #cells (row: Row): Child[] {
    const flag = (bit: number, key: 'flag.trashed' | 'flag.deleted' | 'flag.history' | 'flag.running') => (row.flags & bit) !== 0 && h('span', { class: 'flag' }, t(key));
    return [
      Number.isNaN(row.time) ? t('unknown') : dateTime(row.time * 1000, true),
      alien(row.type || '—'),
      this.kind === 'events' ? alien(row.streams.map((id) => this.looked.streamName(id)).join(', ')) : alien(row.streams.map((id) => id.replace(/^access-/, '')).join(', ')),
      [flag(TRASHED, 'flag.trashed'), flag(DELETED, 'flag.deleted'), flag(HISTORY, 'flag.history'), flag(RUNNING, 'flag.running'),
        (row.flags & ATTACHED) !== 0 && h('span', { class: 'flag', title: t('event.attachments') }, icon('file')), alien(row.text)],
    ];
  }

  #drawForm (): void {
    const filter = this.#filter;
    const [stream, type, from, to, text] = [freshId(), freshId(), freshId(), freshId(), freshId()];
    const box = (name: 'trashed' | 'deleted' | 'history' | 'attached') => {
      const id = freshId();
      return h('span', { class: 'check' }, h('input', { id, type: 'checkbox', name, checked: filter[name] === true, onchange: () => this.#changed() }), h('label', { for: id }, t(`filter.${name}`)));
    };
    put(this.#form,
      h('p', { class: 'field wide' }, h('label', { for: text }, t('filter.text')),
        h('input', { id: text, type: 'search', name: 'text', value: this.#text, autocomplete: 'off' }), h('button', { type: 'submit' }, t('filter.search'))),
      h('p', { class: 'field' }, h('label', { for: stream }, t(this.kind === 'events' ? 'filter.stream' : 'filter.access')),
        h('select', { id: stream, name: 'stream', onchange: () => this.#changed() }, h('option', { value: '' }, t('filter.all')), this.#streamOptions())),
      h('p', { class: 'field' }, h('label', { for: type }, t(this.kind === 'events' ? 'event.type' : 'audit.action')),
        h('select', { id: type, name: 'type', onchange: () => this.#changed() }, h('option', { value: '' }, t('filter.all')),
          this.#info.types.slice(0, MOST_OPTIONS).map(([name, count], i) => h('option', { value: i + 1, selected: filter.types?.[0] === name }, `${shownText(name) || '—'} (${number(count)})`)))),
      h('p', { class: 'field' }, h('label', { for: from }, t('filter.from')), h('input', { id: from, type: 'date', name: 'from', value: dayOf(filter.from), onchange: () => this.#changed() })),
      h('p', { class: 'field' }, h('label', { for: to }, t('filter.to')), h('input', { id: to, type: 'date', name: 'to', value: dayOf(filter.to), onchange: () => this.#changed() })),
      h('div', { class: 'checks' },
        this.kind === 'events' && [box('attached'), box('trashed'), box('deleted'), box('history')],
        h('button', { type: 'button', class: 'quiet', 'aria-pressed': String(filter.newestFirst === true), onclick: () => {
          this.#filter.newestFirst = this.#filter.newestFirst !== true;
          this.#drawForm();
          void this.#ask();
        } }, t(filter.newestFirst === true ? 'filter.newest' : 'filter.oldest')),
        h('button', { type: 'button', class: 'quiet', onclick: () => {
          this.#stream = this.#text = '';
          this.#filter = { newestFirst: true };
          this.#drawForm();
          void this.#ask();
        } }, t('filter.reset'))));
  }

  #streamOptions (): HTMLElement[] {
    const counts = new Map(this.#info.streams);
    if (this.kind === 'audit') {
      return this.#info.streams.slice(0, MOST_OPTIONS).map(([id, count]) => h('option', { value: id, selected: this.#stream === id }, `${shownText(id.replace(/^access-/, ''))} (${number(count)})`));
    }
    const options: HTMLElement[] = [];
    const add = (parent: string | null, depth: number) => {
      for (const stream of this.looked.children.get(parent) ?? []) {
        if (options.length >= MOST_OPTIONS || depth > 50) return;
        options.push(h('option', { value: stream.id, selected: this.#stream === stream.id }, `${'\u2003'.repeat(Math.min(depth, 8))}${shownText(stream.name || stream.id)} (${number(counts.get(stream.id) ?? 0)})`));
        add(stream.id, depth + 1);
      }
    };
    add(null, 0);
    for (const [id, count] of counts) {
      if (!this.looked.streams.has(id) && options.length < MOST_OPTIONS) options.push(h('option', { value: id, selected: this.#stream === id }, `${shownText(id)} (${number(count)})`));
    }
    return options;
  }

  #changed (): void {
    const value = (name: string) => (this.#form.elements.namedItem(name) as HTMLInputElement | null)?.value ?? '';
    const ticked = (name: string) => (this.#form.elements.namedItem(name) as HTMLInputElement | null)?.checked === true;
    const type = this.#info.types[Number(value('type')) - 1]?.[0];
    this.#stream = value('stream');
    this.#text = value('text').trim();
    const [from, to] = [value('from'), value('to')];
    // A date that the plot set to the second stays as long as its day is the same.
    const keep = (old: number | undefined, day: string, end: boolean) => (day === '' ? undefined : old !== undefined && dayOf(old) === day ? old : secondsOf(day, end));
    this.#filter = {
      newestFirst: this.#filter.newestFirst,
      streams: this.#stream === '' ? undefined : this.kind === 'events' ? this.looked.withChildren(this.#stream) : [this.#stream],
      types: type === undefined ? undefined : [type],
      from: keep(this.#filter.from, from, false), to: keep(this.#filter.to, to, true),
      trashed: ticked('trashed'), deleted: ticked('deleted'), history: ticked('history'), attached: ticked('attached'),
    };
    void this.#ask();
  }

  async #ask (): Promise<void> {
    const run = ++this.#run;
    if (this.#search !== undefined) put(this.#searching);
    this.#search?.cancel(); // its hits are no longer wanted
    this.#search = undefined;
    const { client } = this.looked.app;
    const { kind } = this;
    const filter = this.#filter;
    const started = performance.now();
    try {
      let result: QueryResult;
      if (this.#text === '') {
        result = await client.call<QueryResult>('user.query', { kind, filter });
      } else {
        const task = this.#search = new Task(t('filter.searching'));
        put(this.#searching, task.element);
        this.#table.reset(0);
        result = await client.call<QueryResult>('user.search', { kind, filter, text: this.#text }, task.options((value) => {
          if (run !== this.#run) return;
          put(this.#status, t('filter.found', { n: value.hits }));
          this.#table.grow(value.hits);
        })).finally(() => { if (run === this.#run) put(this.#searching); });
      }
      if (run !== this.#run) return;
      put(this.#status, t('filter.found', { n: result.count }));
      this.#status.dataset.count = String(result.count);
      this.#status.dataset.ms = String(Math.round(performance.now() - started));
      this.#status.dataset.workerMs = String(Math.round(result.ms));
      if (this.#text === '') this.#table.reset(result.count);
      else this.#table.grow(result.count);
      this.#plot.show(await client.call('user.timeline', { kind, filter, steps: this.#plot.steps }));
    } catch (error) {
      if ((error as CallError).kind !== 'interrupted') put(this.#status, alien((error as Error).message));
    }
  }

  #exports (): HTMLElement {
    const save = (as: 'csv' | 'json') => async () => {
      const { app, user } = this.looked;
      const sink = await fileSink(fileName(`${user.username}-${this.kind}.${as}`), as === 'csv' ? 'text/csv' : 'application/json');
      if (sink === undefined) return;
      const task = new Task(t('save.running'));
      put(this.#searching, task.element);
      try {
        const done = await app.client.call<{ records: number, size: number, sha256: string }>('user.export', { kind: this.kind, as }, task.options((value) => sink.write(value.bytes)));
        await sink.close();
        app.opened?.saved.push({ what: `${this.kind} as ${as}`, user: user.username, where: sink.name, at: Date.now(), files: [{ path: sink.name, size: done.size, sha256: done.sha256 }] });
        put(this.#searching, h('p', { class: 'small', role: 'status', 'data-exported': done.records }, t('export.done', { n: done.records }), ' ', alien(sink.name)));
      } catch (error) {
        await sink.abort();
        put(this.#searching, h('p', { class: 'small', role: 'alert' }, alien((error as Error).message)));
      }
    };
    return h('div', { class: 'row' }, h('button', { type: 'button', class: 'quiet', 'data-export': 'csv', onclick: save('csv') }, t('export.csv')),
      h('button', { type: 'button', class: 'quiet', 'data-export': 'json', onclick: save('json') }, t('export.json')));
  }
}

/** The day of a time in seconds, as a date field writes it. */
function dayOf (seconds: number | undefined): string {
  if (seconds === undefined || Math.abs(seconds) > 8e12) return '';
  const date = new Date(seconds * 1000);
  return `${String(date.getFullYear()).padStart(4, '0')}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`;
}

function secondsOf (day: string, end: boolean): number {
  const date = new Date(`${day}T00:00:00`);
  if (end) date.setDate(date.getDate() + 1);
  return date.getTime() / 1000 - (end ? 0.001 : 0);
}
