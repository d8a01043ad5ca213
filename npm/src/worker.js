import { parentPort, workerData } from 'node:worker_threads';
import { blockChecker } from './blocks.js';
import { Envelope, SmallReader, chooseEngine } from './core.js';
import { plainOf } from './errors.js';
import { decryptFile } from './decrypt-file.js';
import { openEnvelope } from './secrets.js';
import { HOST } from './host.js';
import { diskSource } from './source.js';
import { Staging } from './staging.js';
import { withVolumes } from './volumes.js';

/**
 * The data that a worker gets: the archive's folder, its envelope and the secrets that open it (undefined: it is not
 * encrypted), and the task. The envelope is the one that was read when the archive was opened: who replaces the file
 * after that would give the worker a key of their own, and files to go with it.
 * @typedef {{ folder: string, envelope: Uint8Array|undefined, secrets: import('./secrets.js').Chosen|undefined, opened: boolean,
 *   engine: import('./types.js').EngineChoice, staging: string|undefined, gunzip: boolean, salvage: boolean }} WorkerTask
 */

/**
 * A message to a worker: a file that is to be read, and where it is, or a block of files that are to be checked.
 * @typedef {{ id: number, file?: import('./types.js').PlannedFile, place?: import('./volumes.js').MemberPlace,
 *   block?: import('./blocks.js').Block }} Work
 */

/**
 * A message from a worker: which work it is of, the bytes that it has put out since its last message, and the outcome when it is done.
 * @typedef {{ id: number, bytes: number, done?: import('./decrypt-file.js').Done|import('./blocks.js').Checked }} Report
 */

const INTERVAL_MS = 200;

/** The life of a worker thread: takes planned files and blocks of them one by one and says what came of each. */
export async function serve () {
  const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
  /** @type {WorkerTask} */
  const { folder, envelope, secrets, opened, engine: choice, staging, gunzip, salvage } = workerData;
  const task = { staging: staging === undefined ? undefined : new Staging(staging), gunzip, salvage };
  const source = withVolumes(HOST.core, diskSource(folder));
  let last = Date.now();
  /** @type {ReturnType<typeof makeAccess>|undefined} */
  let access;
  /** @type {ReturnType<typeof blockChecker>|undefined} */
  let checker;
  port.on('message', async (/** @type {Work} */ { id, file, place, block }) => {
    let bytes = 0;
    const report = (/** @type {Report['done']} */ done = undefined) => {
      port.postMessage({ id, bytes, done });
      bytes = 0;
      last = Date.now();
    };
    try {
      access ??= makeAccess();
      if (file !== undefined) {
        source.tell(file.path, place);
        report(await decryptFile(access, file, task, (more) => {
          bytes += more;
          if (Date.now() - last > INTERVAL_MS) report();
        }));
      } else if (block !== undefined) {
        checker ??= blockChecker({ SmallReader }, access);
        const checked = await checker.check(block);
        bytes = checked[0];
        report(checked);
      }
    } catch (error) {
      report({ failure: plainOf(error) });
    }
  });

  function makeAccess () {
    const engine = chooseEngine(choice);
    const key = envelope && secrets && openEnvelope(Envelope.parse(envelope), secrets);
    return { source, keys: new Map(key === undefined ? [] : [[1, key]]), engine, decrypted: opened };
  }
}
