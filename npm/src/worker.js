import { parentPort, workerData } from 'node:worker_threads';
import { Envelope, chooseEngine } from './core.js';
import { plainOf } from './errors.js';
import { decryptFile } from './decrypt-file.js';
import { openEnvelope } from './secrets.js';
import { HOST } from './host.js';
import { diskSource } from './source.js';
import { Staging } from './staging.js';
import { withVolumes } from './volumes.js';

/** @typedef {import('./files.js').Access<import('./types.js').Source>} Access */

/**
 * The data that a worker gets: the archive's folder, its envelope and the secrets that open it (undefined: it is not
 * encrypted), and the task. The envelope is the one that was read when the archive was opened: who replaces the file
 * after that would give the worker a key of their own, and files to go with it.
 * @typedef {{ folder: string, envelope: Uint8Array|undefined, secrets: import('./secrets.js').Chosen|undefined, opened: boolean,
 *   engine: import('./types.js').EngineChoice, staging: string|undefined, gunzip: boolean, salvage: boolean }} WorkerTask
 */

/**
 * A message from a worker: the bytes that it has put out since its last message, and the outcome of a file that is done.
 * @typedef {{ bytes: number, done?: import('./decrypt-file.js').Done }} Report
 */

const INTERVAL_MS = 200;

/** The life of a worker thread: takes planned files one by one and says what came of each. */
export async function serve () {
  const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
  /** @type {WorkerTask} */
  const { folder, envelope, secrets, opened, engine: choice, staging, gunzip, salvage } = workerData;
  const task = { staging: staging === undefined ? undefined : new Staging(staging), gunzip, salvage };
  const source = withVolumes(HOST.core, diskSource(folder));
  let bytes = 0;
  let last = Date.now();
  const shown = (/** @type {number} */ more) => {
    bytes += more;
    if (Date.now() - last > INTERVAL_MS) report();
  };
  const report = (/** @type {import('./decrypt-file.js').Done|undefined} */ done = undefined) => {
    port.postMessage({ bytes, done });
    bytes = 0;
    last = Date.now();
  };
  /** @type {Access|undefined} */
  let access;
  port.on('message', async (/** @type {import('./types.js').PlannedFile} */ file) => {
    try {
      access ??= makeAccess();
      report(await decryptFile(access, file, task, shown));
    } catch (error) {
      report({ failure: plainOf(error) });
    }
  });

  /** @returns {Access} */
  function makeAccess () {
    const engine = chooseEngine(choice);
    const key = envelope && secrets && openEnvelope(Envelope.parse(envelope), secrets);
    return { source, keys: new Map(key === undefined ? [] : [[1, key]]), engine, decrypted: opened };
  }
}
