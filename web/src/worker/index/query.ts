// Questions to an index: which rows, how many when, which values between two times.
import type { Call } from '../../rpc.js';
import { ATTACHED, DELETED, HISTORY, TRASHED, type Filter, type Line, type Timeline } from '../../records.js';
import { parsed, splitSet, type RecordIndex } from './records.js';

/** For every row: whether the filter wants it. */
export function mask (index: RecordIndex, filter: Filter): Uint8Array {
  const { time, type, set, flags } = index;
  const wanted = new Uint8Array(flags.length);
  const types = filter.types === undefined ? undefined : chosen(index.types.names, new Set(filter.types));
  const streams = filter.streams === undefined ? undefined : chosenSets(index.sets.names, new Set(filter.streams));
  const from = filter.from ?? -Infinity;
  const to = filter.to ?? Infinity;
  const timed = filter.from !== undefined || filter.to !== undefined;
  const refused = (filter.trashed === true ? 0 : TRASHED) | (filter.deleted === true ? 0 : DELETED) | (filter.history === true ? 0 : HISTORY);
  const needed = filter.attached === true ? ATTACHED : 0;
  for (let row = 0; row < wanted.length; row++) {
    if ((flags[row] & refused) !== 0 || (flags[row] & needed) !== needed) continue;
    if (types !== undefined && types[type[row]] === 0) continue;
    if (streams !== undefined && streams[set[row]] === 0) continue;
    if (timed && !(time[row] >= from && time[row] <= to)) continue;
    wanted[row] = 1;
  }
  return wanted;
}

/** The wanted rows in the order of time. */
export function rowsOf (index: RecordIndex, wanted: Uint8Array, newestFirst: boolean): Uint32Array {
  const rows = new Uint32Array(wanted.length);
  let count = 0;
  for (let i = 0; i < index.order.length; i++) {
    const row = index.order[i];
    if (wanted[row] === 1) rows[count++] = row;
  }
  const found = rows.slice(0, count);
  return newestFirst ? found.reverse() : found;
}

function chosen (names: string[], wanted: Set<string>): Uint8Array {
  return Uint8Array.from(names, (name) => (wanted.has(name) ? 1 : 0));
}

function chosenSets (sets: string[], wanted: Set<string>): Uint8Array {
  return Uint8Array.from(sets, (set) => (splitSet(set).some((stream) => wanted.has(stream)) ? 1 : 0));
}

const TURN_MS = 100;

// A number as long as this may have been rounded when it was read: its text in the line counts.
const EXACT_DIGITS = 15;

/** Whether a value, or one within it, holds the text; names of members do not count. */
function holds (whole: unknown, text: string): boolean {
  const digits = text.length > EXACT_DIGITS && /^[-+.\de]+$/.test(text);
  const waiting = [whole];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === 'string') {
      if (value.toLowerCase().includes(text)) return true;
    } else if (value !== null && typeof value === 'object') {
      for (const inner of Object.values(value)) waiting.push(inner);
    } else if (String(value).includes(text) || (digits && typeof value === 'number')) return true;
  }
  return false;
}

/** Wanted rows with a value that holds the text, in any case; `found` is shown the hits as they come. */
export async function search (index: RecordIndex, wanted: Uint8Array, text: string, call: Call, found: (hits: Uint8Array) => void): Promise<Uint8Array> {
  const plain = text.toLowerCase();
  // Only a line that holds it somewhere is worth a closer look.
  const needle = JSON.stringify(plain).slice(1, -1);
  const hits = new Uint8Array(wanted.length);
  let count = 0;
  let [told, shown] = [-Infinity, 0];
  for (let block = 0; block < index.blocks.blocks; block++) {
    const lines = index.blocks.linesOf(block);
    const start = index.blocks.startOf(block);
    for (let i = 0; i < lines.length; i++) {
      if (wanted[start + i] === 1 && lines[i].toLowerCase().includes(needle) && holds(parsed(lines[i]), plain)) {
        hits[start + i] = 1;
        count++;
      }
    }
    if (performance.now() - told > TURN_MS) {
      if (count > shown) found(hits);
      shown = count;
      await call.emit({ hits: count });
      await call.emit({ progress: { done: block + 1, total: index.blocks.blocks, path: '' } });
      await new Promise((resolve) => setTimeout(resolve)); // other questions, and a cancel, get their turn
      call.signal.throwIfAborted();
      told = performance.now();
    }
  }
  return hits;
}

const TYPES_APART = 7;

/** Counts per step of time and type. */
export function timeline (index: RecordIndex, wanted: Uint8Array, steps: number, from?: number, to?: number): Timeline {
  const { time, type } = index;
  let [first, last] = [from ?? Infinity, to ?? -Infinity];
  const perType = new Uint32Array(index.types.names.length);
  for (let row = 0; row < wanted.length; row++) {
    if (wanted[row] === 0 || Number.isNaN(time[row])) continue;
    perType[type[row]]++;
    if (from === undefined && time[row] < first) first = time[row];
    if (to === undefined && time[row] > last) last = time[row];
  }
  if (!(first <= last)) return { from: 0, to: 0, types: [], counts: [] };
  const ranked = [...perType.keys()].filter((number) => perType[number] > 0).sort((a, b) => perType[b] - perType[a]);
  const apart = ranked.slice(0, TYPES_APART);
  const place = new Uint8Array(perType.length).fill(apart.length);
  apart.forEach((number, i) => { place[number] = i; });
  const groups = apart.length + (ranked.length > apart.length ? 1 : 0);
  const counts = Array.from({ length: groups }, () => new Array<number>(steps).fill(0));
  const scale = last > first ? steps / (last - first) : 0;
  for (let row = 0; row < wanted.length; row++) {
    const at = time[row];
    if (wanted[row] === 0 || !(at >= first && at <= last)) continue;
    counts[place[type[row]]][Math.min(steps - 1, Math.floor((at - first) * scale))]++;
  }
  return { from: first, to: last, types: apart.map((number) => index.types.names[number]), counts };
}

/** The values of one stream and type, by time. */
export function valuesOf (index: RecordIndex, stream: string, type: string): { times: Float64Array, values: Float64Array } {
  const wanted = mask(index, { types: [type] });
  const within = Uint8Array.from(index.sets.names, (set) => ((set === '' ? stream === '' : splitSet(set).includes(stream)) ? 1 : 0));
  for (let row = 0; row < wanted.length; row++) {
    if (within[index.set[row]] === 0 || Number.isNaN(index.value[row]) || Number.isNaN(index.time[row])) wanted[row] = 0;
  }
  const rows = rowsOf(index, wanted, false);
  return { times: Float64Array.from(rows, (row) => index.time[row]), values: Float64Array.from(rows, (row) => index.value[row]) };
}

/** The points to draw between two times in so many steps. */
export function reduce (times: Float64Array, values: Float64Array, steps: number, from?: number, to?: number): Line {
  const [first, last] = [from ?? times[0] ?? 0, to ?? times.at(-1) ?? 0];
  // One point beyond either end, so that the line goes on to the border.
  const start = Math.max(0, lowerBound(times, first) - 1);
  const end = Math.min(times.length, lowerBound(times, last) + 2);
  const total = times.length;
  if (end - start <= steps * 2) {
    const part = values.slice(start, end);
    return { times: times.slice(start, end), low: part, high: part, exact: true, from: first, to: last, total };
  }
  const line = { times: new Float64Array(steps), low: new Float64Array(steps).fill(Infinity), high: new Float64Array(steps).fill(-Infinity) };
  const width = (last - first) / steps;
  for (let i = start; i < end; i++) {
    const step = Math.min(steps - 1, Math.max(0, Math.floor((times[i] - first) / width)));
    if (values[i] < line.low[step]) line.low[step] = values[i];
    if (values[i] > line.high[step]) line.high[step] = values[i];
  }
  const filled = [...line.low.keys()].filter((step) => line.low[step] <= line.high[step]);
  return {
    times: Float64Array.from(filled, (step) => first + (step + 0.5) * width),
    low: Float64Array.from(filled, (step) => line.low[step]),
    high: Float64Array.from(filled, (step) => line.high[step]),
    exact: false, from: first, to: last, total,
  };
}

function lowerBound (times: Float64Array, time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
