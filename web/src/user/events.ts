// Events, or the audit log: filter, timeline, table.
import { DELETED, HISTORY, RUNNING, TRASHED, ATTACHED, type Filter, type IndexInfo, type Kind, type QueryResult, type Row } from '../records.js';
import { CallError } from '../rpc.js';
import { fileSink } from '../save/sinks.js';
import { language, t, type Key } from '../texts/index.js';
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

/** The filter that is set: it outlives a panel that is drawn anew. */
export interface Question { filter: Filter, stream: string, text: string }

export const everything = (): Question => ({ filter: { newestFirst: true }, stream: '', text: '' });

export class EventsPanel {
  readonly element: HTMLElement;
  #table: VirtualTable<Row>;
  #plot: TimelinePlot;
  #status = h('p', { class: 'status', 'data-count': '' });
  /** The end of a search is told, not each of its hits. */
  #spoken = h('p', { class: 'away', role: 'status' });
  #searching = h('div');
  #exports: HTMLElement;
  #form: HTMLFormElement;
  #info: IndexInfo;
  #run = 0;
  #search: Task | undefined;

  constructor (private readonly looked: LookedAt, private readonly kind: Kind, private readonly question: Question) {
    this.#info = looked.info.get(kind) as IndexInfo;
    this.#table = new VirtualTable<Row>({
      label: t(kind === 'events' ? 'tab.events' : 'tab.audit'),
      columns: [t('event.time'), t(kind === 'events' ? 'event.type' : 'audit.action'), t(kind === 'events' ? 'event.streams' : 'audit.access'), t('event.content')],
      fetch: (from, to) => looked.app.client.call('user.rows', { kind, from, to }),
      cells: (row) => this.#cells(row),
      open: (row) => void showRecord(looked, kind, row.row),
    });
    this.#plot = new TimelinePlot((from, to) => this.set({ ...question.filter, from, to }));
    this.#form = h('form', { class: 'filters', onsubmit: (event: Event) => { event.preventDefault(); this.#changed(); } });
    this.#exports = this.#exportButtons();
    this.element = h('div', { class: 'events' },
      h('section', { class: 'card', 'aria-label': t('filter.title') }, this.#form, this.#plot.element),
      h('section', { class: 'card table-card' }, h('div', { class: 'row spread' }, this.#status, this.#exports), this.#spoken, this.#searching, this.#table.element));
    this.#drawForm();
    void this.#ask();
  }

  /** Sets another filter. */
  set (filter: Filter): void {
    const { question } = this;
    question.stream = filter.streams?.[0] ?? question.stream;
    question.filter = { newestFirst: question.filter.newestFirst, ...filter };
    if (filter.streams === undefined) delete question.filter.streams;
    this.#drawForm();
    void this.#ask();
  }

  #cells (row: Row): Child[] {
    const flag = (bit: number, key: 'flag.trashed' | 'flag.deleted' | 'flag.history' | 'flag.running') => (row.flags & bit) !== 0 && h('span', { class: 'flag' }, t(key));
    return [
      Number.isNaN(row.time) ? t('unknown') : dateTime(row.time * 1000, true),
      alien(row.type || '—'),
      this.kind === 'events' ? alien(row.streams.map((id) => this.looked.streamName(id)).join(', ')) : alien(row.streams.map((id) => this.looked.accessName(id)).join(', ')),
      [flag(TRASHED, 'flag.trashed'), flag(DELETED, 'flag.deleted'), flag(HISTORY, 'flag.history'), flag(RUNNING, 'flag.running'),
        (row.flags & ATTACHED) !== 0 && h('span', { class: 'flag', title: t('event.attachments') }, icon('file')), alien(row.text)],
    ];
  }

  #drawForm (): void {
    const { filter } = this.question;
    const [stream, type, from, to, text] = [freshId(), freshId(), freshId(), freshId(), freshId()];
    const box = (name: 'trashed' | 'deleted' | 'history' | 'attached') => {
      const id = freshId();
      return h('span', { class: 'check' }, h('input', { id, type: 'checkbox', name, checked: filter[name] === true, onchange: () => this.#changed() }), h('label', { for: id }, t(`filter.${name}`)));
    };
    put(this.#form,
      h('p', { class: 'field wide' }, h('label', { for: text }, t('filter.text')),
        h('input', { id: text, type: 'search', name: 'text', value: this.question.text, autocomplete: 'off' }), h('button', { type: 'submit' }, t('filter.search'))),
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
          this.question.filter.newestFirst = this.question.filter.newestFirst !== true;
          this.#drawForm();
          void this.#ask();
        } }, t(filter.newestFirst === true ? 'filter.newest' : 'filter.oldest')),
        h('button', { type: 'button', class: 'quiet', onclick: () => {
          Object.assign(this.question, everything());
          this.#drawForm();
          void this.#ask();
        } }, t('filter.reset'))));
  }

  #streamOptions (): HTMLElement[] {
    if (this.kind === 'audit') {
      return this.#info.streams.slice(0, MOST_OPTIONS).map(([id, count]) => h('option', { value: id, selected: this.question.stream === id }, `${shownText(this.looked.accessName(id))} (${number(count)})`));
    }
    const options: HTMLElement[] = [];
    const add = (parent: string | null, depth: number) => {
      for (const stream of this.looked.children.get(parent) ?? []) {
        if (options.length >= MOST_OPTIONS || depth > 50) return;
        options.push(h('option', { value: stream.id, selected: this.question.stream === stream.id }, `${'\u2003'.repeat(Math.min(depth, 8))}${shownText(stream.name || stream.id)} (${number(this.looked.below.get(stream.id) ?? 0)})`));
        add(stream.id, depth + 1);
      }
    };
    add(null, 0);
    for (const [id, count] of this.#info.streams) {
      if (!this.looked.streams.has(id) && options.length < MOST_OPTIONS) options.push(h('option', { value: id, selected: this.question.stream === id }, `${shownText(id)} (${number(count)})`));
    }
    return options;
  }

  #changed (): void {
    const value = (name: string) => (this.#form.elements.namedItem(name) as HTMLInputElement | null)?.value ?? '';
    const ticked = (name: string) => (this.#form.elements.namedItem(name) as HTMLInputElement | null)?.checked === true;
    const type = this.#info.types[Number(value('type')) - 1]?.[0];
    this.question.stream = value('stream');
    this.question.text = value('text').trim();
    const [from, to] = [value('from'), value('to')];
    // A date that the plot set to the second stays as long as its day is the same.
    const keep = (old: number | undefined, day: string, end: boolean) => (day === '' ? undefined : old !== undefined && dayOf(old) === day ? old : secondsOf(day, end));
    this.question.filter = {
      newestFirst: this.question.filter.newestFirst,
      streams: this.question.stream === '' ? undefined : this.kind === 'events' ? this.looked.withChildren(this.question.stream) : [this.question.stream],
      types: type === undefined ? undefined : [type],
      from: keep(this.question.filter.from, from, false), to: keep(this.question.filter.to, to, true),
      trashed: ticked('trashed'), deleted: ticked('deleted'), history: ticked('history'), attached: ticked('attached'),
    };
    void this.#ask();
  }

  async #ask (): Promise<void> {
    const run = ++this.#run;
    if (this.#search !== undefined) put(this.#searching);
    this.#exportable(this.question.text === '');
    this.#search?.cancel(); // its hits are no longer wanted
    this.#search = undefined;
    const { client } = this.looked.app;
    const { kind } = this;
    const { filter } = this.question;
    const started = performance.now();
    try {
      let result: QueryResult;
      if (this.question.text === '') {
        result = await client.call<QueryResult>('user.query', { kind, filter });
      } else {
        const task = this.#search = new Task('filter.searching');
        put(this.#searching, task.element);
        this.#table.reset(0);
        result = await client.call<QueryResult>('user.search', { kind, filter, text: this.question.text }, task.options((value) => {
          if (run !== this.#run) return;
          put(this.#status, t('filter.found', { n: value.hits }));
          this.#table.grow(value.hits);
        })).finally(() => { if (run === this.#run) put(this.#searching); });
      }
      if (run !== this.#run) return;
      put(this.#status, t('filter.found', { n: result.count }));
      put(this.#spoken, t('filter.found', { n: result.count }));
      this.#exportable(true);
      this.#status.dataset.count = String(result.count);
      this.#status.dataset.ms = String(Math.round(performance.now() - started));
      this.#status.dataset.workerMs = String(Math.round(result.ms));
      if (this.question.text === '') this.#table.reset(result.count);
      else this.#table.grow(result.count);
      this.#plot.show(await client.call('user.timeline', { kind, filter, steps: this.#plot.steps }));
    } catch (error) {
      if ((error as CallError).kind !== 'interrupted') put(this.#status, alien((error as Error).message));
      else if (run === this.#run) this.#status.prepend(`${t('error.interrupted')}: `);
    }
  }

  /** Saving writes the records that were found, so it waits for them. */
  #exportable (yes: boolean): void {
    for (const button of this.#exports.querySelectorAll('button')) button.disabled = !yes;
  }

  #exportButtons (): HTMLElement {
    const save = (as: 'csv' | 'csv;' | 'json') => async () => {
      const { app, user } = this.looked;
      const ending = as === 'json' ? 'json' : 'csv';
      const sink = await fileSink(fileName(`${user.username}-${this.kind}.${ending}`), as === 'json' ? 'application/json' : 'text/csv');
      if (sink === undefined) return;
      const task = new Task('save.running');
      put(this.#searching, task.element);
      try {
        const done = await app.writing(async () => {
          const end = await app.client.call<{ records: number, size: number, sha256: string }>('user.export', { kind: this.kind, as }, task.options((value) => sink.write(value.bytes)));
          await sink.close();
          return end;
        });
        app.note(this.looked.opened, { complete: true, what: `${this.kind} as ${ending}`, user: user.username, where: sink.name, at: Date.now(), files: [{ path: sink.name, size: done.size, sha256: done.sha256 }] });
        put(this.#searching, h('p', { class: 'small', role: 'status', 'data-exported': done.records }, t('export.done', { n: done.records }), ' ', alien(sink.name)));
      } catch (error) {
        await sink.abort().catch(() => {});
        put(this.#searching, h('p', { class: 'small', role: 'alert' }, (error as CallError).kind === 'interrupted' ? `${t('error.interrupted')}. ${t('export.none')}` : alien((error as Error).message)));
      }
    };
    const button = (as: 'csv' | 'csv;' | 'json', key: Key) => h('button', { type: 'button', class: 'quiet', 'data-export': as, onclick: save(as) }, t(key));
    // Where the comma is in numbers, Excel wants another sign between cells.
    return h('div', { class: 'row' }, button('csv', 'export.csv'), language() !== 'en' && button('csv;', 'export.csv.excel'), button('json', 'export.json'));
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
