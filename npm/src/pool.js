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
  /** The number of what is done next. */
  #works = 0;

  /**
   * @param {number} size
   * @param {string} script that serves when it is run as a worker
   * @param {import('./worker.js').WorkerTask} task
   * @param {import('./volumes.js').WithVolumes} source of the archive
   * @param {{ add (bytes: number): void }} shown
   */
  constructor (size, script, task, source, shown) {
    this.source = source;
    this.shown = shown;
    this.workers = Array.from({ length: size }, () =>
      new Worker(script, { workerData: task, argv: [], env: {}, execArgv: [] }));
  }

  /** @returns {import('./decrypt-files.js').Crew} */
  get crew () {
    return {
      files: async (files, take) => {
        const next = files[Symbol.iterator]();
        let [begun, ended] = [0, false];
        await Promise.all(this.workers.map(async (worker) => {
          for (let file = next.next(); !ended && !file.done; file = next.next()) {
            const index = begun++;
            const place = await this.source.place(file.value.path);
            if (!take(index, /** @type {Done} */ (await this.#run(worker, { file: file.value, place })))) ended = true;
          }
        }));
      },
      blocks: async (blocks, take) => {
        const next = blocks[Symbol.asyncIterator]();
        // While a thread reads one, the next one waits for it.
        await Promise.all([...this.workers, ...this.workers].map(async (worker) => {
          for (let block = await next.next(); !block.done; block = await next.next()) {
            const done = await this.#run(worker, { block: block.value });
            if ('failure' in done && done.failure !== undefined) throw new DecryptError(done.failure.kind, done.failure.message, done.failure.about);
            take(block.value, /** @type {Float64Array} */ (done));
          }
        }));
      },
    };
  }

  /** Ends the threads, wherever they are. */
  async stop () {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  /**
   * @param {Worker} worker
   * @param {{ file?: PlannedFile, place?: import('./volumes.js').MemberPlace, block?: import('./blocks.js').Block }} work
   * @returns {Promise<Done|Float64Array>}
   */
  #run (worker, work) {
    const id = this.#works++;
    const path = work.file?.path ?? work.block?.path ?? '';
    return new Promise((resolve, reject) => {
      const failed = (/** @type {string} */ why) => {
        reject(new DecryptError('failed', `${path}: a worker thread ended (${why})`, { path, advice: ': try --jobs 1' }));
      };
      const onError = (/** @type {unknown} */ error) => failed(messageOf(error));
      const onExit = (/** @type {number} */ code) => failed(`code ${code}`);
      const onMessage = (/** @type {import('./worker.js').Report} */ { id: of, bytes, done }) => {
        if (of !== id) return;
        this.shown.add(bytes);
        if (done === undefined) return;
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        resolve(done);
      };
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      worker.postMessage({ id, ...work });
    });
  }
}
