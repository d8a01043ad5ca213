import { kindOf, messageOf, plainOf } from './errors.js';
import { streamFile } from './files.js';
import { HOST } from './host.js';
import { checkInflation } from './inflation.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./types.js').Summary} Summary */
/** @typedef {import('./files.js').Access<import('./types.js').Source>} Access */
/** @typedef {import('./staging.js').Staging} Staging */

/**
 * The way to treat files: `staging` takes the decrypted ones; without it they are only checked.
 * @typedef {{ staging?: Staging, gunzip: boolean, salvage: boolean }} Task
 */

/**
 * The outcome of a file, which can cross to another thread: `output` was staged for it, and is whole when there is no `damage`; `counts` are
 * those of a file that was read to its end. `failure` ends the run.
 * @typedef {{ counts?: { bytes: number, records: number }, output?: string, damage?: string, failure?: ReturnType<typeof plainOf> }} Done
 */

/**
 * The path that a file is written to.
 * @param {PlannedFile} file
 * @param {boolean} gunzip
 */
export function outputName (file, gunzip) {
  return gunzip && file.gzip ? file.path.replace(/\.gz$/, '') : file.path;
}

/**
 * Checks or decrypts one file.
 * @param {Access} access
 * @param {PlannedFile} file
 * @param {Task} task
 * @param {(bytes: number) => void} shown
 * @returns {Promise<Done>}
 */
export async function decryptFile (access, file, task, shown) {
  /** @type {Done} */
  const done = {};
  try {
    if (task.staging === undefined) {
      done.counts = countsOf(await drain(streamFile(HOST, access, file, { gunzip: true, hash: true }), ({ length }) => shown(length)));
    } else if (access.keys.size > 0 && !file.encrypted) {
      // The decryptor and its instructions are checked, but are no part of the data.
      await drain(streamFile(HOST, access, file, { gunzip: false, hash: true }), () => {});
    } else {
      await decrypt(access, file, task.staging, task, shown, done);
    }
  } catch (error) {
    if (kindOf(error) === 'damaged') done.damage = messageOf(error);
    else done.failure = plainOf(error);
  }
  return done;
}

/**
 * @param {Access} access
 * @param {PlannedFile} file
 * @param {Staging} staging
 * @param {Task} task
 * @param {(bytes: number) => void} shown
 * @param {Done} done
 */
async function decrypt (access, file, staging, task, shown, done) {
  const gunzip = task.gunzip && file.gzip;
  const output = outputName(file, gunzip);
  const out = staging.create(output);
  // Without an inventory only the end of the gzip data shows that nothing was cut off.
  const inflation = file.gzip && !gunzip && file.expected === null ? checkInflation(file) : undefined;
  let written = 0;
  try {
    const counts = countsOf(await drain(streamFile(HOST, access, file, { gunzip }), (piece) => {
      out.write(piece);
      written += piece.length;
      shown(piece.length);
      inflation?.push(piece);
    }));
    inflation?.finish();
    out.close();
    Object.assign(done, { counts, output });
  } catch (error) {
    if (task.salvage && written > 0 && kindOf(error) === 'damaged') {
      out.close();
      done.output = output;
    } else {
      out.discard();
    }
    throw error;
  } finally {
    inflation?.free();
  }
}

/**
 * The numbers of a summary, which is freed.
 * @param {Summary} summary
 */
function countsOf (summary) {
  const counts = { bytes: summary.outputSize, records: summary.records ?? 0 };
  summary.free();
  return counts;
}

/**
 * @template T
 * @param {AsyncGenerator<Uint8Array, T, void>} pieces
 * @param {(piece: Uint8Array) => void} use
 * @returns {Promise<T>}
 */
async function drain (pieces, use) {
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
    use(next.value);
  }
}
