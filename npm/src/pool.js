import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { DecryptError, messageOf } from './errors.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./decrypt-file.js').Done} Done */

// A worker needs a while to start and to open the key. With less to decrypt than so many bytes one thread is done sooner;
// inflating a stored byte takes as long as decrypting so many.
const WORTH_IT = 256 * 1024 * 1024;
const INFLATION = 12;

// A worker takes some tens of megabytes, and disks have their limits.
const MOST = 8;

/**
 * The number of worker threads for the files; 0: this thread alone.
 * @param {number|undefined} jobs as asked for
 * @param {{ files: number, bytes: number, compressed: number, largest: number[] }} sizes of the files; see `Facts` of the core
 * @param {string} script that a worker would run
 * @param {boolean} inflate whether files are inflated
 */
export function crewSize (jobs, { files, bytes, compressed, largest: [plain, gzip] }, script, inflate) {
  if (jobs === 1 || files < 2 || !existsSync(script) || isCramped()) return 0;
  if (jobs !== undefined) return Math.min(jobs, files);
  const cores = availableParallelism?.() ?? cpus().length;
  const times = inflate ? INFLATION : 1;
  const effort = bytes - compressed + compressed * times;
  // While one thread does the largest file, the others must have something to do.
  const beside = effort - Math.max(plain, gzip * times);
  return cores < 2 || effort < WORTH_IT || beside < WORTH_IT / 4 ? 0 : Math.min(cores, MOST, files);
}

/** Whether the process may not use all of its address space (`ulimit -v`): a thread that finds no room in it ends the process at once. */
function isCramped () {
  try {
    return /^Max address space +\d/m.test(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return false;
  }
}

/** Worker threads that do the files of an archive. What they need to know reaches them in memory only. */
export class Pool {
  /**
   * @param {number} size
   * @param {string} script that serves when it is run as a worker
   * @param {import('./worker.js').WorkerTask} task
   * @param {{ add (bytes: number): void }} shown
   */
  constructor (size, script, task, shown) {
    this.shown = shown;
    this.workers = Array.from({ length: size }, () =>
      new Worker(script, { workerData: task, argv: [], env: {}, execArgv: [] }));
  }

  /** @returns {import('./decrypt-files.js').Crew} */
  get crew () {
    return async (files, take) => {
      const next = files[Symbol.iterator]();
      let [begun, ended] = [0, false];
      await Promise.all(this.workers.map(async (worker) => {
        for (let file = next.next(); !ended && !file.done; file = next.next()) {
          const index = begun++;
          if (!take(index, await this.#runFile(worker, file.value))) ended = true;
        }
      }));
    };
  }

  /** Ends the threads, wherever they are. */
  async stop () {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  /**
   * @param {Worker} worker
   * @param {PlannedFile} file
   * @returns {Promise<Done>}
   */
  #runFile (worker, file) {
    return new Promise((resolve, reject) => {
      const failed = (/** @type {string} */ why) => {
        reject(new DecryptError('failed', `${file.path}: a worker thread ended (${why})`, { path: file.path, advice: ': try --jobs 1' }));
      };
      const onError = (/** @type {unknown} */ error) => failed(messageOf(error));
      const onExit = (/** @type {number} */ code) => failed(`code ${code}`);
      const onMessage = (/** @type {import('./worker.js').Report} */ { bytes, done }) => {
        this.shown.add(bytes);
        if (done === undefined) return;
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        resolve(done);
      };
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      worker.postMessage(file);
    });
  }
}
