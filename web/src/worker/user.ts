// The state of the worker for the user whose data is shown.
import { DecryptError, kindOf, messageOf } from '../../../npm/src/errors.js';
import type { Call } from '../rpc.js';
import type { Filter, IndexInfo, Kind, Line, QueryResult, Row, SeriesInfo, Timeline, UserData } from '../records.js';
import type { ExportedFile, PlannedFile } from '../types.js';
import type { Archive } from './archive.js';
import { Sha256 } from './core.js';
import { fromAudit, fromEvent } from './index/adapt.js';
import { mask, reduce, rowsOf, search, timeline, valuesOf } from './index/query.js';
import { RecordIndex, parsed } from './index/records.js';
import { listSeries, readSeries } from './index/series.js';
import { csv, json } from './output/table.js';
import { readFile } from './one.js';

// A sealed file is its header, and frames of 64 KiB with a length and a tag each.
const HEADER = 67;
const FRAME = 65536;
const AROUND_FRAME = 20;

/** Bytes of content in a sealed file of this size, if it is whole. */
function contentSizeOf (stored: number): number {
  const frames = Math.max(0, stored - HEADER);
  return frames - AROUND_FRAME * Math.ceil(frames / (FRAME + AROUND_FRAME));
}

// More of a small collection than this is not shown at once.
const MOST_LINES = 100_000;
const OUT = 1 << 20;

interface Looking { index: RecordIndex, wanted: Uint8Array, rows: Uint32Array }

export class UserSession {
  #looking = new Map<Kind, Looking>();
  #series: SeriesInfo[] | undefined;
  #line: { key: string, times: Float64Array, values: Float64Array } | undefined;

  constructor (private readonly archive: Archive, private readonly userId: string) {}

  /** Everything that is small. */
  async data (call: Call): Promise<UserData> {
    await this.archive.dropOrphans();
    const problems: string[] = [];
    const lines = async (name: string) => {
      const found: string[] = [];
      for (const file of this.#files(name)) {
        let rest = '';
        const decoder = new TextDecoder();
        try {
          for await (const view of this.archive.stream(file, { gunzip: true })) {
            const parts = (rest + decoder.decode(view, { stream: true })).split('\n');
            rest = parts.pop() ?? '';
            if (found.length < MOST_LINES) found.push(...parts.filter((line) => line.trim() !== ''));
          }
        } catch (error) {
          if (kindOf(error) !== 'damaged') throw error;
          problems.push(messageOf(error));
        }
        if (rest.trim() !== '') found.push(rest);
        call.signal.throwIfAborted();
      }
      return found;
    };
    const folder = `users/${this.userId}/attachments/`;
    return {
      streams: await lines('streams'),
      accesses: await lines('accesses'),
      profile: await lines('profile'),
      account: await lines('account'),
      webhooks: await lines('webhooks'),
      problems,
      hasSeries: this.#files('series/series').length > 0,
      hasAudit: this.#files('audit/').length > 0,
      attachments: this.archive.planOf(this.userId).files.filter(({ path }) => path.startsWith(folder))
        .map(({ path, size, expected, encrypted }): [string, number] => [path.slice(folder.length), expected?.contentSize ?? (encrypted ? contentSizeOf(size) : size)]),
    };
  }

  async index (kind: Kind, expected: number, call: Call): Promise<IndexInfo> {
    let looking = this.#looking.get(kind);
    if (looking === undefined) {
      const index = new RecordIndex(kind === 'events' ? fromEvent : fromAudit, expected);
      await index.build(this.archive, this.#files(`${kind}/`), call);
      looking = { index, wanted: new Uint8Array(), rows: new Uint32Array() };
      this.#looking.set(kind, looking);
    }
    return looking.index.info();
  }

  /** Live events in each stream or below it. */
  countsBelow (parents: Map<string, string>): Array<[string, number]> {
    return this.#of('events').index.countsBelow(parents);
  }

  query (kind: Kind, filter: Filter): QueryResult {
    const started = performance.now();
    const looking = this.#of(kind);
    looking.wanted = mask(looking.index, filter);
    looking.rows = rowsOf(looking.index, looking.wanted, filter.newestFirst === true);
    return { count: looking.rows.length, ms: performance.now() - started };
  }

  /** Narrows what the filter wants to lines with the text. */
  async search (kind: Kind, filter: Filter, text: string, call: Call): Promise<QueryResult> {
    const started = performance.now();
    const looking = this.#of(kind);
    const take = (hits: Uint8Array) => {
      looking.wanted = hits;
      looking.rows = rowsOf(looking.index, hits, filter.newestFirst === true);
    };
    take(await search(looking.index, mask(looking.index, filter), text, call, take));
    return { count: looking.rows.length, ms: performance.now() - started };
  }

  rows (kind: Kind, from: number, to: number): Row[] {
    const { index, rows } = this.#of(kind);
    return [...rows.subarray(from, to)].map((row) => index.row(row));
  }

  record (kind: Kind, row: number): { line: string, versions: Array<{ row: number, line: string }> } {
    const { index } = this.#of(kind);
    const line = index.blocks.line(row);
    const record = parsed(line);
    const id = record.headId ?? record.id ?? record.eventid;
    return { line, versions: kind === 'events' && typeof id === 'string' ? index.versions(id).filter((version) => version.row !== row) : [] };
  }

  /** The result of the last query, over time. */
  timeline (kind: Kind, filter: Filter, steps: number): Timeline {
    const { index, wanted } = this.#of(kind);
    return timeline(index, wanted, steps, filter.from, filter.to);
  }

  numeric (stream: string, type: string, steps: number, from?: number, to?: number): Line {
    const key = `n${stream}\u0000${type}`;
    if (this.#line?.key !== key) this.#line = { key, ...valuesOf(this.#of('events').index, stream, type) };
    return reduce(this.#line.times, this.#line.values, steps, from, to);
  }

  async series (call: Call): Promise<{ series: SeriesInfo[], problems: string[] }> {
    const found = await listSeries(this.archive, this.#files('series/'), call);
    const index = this.#looking.get('events')?.index;
    for (const one of found.series) {
      const event = index?.versions(one.eventId)?.map(({ line }) => parsed(line)).find(({ headId }) => headId === undefined || headId === null);
      one.eventTime = typeof event?.time === 'number' ? event.time : null;
      one.type = typeof event?.type === 'string' ? event.type : '';
    }
    this.#series = found.series;
    return found;
  }

  async seriesLine (number: number, field: string, steps: number, from: number | undefined, to: number | undefined, call: Call): Promise<Line> {
    const wanted = this.#series?.[number];
    if (wanted === undefined) throw new DecryptError('usage', 'there is no such series');
    const key = `s${number}\u0000${field}`;
    if (this.#line?.key !== key) this.#line = { key, ...await readSeries(this.archive, this.#files('series/'), wanted, field, call) };
    return reduce(this.#line.times, this.#line.values, steps, from, to);
  }

  /** Writes out the result of the last query, and hashes it on the way. */
  async export (kind: Kind, as: 'csv' | 'csv;' | 'json', call: Call): Promise<{ records: number, size: number, sha256: string }> {
    const { index } = this.#of(kind);
    const wanted = this.#of(kind).wanted.slice(); // what was found when it was asked for
    const format = as === 'json' ? json : csv(as === 'csv' ? ',' : ';');
    const encoder = new TextEncoder();
    const digest = new Sha256();
    let [records, size] = [0, 0];
    const send = async (text: string) => {
      const bytes = encoder.encode(text);
      size += bytes.length;
      digest.update(bytes);
      await call.emit({ bytes }, [bytes.buffer]);
    };
    let text = format.head;
    for (let block = 0; block < index.blocks.blocks; block++) {
      const lines = index.blocks.linesOf(block);
      const start = index.blocks.startOf(block);
      for (let i = 0; i < lines.length; i++) {
        if (wanted[start + i] === 1) text += format.line(lines[i], records++ === 0);
      }
      if (text.length > OUT) {
        await send(text);
        text = '';
        await call.emit({ progress: { done: block + 1, total: index.blocks.blocks, path: '' } });
      }
    }
    await send(text + format.foot);
    const sha256 = digest.finish();
    digest.free();
    return { records, size, sha256 };
  }

  /** One attachment, piece by piece. */
  attachment (fileId: string, call: Call): Promise<ExportedFile> {
    return readFile(this.archive, `users/${this.userId}/attachments/${fileId}`, call);
  }

  #of (kind: Kind): Looking {
    const looking = this.#looking.get(kind);
    if (looking === undefined) throw new DecryptError('usage', `the ${kind} were not read yet`);
    return looking;
  }

  #files (name: string): PlannedFile[] {
    const prefix = `users/${this.userId}/${name}`;
    return this.archive.planOf(this.userId).files.filter(({ path, jsonl }) => jsonl && path.startsWith(prefix) && (name.endsWith('/') || path.slice(prefix.length).startsWith('.jsonl')))
      .sort((a, b) => a.path.length - b.path.length || (a.path < b.path ? -1 : 1));
  }
}
