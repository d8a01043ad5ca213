// The state of a chain of runs, wherever the core runs: what reads files is lent by the host.
import { withPath } from './errors.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./types.js').Summary} Summary */
/** @typedef {import('./types.js').StateFile} StateFile */
/** @typedef {import('./types.js').Part} Part */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Chain} Runs */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Fold} Told */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').DataKey} DataKey */
/** @typedef {typeof import('../../.build/wasm/decryptor_wasm.js')} Core */

/**
 * What it takes to read a run's files.
 * @template Source
 * @typedef {{ source: Source, key: DataKey|undefined, engine: any, opened: boolean }} Access
 */

/**
 * What the host lends: the core, how to read a file of a run, checked or as it comes, a stored one in one piece, one of a
 * few kilobytes (more is cut off), and a folder as a source of its own.
 * @template Source
 * @typedef {object} Host
 * @property {Pick<Core, 'Chain'|'Fold'|'Sieve'|'StoredRuns'|'errorOf'|'inRun'|'isCompanion'|'judge'>} core
 * @property {(source: Source, path: string, options: { key: DataKey|undefined, gunzip: boolean, lines: boolean, hash: boolean, engine: any,
 *   size: number }) => AsyncGenerator<Uint8Array, { summary: Summary, sha256: string|undefined }, void>} pump
 * @property {(access: Access<Source>, file: PlannedFile, options: { gunzip: boolean, hash: boolean }) =>
 *   AsyncGenerator<Uint8Array, Summary, void>} streamFile
 * @property {(source: Source, path: string) => Promise<{ content: Uint8Array, sha256: string|undefined }>} readStored
 * @property {(source: Source, path: string) => Promise<Uint8Array>} readSmall
 * @property {(source: Source, folder: string) => Source} below
 */

const NOTHING = new Uint8Array(0);

/**
 * The state of a chain at one of its runs: where its files lie, and what of them stands.
 * @template [Source=any]
 */
export class ChainState {
  /**
   * @param {Host<Source>} host
   * @param {Runs} core
   * @param {number} run
   * @param {Map<number, Access<Source>>} runs
   * @param {StateFile[]} files
   */
  constructor (host, core, run, runs, files) {
    this.host = host;
    this.core = core;
    /** Whose state it is, counted from 1. */
    this.run = run;
    this.runs = runs;
    this.byPath = new Map(files.map((file) => [file.path, file]));
    /** @type {{ name: string, fold: Told }|undefined} the last one that was made */
    this.last = undefined;
  }

  /** Whose state it is, in a few words. */
  get headline () {
    return this.core.headline(this.run);
  }

  /** A line for each run. */
  get lines () {
    return this.core.lines();
  }

  /**
   * The content of a file of the state, records inflated, as views that are good until the next is asked for.
   * @param {PlannedFile} file
   * @param {{ hash?: boolean }} options
   * @returns {AsyncGenerator<Uint8Array, Summary, void>}
   */
  async * stream ({ path }, { hash = false }) {
    const file = /** @type {StateFile} */ (this.byPath.get(path));
    /** @type {Summary} */
    const all = { storedSize: 0, contentSize: 0, outputSize: 0, salt: null, records: null };
    const add = (/** @type {Summary} */ seen) => {
      all.storedSize += seen.storedSize;
      all.contentSize += seen.contentSize;
      all.outputSize += seen.outputSize;
      if (seen.records !== null) all.records = (all.records ?? 0) + seen.records;
    };
    if (file.collection === null) {
      const last = file.parts[file.parts.length - 1];
      add(yield * this.#part(last, { gunzip: false, hash }));
      return all;
    }
    const passes = this.core.passes(file.user ?? '', file.collection);
    for (let pass = 0; pass < Math.max(passes, 1); pass++) {
      // Where no later run says anything, everything stands.
      const fold = passes === 0 ? undefined : await this.#fold(file.user ?? '', file.collection, pass, passes);
      for (const part of file.parts) {
        add(fold === undefined ? yield * this.#part(part, { gunzip: true, hash }) : yield * this.#sift(part, fold, hash));
      }
    }
    return all;
  }

  /**
   * @param {string} user
   * @param {string} collection
   */
  changed (user, collection) {
    return this.core.passes(user, collection) > 0;
  }

  /** Lets go of the keys. */
  close () {
    this.last?.fold.free();
    this.last = undefined;
    for (const access of this.runs.values()) {
      access.key?.free();
      access.key = undefined;
    }
    this.core.free();
  }

  /**
   * @param {Part} part
   * @param {{ gunzip: boolean, hash: boolean }} options
   */
  async * #part ({ run, file }, options) {
    try {
      return yield * this.host.streamFile(this.#access(run), file, options);
    } catch (error) {
      throw this.host.core.inRun(error, run);
    }
  }

  /**
   * The lines of a file that stand.
   * @param {Part} part
   * @param {Told} fold
   * @param {boolean} hash
   */
  async * #sift ({ run, file }, fold, hash) {
    const sieve = new this.host.core.Sieve();
    let [outputSize, records] = [0, 0];
    const count = (/** @type {Uint8Array} */ out) => {
      outputSize += out.length;
      for (let at = out.indexOf(10); at !== -1; at = out.indexOf(10, at + 1)) records++;
      return out;
    };
    try {
      const summary = yield * this.#read({ run, file }, hash, (piece) => count(sieve.push(fold, run, piece)), () => {
        const out = count(sieve.finish(fold, run));
        return { out, lines: sieve.lines };
      });
      return { ...summary, outputSize, records };
    } catch (error) {
      throw this.host.core.inRun(withPath(file.path, error), run);
    } finally {
      sieve.free();
    }
  }

  /**
   * Reads a file of records whose lines are counted by whoever takes its pieces.
   * @param {Part} part
   * @param {boolean} hash
   * @param {(piece: Uint8Array) => Uint8Array} take what is to be passed on of a piece
   * @param {() => { out: Uint8Array, lines: number }} end the rest, and how many lines there were
   */
  async * #read ({ run, file }, hash, take, end) {
    const { source, key, engine, opened } = this.#access(run);
    const pieces = this.host.pump(source, file.path, {
      key: file.encrypted ? key : undefined, gunzip: file.gzip, lines: false, hash: hash || !file.encrypted, engine, size: file.size,
    });
    for (;;) {
      const next = await pieces.next();
      if (!next.done) {
        const out = take(next.value);
        if (out.length > 0) yield out;
        continue;
      }
      const { summary, sha256 } = next.value;
      const { out, lines } = end();
      if (out.length > 0) yield out;
      summary.records = lines;
      this.host.core.judge(JSON.stringify(file.expected), JSON.stringify(summary), sha256, opened);
      return summary;
    }
  }

  /**
   * What later runs say of a collection; the last one is kept, since files of a collection are read one after the other.
   * @param {string} user
   * @param {string} collection
   * @param {number} pass
   * @param {number} passes
   */
  async #fold (user, collection, pass, passes) {
    const name = JSON.stringify([user, collection, pass]);
    if (this.last?.name === name) return this.last.fold;
    this.last?.fold.free();
    this.last = undefined;
    const fold = new this.host.core.Fold(this.core, collection, pass, passes);
    try {
      for (const [removed, part] of /** @type {Array<[boolean, Part]>} */ (JSON.parse(this.core.changes(user, collection)))) {
        try {
          const read = this.#read(part, true, (piece) => {
            fold.tell(part.run, removed, piece);
            return NOTHING;
          }, () => ({ out: NOTHING, lines: fold.told(part.run, removed) }));
          await read.next();
        } catch (error) {
          throw this.host.core.inRun(withPath(part.file.path, error), part.run);
        }
      }
      fold.close();
    } catch (error) {
      fold.free();
      throw error;
    }
    this.last = { name, fold };
    return fold;
  }

  /** @param {number} run */
  #access (run) {
    return /** @type {Access<Source>} */ (this.runs.get(run));
  }
}

/**
 * The folder of a run, with a slash at its end; empty for the first.
 * @param {number} run
 */
export function folderOf (run) {
  return run === 1 ? '' : `increments/${String(run).padStart(4, '0')}/`;
}
