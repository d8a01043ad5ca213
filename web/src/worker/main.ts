import { plainOf } from '../../../npm/src/errors.js';
import { serve, type Call } from '../rpc.js';
import { chooseEngine, coreVersion, loadCore, privateKeyNeedsPassphrase } from './core.js';
import { folderOutput } from './output/folder.js';
import { ZipWriter } from './output/zip.js';
import { Session, isChoice, type Choice, type Secrets } from './session.js';
import { UserSession } from './user.js';
import { readFile } from './one.js';
import { save, verify, type SaveOptions } from './save.js';
import type { Filter, Kind } from '../records.js';

const session = new Session();
let user: UserSession | undefined;

function looking (): UserSession {
  if (user === undefined) throw new Error('no user is being looked at');
  return user;
}

serve({
  async start ({ wasm, engine }: { wasm: ArrayBuffer, engine: 'auto' | 'wasm' }) {
    loadCore(wasm);
    const report = await chooseEngine(engine);
    session.engine = report.engine;
    return { ...report, version: coreVersion() };
  },
  choose: (choice: Choice) => session.choose(choice),
  keyNeedsPassphrase: (key: Uint8Array) => privateKeyNeedsPassphrase(key),
  async unlock (secrets: Secrets) {
    return (await session.unlock(secrets)).info();
  },
  async at ({ run, expectId }: { run: number, expectId?: string }) {
    user = undefined;
    return (await session.at(run, expectId)).info();
  },
  verify: ({ user }: { user?: string }, call: Call) => verify(session.archive, user, call),
  async saveZip (options: SaveOptions, call: Call) {
    const zip = new ZipWriter(call);
    const outcome = await save(session.archive, zip, options, call);
    await zip.finish();
    return outcome;
  },
  saveFolder: (options: SaveOptions, call: Call) => save(session.archive, folderOutput(call), options, call),
  /** The paths of files, from one on, with their sizes as they are stored. */
  files: ({ from, count, capsule }: { from: number, count: number, capsule: boolean }) => session.archive.paths(from, count, capsule),
  file: ({ path }: { path: string }, call: Call) => readFile(session.archive, path, call),
  // Letting go of the last user frees what was indexed of it.
  'user.open': ({ userId }: { userId: string }, call: Call) => {
    user = new UserSession(session.archive, userId);
    return user.data(call);
  },
  'user.close': () => { user = undefined; },
  'user.index': ({ kind, expected }: { kind: Kind, expected: number }, call: Call) => looking().index(kind, expected, call),
  'user.query': ({ kind, filter }: { kind: Kind, filter: Filter }) => looking().query(kind, filter),
  'user.search': ({ kind, filter, text }: { kind: Kind, filter: Filter, text: string }, call: Call) => looking().search(kind, filter, text, call),
  'user.countsBelow': ({ parents }: { parents: Map<string, string> }) => looking().countsBelow(parents),
  'user.rows': ({ kind, from, to }: { kind: Kind, from: number, to: number }) => looking().rows(kind, from, to),
  'user.record': ({ kind, row }: { kind: Kind, row: number }) => looking().record(kind, row),
  'user.timeline': ({ kind, filter, steps }: { kind: Kind, filter: Filter, steps: number }) => looking().timeline(kind, filter, steps),
  'user.numeric': ({ stream, type, steps, from, to }) => looking().numeric(stream, type, steps, from, to),
  'user.series': (_: unknown, call: Call) => looking().series(call),
  'user.seriesLine': ({ number, field, steps, from, to }, call: Call) => looking().seriesLine(number, field, steps, from, to, call),
  'user.export': ({ kind, as }: { kind: Kind, as: 'csv' | 'csv;' | 'json' }, call: Call) => looking().export(kind, as, call),
  'user.attachment': ({ fileId }: { fileId: string }, call: Call) => looking().attachment(fileId, call),
}, (error) => ({ ...plainOf(error), ...(isChoice(error) && { kind: 'choice' }) }));
