// Translates a record of each kind into the terms of the index.
import { ATTACHED, DELETED, HISTORY, RUNNING, TRASHED } from '../../records.js';

export interface Adapted { time: number, type: string, streams: string[], value: number, flags: number, id: string }
export type Adapter = (record: any) => Adapted;

// Seconds beyond these are no date.
const LATEST = 8.64e12;

const number = (value: unknown): number => (typeof value === 'number' ? value : NaN);
const seconds = (value: unknown): number => (typeof value === 'number' && Math.abs(value) <= LATEST ? value : NaN);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const strings = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []);

/** Events. `id` is that of the event, also for its earlier versions. */
export function fromEvent (event: any): Adapted {
  const deleted = event.deleted !== undefined && event.deleted !== null;
  const history = typeof event.headId === 'string';
  return {
    time: Number.isNaN(seconds(event.time)) ? seconds(event.deleted) : event.time,
    type: text(event.type),
    streams: strings(event.streamIds),
    value: number(event.content),
    flags: (event.trashed === true ? TRASHED : 0) | (deleted ? DELETED : 0) | (history ? HISTORY : 0) |
      (Array.isArray(event.attachments) && event.attachments.length > 0 ? ATTACHED : 0) |
      (event.endTime === null && !deleted ? RUNNING : 0),
    id: history ? event.headId : text(event.id),
  };
}

/** Audit records of either engine: what was done takes the place of the type, by whom that of the streams. */
export function fromAudit (record: any): Adapted {
  const content = auditContent(record);
  const streams = record.streamIds ?? record.stream_ids;
  const ids = Array.isArray(streams) ? strings(streams) : text(streams).split(' ').filter((id) => id !== '' && id !== '..');
  const action = ids.find((id) => id.startsWith('action-'))?.slice('action-'.length);
  return {
    time: seconds(record.time),
    type: text(content?.action) || action || text(record.type),
    streams: ids.filter((id) => id.startsWith('access-')),
    value: NaN,
    flags: 0,
    id: text(record.eventid ?? record.id),
  };
}

/** The content of an audit record, which some engines keep as JSON text. */
export function auditContent (record: any): any {
  if (typeof record.content !== 'string') return record.content;
  try {
    return JSON.parse(record.content);
  } catch {
    return record.content;
  }
}

const LONGEST = 200;

/** A record in a few words. */
export function summaryOf (record: any): string {
  const content = 'eventid' in record ? auditSummary(record) : record.content;
  const names = Array.isArray(record.attachments) ? record.attachments.map((one: any) => text(one?.fileName)).filter(Boolean).join(', ') : '';
  const main = content === undefined || content === null ? '' : typeof content === 'string' ? content : JSON.stringify(content);
  const all = [main, text(record.description), names].filter((part) => part !== '').join(' · ');
  return all.length > LONGEST ? `${all.slice(0, LONGEST)}…` : all;
}

function auditSummary (record: any): unknown {
  const content = auditContent(record);
  if (content === null || typeof content !== 'object') return content;
  const source = content.source;
  const parts = [source?.name, source?.ip].filter((part) => typeof part === 'string');
  const query = content.query !== undefined && Object.keys(content.query ?? {}).length > 0 ? JSON.stringify(content.query) : '';
  const error = content.error === undefined ? '' : JSON.stringify(content.error);
  return [...parts, query, error].filter((part) => part !== '').join(' · ');
}
