// One event or audit record in full: what it says, its attachments, its earlier versions.
import type { Kind } from '../records.js';
import { errorBox } from '../open/view.js';
import { CallError } from '../rpc.js';
import { t } from '../texts/index.js';
import { alien, h, put, type Child } from '../ui/dom.js';
import { dateTime } from '../ui/format.js';
import { attachmentCard } from './attachment.js';
import { pretty } from './json.js';
import { parse, type LookedAt } from './user.js';

const LONGEST_SHOWN = 200_000;

export async function showRecord (looked: LookedAt, kind: Kind, row: number): Promise<void> {
  const body = h('div', { class: 'dialog-body' });
  const title = h('h2', { id: 'dialog-title' }, t(kind === 'events' ? 'event.title' : 'audit.title'));
  const dialog = h('dialog', { class: 'record', 'aria-labelledby': 'dialog-title', onclose: () => dialog.remove(), onclick: (event: Event) => {
    if (event.target === dialog) dialog.close();
  } }, h('div', { class: 'dialog-head' }, title, h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, t('close'))), body);
  document.body.append(dialog);
  dialog.showModal();
  try {
    const { line, versions } = await looked.app.client.call('user.record', { kind, row });
    put(body, facts(looked, parse(line), line), kind === 'events' && attachments(looked, parse(line)),
      h('h3', null, t('event.json')), raw(line),
      versions.length > 0 && [h('h3', null, t('event.versions', { n: versions.length })),
        versions.map((version: { line: string }) => {
          const record = parse(version.line);
          return h('details', null, h('summary', null, record.headId === undefined || record.headId === null ? t('event.current') : t('event.version'), ' · ', time(record.modified ?? record.created ?? record.time)), raw(version.line));
        })]);
  } catch (error) {
    put(body, errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
  }
}

/** JSON text, laid out; a very long one in part, with the rest on demand. */
export function raw (line: string): HTMLElement {
  const text = pretty(line);
  const place = h('div');
  const draw = (whole: boolean) => put(place, h('pre', { class: 'json', tabindex: '0' }, alien(whole ? text : text.slice(0, LONGEST_SHOWN))),
    !whole && text.length > LONGEST_SHOWN && h('button', { type: 'button', class: 'quiet', onclick: () => draw(true) }, t('event.whole')));
  draw(text.length <= LONGEST_SHOWN);
  return place;
}

function time (seconds: unknown): string {
  return typeof seconds === 'number' ? dateTime(seconds * 1000, true) : t('unknown');
}

function facts (looked: LookedAt, record: any, line: string): HTMLElement {
  const rows: Array<[string, Child]> = [];
  const add = (name: string, value: Child) => rows.push([name, value]);
  if (record.time !== undefined && record.time !== null) add(t('event.time'), time(record.time));
  const end = 'endTime' in record ? record.endTime : record.end_time;
  if (end === null && record.deleted === undefined && !('eventid' in record)) add(t('event.end'), t('flag.running'));
  else if (typeof end === 'number' && end !== record.time) add(t('event.end'), time(end));
  if (typeof record.type === 'string') add(t('event.type'), alien(record.type));
  if (Array.isArray(record.streamIds)) add(t('event.streams'), record.streamIds.map((id: unknown, i: number) => [i > 0 && ', ', alien(looked.streamName(String(id)))]));
  const simple = typeof record.content === 'string' || typeof record.content === 'number' || typeof record.content === 'boolean';
  // A number that JavaScript would round is seen in the JSON below only.
  const exact = typeof record.content !== 'number' || line.includes(`"content":${record.content}`);
  if (simple && exact && String(record.content).length < 5000) add(t('event.content'), h('span', { class: 'content' }, alien(record.content)));
  if (typeof record.description === 'string') add(t('event.description'), h('span', { class: 'content' }, alien(record.description.slice(0, 5000))));
  if (record.trashed === true) add(t('flag.trashed'), t('yes'));
  if (typeof record.deleted === 'number') add(t('flag.deleted'), time(record.deleted));
  if (typeof record.created === 'number') add(t('event.created'), time(record.created));
  if (typeof record.modified === 'number' && record.modified !== record.created) add(t('event.modified'), time(record.modified));
  return h('dl', { class: 'facts' }, rows.map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
}

function attachments (looked: LookedAt, record: any): Child {
  if (!Array.isArray(record.attachments) || record.attachments.length === 0) return null;
  return [h('h3', null, t('event.attachments')), record.attachments.map((one: any) => attachmentCard(looked, one ?? {}))];
}
