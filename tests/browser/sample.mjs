// A small archive with something of everything that the page counts, shows and saves.
import { Draft } from './draft.mjs';

/** Writes it below `folder`. */
export function sample (/** @type {string} */ folder) {
  const draft = new Draft(folder);
  draft.records('streams', [{ id: 'a', name: 'A', parentId: null }, { id: 'b', name: 'B', parentId: 'a' }, { id: 'c', name: 'C', parentId: 'a' }]);
  draft.records('accesses', [{ id: 'x', name: 'Clinic', type: 'app', token: 't', permissions: [{ streamId: '*', level: 'read' }, { feature: 'selfRevoke', setting: 'forbidden' }] },
    { id: 'y', name: 'Insurance', type: 'shared', token: 't', created: 1.5e9, expires: 1.6e9, permissions: [{ streamId: 'a', level: 'read' }] }]);
  draft.records('events/events-0001', [
    ...Array.from({ length: 30 }, (_, i) => ({ id: `e${i}`, streamIds: ['b', 'c'], time: 1_700_000_000 + i * 3600, type: 'mass/kg', content: 70 + i })),
    { id: 'n', streamIds: ['c'], time: 1_700_000_000, type: 'note/txt', content: 'plain words' },
    { id: 'big', streamIds: ['b'], time: 1_700_000_001, type: 'count/generic', content: 'BIG' },
    { id: 't', streamIds: ['b'], time: 1_700_000_001, type: 'mass/kg', content: 1, trashed: true },
    { id: 'gone', deleted: 1_700_000_000 },
  ].map((event) => JSON.stringify(event).replace('"BIG"', '9007199254740993')));
  draft.records('audit/audit-0001', [{ eventid: 'a1', stream_ids: 'access-x action-events.get ..', time: 1_700_000_000, type: 'audit-log/pryv-api', content: { action: 'events.get' } }]);
  for (let i = 0; i < 6; i++) draft.attachment(`file${i}`, Buffer.alloc(300_000, `${i}`));
  draft.finish();
  return draft;
}
