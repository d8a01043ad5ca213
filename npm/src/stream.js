import { judge } from './core.js';
import { withPath } from './errors.js';
import { pump } from './pump.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */

/**
 * What it takes to read an archive's files: where they are, the key (undefined: not encrypted), who does the AES, and
 * whether this is what was decrypted of an archive. Of the state of a chain, `chain` reads the files.
 * @typedef {{ source: import('./types.js').Source, key: import('../../.build/wasm/decryptor_wasm.js').DataKey|undefined,
 *   engine: any, opened: boolean, chain?: import('./chain.js').ChainState }} Access
 */

/**
 * The content of a planned file as views of WASM memory, each good until the next is asked for. Throws `damaged` with
 * the file's path, at the latest at the end.
 * @param {Access} access
 * @param {PlannedFile} file
 * @param {{ gunzip: boolean, hash?: boolean }} options `hash`: check the SHA-256 of the stored bytes too, which is
 *   always done for a file that is not encrypted
 */
export async function * streamFile ({ source, key, engine, opened, chain }, file, { gunzip, hash = false }) {
  if (chain !== undefined) return yield * chain.stream(file, { hash });
  const inflate = file.gzip && gunzip;
  try {
    const { summary, sha256 } = yield * pump(source, file.path, {
      key: file.encrypted ? key : undefined,
      gunzip: inflate,
      lines: file.jsonl && (inflate || !file.gzip),
      hash: hash || !file.encrypted,
      engine,
      size: file.size,
    });
    judge(JSON.stringify(file.expected), JSON.stringify(summary), sha256, opened);
    return summary;
  } catch (error) {
    throw withPath(file.path, error);
  }
}
