// High-frequency series: what there is of them, and the points of one.
import { messageOf, kindOf } from '../../../../npm/src/errors.js';
import type { Call } from '../../rpc.js';
import type { SeriesInfo } from '../../records.js';
import type { PlannedFile } from '../../types.js';
import type { Archive } from '../archive.js';
import { owned } from '../core.js';
import { Shown } from '../shown.js';
import { Column } from './column.js';

const LINE_END = 10;
const MOST_FIELDS = 100;

interface Series { info: SeriesInfo, fields: Set<string> }

/** Lists the measurements and their fields. */
export async function listSeries (archive: Archive, files: PlannedFile[], call: Call): Promise<{ series: SeriesInfo[], problems: string[] }> {
  const found = new Map<string, Series>();
  const problems: string[] = [];
  await eachLine(archive, files, call, problems, (line) => {
    const key = `${line.namespace ?? ''}\u0000${line.measurement}`;
    let one = found.get(key);
    if (one === undefined) {
      const measurement = String(line.measurement);
      one = {
        info: {
          measurement, namespace: typeof line.namespace === 'string' ? line.namespace : '', eventId: measurement.replace(/^event\./, ''),
          points: 0, fields: [], eventTime: null, type: '',
        },
        fields: new Set(),
      };
      found.set(key, one);
    }
    one.info.points += line.points.length;
    for (const point of line.points) {
      for (const field in point) if (field !== 'time' && typeof point[field] === 'number' && one.fields.size < MOST_FIELDS) one.fields.add(field);
    }
  });
  return { series: [...found.values()].map(({ info, fields }) => ({ ...info, fields: [...fields] })), problems };
}

/** The points of one field of one measurement; times in seconds after the event's, or absolute when they are dates. */
export async function readSeries (archive: Archive, files: PlannedFile[], wanted: SeriesInfo, field: string, call: Call) {
  const times = new Column(Float64Array, wanted.points);
  const values = new Column(Float64Array, wanted.points);
  const base = wanted.eventTime ?? 0;
  await eachLine(archive, files, call, [], (line) => {
    if (line.measurement !== wanted.measurement || (line.namespace ?? '') !== wanted.namespace) return;
    for (const point of line.points) {
      if (typeof point[field] !== 'number') continue;
      // Seconds after the event, or a date of its own.
      times.push(typeof point.time === 'string' ? base + Date.parse(point.time) / 1000 : base + point.time / 1000);
      values.push(point[field]);
    }
  });
  return inOrder(times.done(), values.done());
}

function inOrder (times: Float64Array, values: Float64Array) {
  if (times.every((time, i) => i === 0 || times[i - 1] <= time)) return { times, values };
  const order = Uint32Array.from(times, (_, i) => i).sort((a, b) => times[a] - times[b]);
  return { times: Float64Array.from(order, (i) => times[i]), values: Float64Array.from(order, (i) => values[i]) };
}

async function eachLine (archive: Archive, files: PlannedFile[], call: Call, problems: string[], use: (line: any) => void): Promise<void> {
  const shown = new Shown(files.reduce((sum, { size }) => sum + size, 0), call);
  const take = (bytes: Uint8Array[]) => {
    const decoder = new TextDecoder();
    const text = bytes.map((part, i) => decoder.decode(part, { stream: i < bytes.length - 1 })).join('');
    if (text.trim() === '') return;
    try {
      const line = JSON.parse(text);
      if (Array.isArray(line?.points)) use(line);
    } catch {
      // The core names a line that is no record.
    }
  };
  for (const file of files) {
    const before = shown.done;
    let parts: Uint8Array[] = [];
    try {
      for await (const view of archive.stream(file, { gunzip: true })) {
        const piece = owned(view);
        shown.guess(before, piece.length, file);
        let from = 0;
        for (let end = piece.indexOf(LINE_END); end !== -1; end = piece.indexOf(LINE_END, from)) {
          parts.push(piece.subarray(from, end));
          take(parts);
          parts = [];
          from = end + 1;
        }
        if (from < piece.length) parts.push(piece.subarray(from));
      }
      if (parts.length > 0) take(parts);
    } catch (error) {
      if (call.signal.aborted || kindOf(error) !== 'damaged') throw error;
      problems.push(messageOf(error));
    }
    shown.at(before + file.size, file.path);
  }
}
