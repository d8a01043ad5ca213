// What is read of files in the clear has bounds, wherever the core runs: a file of gigabytes costs whoever stores a backup nothing.
import { DecryptError, withPath } from './errors.js';

/** What is read in one piece; the names of a chain's runs are in front of it. */
const IN_ONE_PIECE = /(^|\/)(manifest|encryption|chain)\.json$/;
const INCREMENTS = 'increments';
/** Lines of `SHA256SUMS` that tell of runs. */
const OF_RUNS = /^.{66}(chain\.json|increments\/\d{4,}\/manifest\.json)\s*$/;
/** No line of it is longer: digest, two spaces, path. */
const LONGEST = 64 + 2 + 1024;

/**
 * Throws where a file that is to be read in one piece is larger than any of its kind, or lies where a folder should be.
 * @param {(path: string, bytes: number) => void} refuseLong of the core
 * @param {Array<[string, number]>} listing
 */
export function judgeListing (refuseLong, listing) {
  for (const [path, size] of listing) {
    if (path === INCREMENTS) {
      throw new DecryptError('damaged', `${INCREMENTS} is not a folder, although the runs of a chain lie there: remove it or copy the backup again`, { path: INCREMENTS });
    }
    if (IN_ONE_PIECE.test(path)) refuseLong(path, size);
  }
}

/**
 * The lines of `SHA256SUMS` that tell of the runs of a chain.
 * @param {AsyncIterable<Uint8Array>} blocks its content
 * @returns {Promise<string>}
 */
export async function linesOfRuns (blocks) {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const wrong = () => withPath('SHA256SUMS', new DecryptError('damaged',
    'holds a line that is no text, or longer than any: the file was changed; use another copy of the backup'));
  const text = (/** @type {Uint8Array|undefined} */ block) => {
    try {
      return decoder.decode(block, { stream: block !== undefined });
    } catch {
      throw wrong();
    }
  };
  /** @type {string[]} */
  const found = [];
  let rest = '';
  for await (const block of blocks) {
    const lines = (rest + text(block)).split('\n');
    if (lines.some(({ length }) => length > LONGEST)) throw wrong();
    rest = /** @type {string} */ (lines.pop());
    found.push(...lines.filter((line) => OF_RUNS.test(line)));
  }
  found.push(rest + text(undefined));
  return found.join('\n');
}
