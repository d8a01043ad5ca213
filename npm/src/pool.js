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
const FEW = 16;

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
  if (jobs === 1 || files < 2 || !existsSync(script) || isCramped() || !mayStartThreads()) return 0;
  if (jobs !== undefined) return Math.min(jobs, files);
  const cores = availableParallelism?.() ?? cpus().length;
  const times = inflate ? INFLATION : 1;
  const effort = bytes - compressed + compressed * times;
  // While one thread does the largest file, the others must have something to do.
  const beside = effort - Math.max(plain, gzip * times);
  return cores < 2 || effort < WORTH_IT || beside < WORTH_IT / 4 ? 0 : Math.min(cores, MOST, files);
}

/**
 * Whether files are done sooner than a thread has started. They are only looked through as far as that takes.
 * @param {Iterable<PlannedFile>} files
 */
function areFew (files) {
  let [count, bytes] = [0, 0];
  for (const { size } of files) {
    count++;
    bytes += size;
    if (count > FEW || bytes > WORTH_IT / INFLATION) return false;
  }
  return true;
}

/** Whether the process may not use all of its address space (`ulimit -v`): a thread that finds no room in it ends the process at once. */
function isCramped () {
  try {
    return /^Max address space +\d/m.test(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return false;
  }
}

/** Whether the process may start threads: `--permission` of Node.js allows that only with `--allow-worker`. */
function mayStartThreads () {
  // Types of older versions do not know it.
  const { permission } = /** @type {{ permission?: { has (scope: string): boolean } }} */ (/** @type {unknown} */ (process));
  return permission?.has('worker') ?? true;
}

/** Worker threads that do the files of an archive. What they need to know reaches them in memory only. */
export class Pool {
  /** The number of what is done next. */
  #works = 0;
  /** Blocks were checked, by whichever thread. */
  #hadBlocks = false;
  #stopped = false;

  /**
   * @param {number} size
   * @param {string} script that serves when it is run as a worker
   * @param {import('./worker.js').WorkerTask} task
   * @param {import('./volumes.js').WithVolumes} source of the archive
   * @param {import('./decrypt-files.js').Crew} own this thread
   * @param {{ add (bytes: number): void }} shown
   */
  constructor (size, script, task, source, own, shown) {
    this.size = size;
    this.source = source;
    this.own = own;
    this.shown = shown;
    /** Each is started when there is something for it to do: it takes some tens of megabytes. @type {Worker[]} */
    this.workers = [];
    this.start = () => new Worker(script, { workerData: task, argv: [], env: {}, execArgv: [] });
  }

  /** @param {number} number */
  #worker (number) {
    // One that began after the end would never end.
    if (this.#stopped) throw new DecryptError('failed', 'the run has ended');
    return (this.workers[number] ??= this.start());
  }

  /** @returns {import('./decrypt-files.js').Crew} */
  get crew () {
    return {
      files: async (files, take) => {
        // What blocks leave is mostly next to nothing.
        if (this.#hadBlocks && areFew(files)) return this.own.files(files, take);
        const next = files[Symbol.iterator]();
        let [begun, ended] = [0, false];
        await Promise.all(Array.from({ length: this.size }, async (_, number) => {
          try {
            for (let file = next.next(); !ended && !file.done; file = next.next()) {
              const index = begun++;
              const place = await this.source.place(file.value.path);
              const done = await this.#run(this.#worker(number), { file: file.value, place });
              if (!take(index, /** @type {Done} */ (done))) ended = true;
            }
          } catch (error) {
            ended = true;
            throw error;
          }
        }));
      },
      // This thread makes the blocks, and checks its share of them.
      blocks: async (blocks, take) => {
        const next = blocks[Symbol.asyncIterator]();
        // Once one has failed, nobody begins another.
        let ended = false;
        /** @type {() => Promise<IteratorResult<import('./blocks.js').Block>>} */
        const more = async () => ended ? { done: true, value: undefined } : next.next();
        const rest = { [Symbol.asyncIterator]: () => ({ next: more }) };
        const taken = (/** @type {import('./blocks.js').Block} */ block, /** @type {Float64Array} */ checked) => {
          this.#hadBlocks = true;
          take(block, checked);
        };
        // While a thread checks one, the next one waits for it.
        const loops = Array.from({ length: 2 * (this.size - 1) }, async (_, loop) => {
          for await (const block of rest) {
            const done = await this.#run(this.#worker(loop % (this.size - 1)), { block });
            if ('failure' in done && done.failure !== undefined) throw new DecryptError(done.failure.kind, done.failure.message, done.failure.about);
            taken(block, /** @type {Float64Array} */ (done));
          }
        });
        try {
          await Promise.all([this.own.blocks(rest, taken), ...loops]);
        } finally {
          ended = true;
        }
      },
    };
  }

  /** Ends the threads, wherever they are. */
  async stop () {
    this.#stopped = true;
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
