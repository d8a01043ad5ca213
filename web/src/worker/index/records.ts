// An index over the records of one user: columns for what is filtered by, the lines themselves compressed.
import { messageOf, kindOf } from '../../../../npm/src/errors.js';
import type { Call } from '../../rpc.js';
import { DELETED, HISTORY, TRASHED, type IndexInfo, type Row } from '../../records.js';
import type { PlannedFile } from '../../types.js';
import type { Archive } from '../archive.js';
import { owned } from '../core.js';
import { Shown } from '../shown.js';
import { summaryOf, type Adapter } from './adapt.js';
import { Blocks } from './blocks.js';
import { Column, Names } from './column.js';

const SEPARATOR = '\u0000';
const NOT_LIVE = TRASHED | DELETED | HISTORY;
// The number in a manifest is only a hint for the first allocation.
const MOST_EXPECTED = 2_000_000;

export class RecordIndex {
  time: Float64Array = new Float64Array();
  value: Float64Array = new Float64Array();
  type: Uint32Array = new Uint32Array();
  set: Uint32Array = new Uint32Array();
  flags: Uint8Array = new Uint8Array();
  idHash: Uint32Array = new Uint32Array();
  /** Rows by time. */
  order: Uint32Array = new Uint32Array();
  readonly types = new Names();
  /** Gives a number to the joined streams of a record. */
  readonly sets = new Names();
  readonly problems: string[] = [];
  seconds = 0;
  #columns;
  readonly blocks: Blocks;

  constructor (private readonly adapt: Adapter, expected: number) {
    const rows = Math.min(Math.max(0, expected || 0), MOST_EXPECTED);
    this.#columns = {
      time: new Column(Float64Array, rows), value: new Column(Float64Array, rows), type: new Column(Uint32Array, rows),
      set: new Column(Uint32Array, rows), flags: new Column(Uint8Array, rows), idHash: new Column(Uint32Array, rows),
    };
    this.blocks = new Blocks((line) => this.#add(line));
  }

  /** Reads the files; one that is damaged is named, and the records before the damage are kept. */
  async build (archive: Archive, files: PlannedFile[], call: Call): Promise<void> {
    const started = performance.now();
    const shown = new Shown(files.reduce((sum, { size }) => sum + size, 0), call);
    for (const file of files) {
      const before = shown.done;
      try {
        const pieces = archive.stream(file, { gunzip: true });
        for await (const view of pieces) {
          const piece = owned(view);
          shown.guess(before, piece.length, file);
          this.blocks.push(piece);
        }
      } catch (error) {
        if (call.signal.aborted || kindOf(error) !== 'damaged') throw error;
        this.problems.push(messageOf(error));
      }
      this.blocks.endOfFile();
      shown.at(before + file.size, file.path);
    }
    const columns = this.#columns;
    this.time = columns.time.done();
    this.value = columns.value.done();
    this.type = columns.type.done();
    this.set = columns.set.done();
    this.flags = columns.flags.done();
    this.idHash = columns.idHash.done();
    this.order = byTime(this.time);
    this.seconds = (performance.now() - started) / 1000;
  }

  #add (line: string): void {
    let record;
    try {
      record = JSON.parse(line);
    } catch {
      record = {};
    }
    const { time, type, streams, value, flags, id } = this.adapt(record ?? {});
    const columns = this.#columns;
    columns.time.push(time);
    columns.value.push(value);
    columns.type.push(this.types.of(type));
    columns.set.push(this.sets.of(streams.length === 1 ? streams[0] : streams.join(SEPARATOR)));
    columns.flags.push(flags);
    columns.idHash.push(hashOf(id));
  }

  streamsOf (row: number): string[] {
    return splitSet(this.sets.names[this.set[row]]);
  }

  /** One line of a table. */
  row (row: number): Row {
    const record = parsed(this.blocks.line(row));
    return { row, time: this.time[row], type: this.types.names[this.type[row]], streams: this.streamsOf(row), flags: this.flags[row], text: summaryOf(record) };
  }

  /** The rows of one record: its newest version and the earlier ones. */
  versions (id: string): Array<{ row: number, line: string }> {
    const hash = hashOf(id);
    const found = [];
    for (let row = 0; row < this.idHash.length; row++) {
      if (this.idHash[row] !== hash) continue;
      const line = this.blocks.line(row);
      const record = parsed(line);
      if ((record.headId ?? record.id ?? record.eventid) === id) found.push({ row, line });
    }
    return found;
  }

  info (): IndexInfo {
    const typeCounts = new Uint32Array(this.types.names.length);
    const setCounts = new Uint32Array(this.sets.names.length);
    const numeric = new Map<number, number>();
    let live = 0;
    for (let row = 0; row < this.flags.length; row++) {
      if ((this.flags[row] & NOT_LIVE) !== 0) continue;
      live++;
      typeCounts[this.type[row]]++;
      setCounts[this.set[row]]++;
      if (!Number.isNaN(this.value[row])) {
        const key = this.set[row] * this.types.names.length + this.type[row];
        numeric.set(key, (numeric.get(key) ?? 0) + 1);
      }
    }
    const streams = new Map<string, number>();
    this.sets.names.forEach((set, i) => {
      for (const stream of new Set(splitSet(set))) streams.set(stream, (streams.get(stream) ?? 0) + setCounts[i]);
    });
    const lines = new Map<string, { stream: string, type: string, count: number }>();
    for (const [key, count] of numeric) {
      const type = this.types.names[key % this.types.names.length];
      const set = splitSet(this.sets.names[Math.floor(key / this.types.names.length)]);
      for (const stream of set.length === 0 ? [''] : new Set(set)) {
        const name = stream + SEPARATOR + type;
        lines.set(name, { stream, type, count: (lines.get(name)?.count ?? 0) + count });
      }
    }
    const [from, to] = [this.order.at(0), this.#lastTimed()];
    return {
      total: this.flags.length,
      live,
      types: this.types.names.map((name, i): [string, number] => [name, typeCounts[i]]).sort((a, b) => b[1] - a[1]),
      streams: [...streams],
      numeric: [...lines.values()].sort((a, b) => b.count - a.count),
      from: from === undefined || Number.isNaN(this.time[from]) ? null : this.time[from],
      to: to === undefined ? null : this.time[to],
      problems: this.problems,
      seconds: this.seconds,
    };
  }

  /** Counts the live records in each stream or below it, each once; `parents` says which stream is in which. */
  countsBelow (parents: Map<string, string>): Array<[string, number]> {
    const setCounts = this.#setCounts();
    const above = new Map<string, string[]>();
    const lineOf = (stream: string) => {
      let line = above.get(stream);
      if (line === undefined) {
        const seen = new Set<string>();
        for (let at: string | undefined = stream; at !== undefined && !seen.has(at); at = parents.get(at)) seen.add(at);
        above.set(stream, line = [...seen]);
      }
      return line;
    };
    const counts = new Map<string, number>();
    this.sets.names.forEach((set, i) => {
      const streams = splitSet(set);
      for (const stream of streams.length === 1 ? lineOf(streams[0]) : new Set(streams.flatMap(lineOf))) counts.set(stream, (counts.get(stream) ?? 0) + setCounts[i]);
    });
    return [...counts];
  }

  #setCounts (): Uint32Array {
    const counts = new Uint32Array(this.sets.names.length);
    for (let row = 0; row < this.flags.length; row++) if ((this.flags[row] & NOT_LIVE) === 0) counts[this.set[row]]++;
    return counts;
  }

  #lastTimed (): number | undefined {
    for (let i = this.order.length - 1; i >= 0; i--) if (!Number.isNaN(this.time[this.order[i]])) return this.order[i];
    return undefined;
  }
}

export function splitSet (set: string): string[] {
  return set === '' ? [] : set.split(SEPARATOR);
}

export function parsed (line: string): any {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}

/** Rows in the order of their times, those without one last. */
function byTime (time: Float64Array): Uint32Array {
  const order = Uint32Array.from(time, (_, row) => row);
  for (let row = 1; row < time.length; row++) {
    if (time[row - 1] <= time[row]) continue;
    const key = (row: number) => (Number.isNaN(time[row]) ? Infinity : time[row]);
    return order.sort((a, b) => { const [x, y] = [key(a), key(b)]; return x < y ? -1 : x > y ? 1 : a - b; });
  }
  return order;
}

/** FNV-1a of a text's code units. */
function hashOf (text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
