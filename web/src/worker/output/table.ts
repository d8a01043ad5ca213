// Events as CSV or as a JSON array.
import { auditContent } from '../index/adapt.js';
import { parsed } from '../index/records.js';
import { literalsOf } from './literals.js';

const COLUMNS = ['id', 'time', 'endTime', 'type', 'streamIds', 'content', 'description', 'attachments', 'trashed', 'deleted', 'headId',
  'clientData', 'created', 'createdBy', 'modified', 'modifiedBy'] as const;

export interface TableFormat { head: string, foot: string, line (record: string, first: boolean): string }

export const json: TableFormat = {
  head: '[\n',
  foot: '\n]\n',
  // The text itself: numbers keep all their digits.
  line: (record, first) => (first ? '' : ',\n') + record.trim(),
};

/** CSV with that sign between cells. */
export function csv (separator: ',' | ';'): TableFormat {
  return {
    // The mark lets spreadsheets see that it is UTF-8.
    head: `\ufeff${['time (UTC)', ...COLUMNS].join(separator)}\r\n`,
    foot: '',
    line (text) {
      const record = parsed(text);
      const seconds = record.time ?? record.deleted;
      const iso = typeof seconds === 'number' && Math.abs(seconds) < 8.64e12 ? new Date(seconds * 1000).toISOString() : '';
      const audit = 'eventid' in record;
      const plain = audit ? { ...record, id: record.eventid, content: auditContent(record), streamIds: record.streamIds ?? record.stream_ids } : record;
      const written = literalsOf(text);
      return `${[iso, ...COLUMNS.map((name) => cell(plain[name], audit && name === 'content' ? undefined : written.get(name)))].join(separator)}\r\n`;
    },
  };
}

/**
 * A cell; `written` is the value as the record has it, so that numbers keep their digits. A spreadsheet takes a text that begins
 * like a formula for one: an apostrophe before it makes it a text (numbers are left alone).
 */
function cell (value: unknown, written: string | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return written ?? String(value);
  if (typeof value === 'boolean') return String(value);
  let text = typeof value === 'string' ? value
    : Array.isArray(value) && value.every((item) => typeof item === 'string') ? value.join(' ')
      : written ?? JSON.stringify(value);
  if (/^[\s\u0000-\u001f\u200b-\u200f\ufeff]*[=+\-@|%\uff0b\uff0d\uff1d\uff20\t\r\n]/u.test(text) && !/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) text = `'${text}`;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
