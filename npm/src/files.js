// Reads the files of an opened archive, wherever the core runs; the core says which part of a chain's files still counts.
import { kindOf, withPath } from './errors.js';
import { whole } from './opening.js';

/** No manifest has more bytes. */
const MOST = 1024 * 1024 * 1024;

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./types.js').Summary} Summary */
/** @typedef {import('./opening.js').DataKey} DataKey */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Reading} Reading */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Step} Step */
/**
 * @template Source
 * @typedef {import('./opening.js').Host<Source>} Host
 */

/**
 * The means to read an archive's files: their place, the keys by their runs (none: not encrypted), the engine for AES, and
 * whether this is what was decrypted of an archive. `state`: of the state of a chain, what was opened.
 * @template Source
 * @typedef {{ source: Source, keys: Map<number, DataKey>, engine: any, decrypted: boolean,
 *   state?: import('./opening.js').Opened }} Access
 */

/**
 * The content of a planned file as views of WASM memory, each good until the next is asked for. Throws `damaged` with
 * the file's path, at the latest at the end. `hash`: check the SHA-256 of the stored bytes too, which is always done for a file that
 * is not encrypted.
 * @template Source
 * @param {Host<Source>} host
 * @param {Access<Source>} access
 * @param {PlannedFile} file
 * @param {{ gunzip: boolean, hash?: boolean }} options
 * @returns {AsyncGenerator<Uint8Array, Summary, void>}
 */
export async function * streamFile (host, access, file, { gunzip, hash = false }) {
  if (access.state !== undefined) return yield * streamState(host, access, file.path, hash);
  const step = host.core.Step.of(JSON.stringify(file), gunzip, hash);
  try {
    const { summary, sha256 } = yield * readStep(host, access, step);
    step.check(summary, sha256, access.decrypted);
    return summary;
  } catch (error) {
    throw withPath(file.path, error);
  } finally {
    step.free();
  }
}

/**
 * Reads a file as the core says.
 * @template Source
 * @param {Host<Source>} host
 * @param {Access<Source>} access
 * @param {Step} step
 */
function readStep (host, { source, keys, engine }, { run, path, size, encrypted, gunzip, lines, hash }) {
  return host.readStored(source, path, { key: encrypted ? keys.get(run) : undefined, engine, size, gunzip, lines, hash });
}

/**
 * The same of a file of the state of a chain.
 * @template Source
 * @param {Host<Source>} host
 * @param {Access<Source>} access
 * @param {string} path
 * @param {boolean} hash
 * @returns {AsyncGenerator<Uint8Array, Summary, void>}
 */
async function * streamState (host, access, path, hash) {
  const reading = access.state?.read(path, hash);
  if (reading === undefined) throw new Error(`${path} is not a file of this state`);
  try {
    for (let step = reading.next(); step !== undefined; step = reading.next()) {
      try {
        const pieces = readStep(host, access, step);
        const { summary, sha256 } = yield * (step.filtered ? filteredBy(reading, pieces) : pieces);
        reading.end(summary, sha256);
      } catch (error) {
        throw /** @type {any} */ (error)?.kind === undefined ? error : reading.failed(error);
      } finally {
        step.free();
      }
    }
    return reading.summary();
  } finally {
    reading.free();
  }
}

/**
 * The part of a file's content that still counts at the run that is asked for.
 * @template T
 * @param {Reading} reading
 * @param {AsyncGenerator<Uint8Array, T, void>} pieces
 * @returns {AsyncGenerator<Uint8Array, T, void>}
 */
async function * filteredBy (reading, pieces) {
  try {
    for (;;) {
      const next = await pieces.next();
      // Memory may move when a view of it is passed.
      const out = next.done ? reading.rest() : reading.push(next.value.slice());
      if (out.length > 0) yield out;
      if (next.done) return next.value;
    }
  } finally {
    await pieces.return(/** @type {any} */ (undefined));
  }
}

/**
 * The content of manifest.json; of a chain, that of its state.
 * @template Source
 * @param {Host<Source>} host
 * @param {Access<Source>} access
 * @param {import('./opening.js').Opened} opened
 */
export async function manifestOf (host, { source, keys, engine }, opened) {
  const ofState = opened.stateManifest();
  if (ofState !== undefined) return ofState;
  const pieces = host.readStored(source, 'manifest.json', { key: keys.get(1), engine, gunzip: false, lines: false, hash: true });
  const { content, sha256 } = await whole(pieces, MOST);
  opened.requireManifest(sha256 ?? '');
  return /** @type {Uint8Array} */ (content);
}

/**
 * Leaves out attachments of events that are gone: the runs of a chain still have their files. Whether there were any.
 * @template Source
 * @param {Host<Source>} host
 * @param {Access<Source>} access
 */
export async function dropOrphans (host, access) {
  const { state } = access;
  if (state === undefined) return false;
  const orphans = state.orphans();
  try {
    for (let path = orphans.next(); path !== undefined; path = orphans.next()) {
      try {
        for await (const piece of streamState(host, access, path, false)) orphans.push(piece.slice());
        orphans.end();
      } catch (error) {
        if (kindOf(error) !== 'damaged') throw error;
        orphans.failed(error);
      }
    }
    return state.dropOrphans(orphans);
  } finally {
    orphans.free();
  }
}
