/** What kind of thing went wrong; decides the exit code. */
/** @typedef {'usage'|'key'|'damaged'|'unsupported'|'failed'|'interrupted'} ErrorKind */

/** An error whose message is one line for the user: what happened, to what, what to do. */
export class DecryptError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   */
  constructor (kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** @type {Record<string, number>} */
const EXIT_CODES = { usage: 2, key: 3, damaged: 4, unsupported: 1, failed: 1, interrupted: 130 };

/**
 * The kind of anything that was thrown; the core's errors carry theirs.
 * @param {unknown} error
 * @returns {ErrorKind}
 */
export function kindOf (error) {
  const kind = /** @type {any} */ (error)?.kind;
  return typeof kind === 'string' && kind in EXIT_CODES ? /** @type {ErrorKind} */ (kind) : 'failed';
}

/**
 * @param {unknown} error
 * @returns {number} the exit code of the process
 */
export function exitCodeOf (error) {
  return EXIT_CODES[kindOf(error)];
}

/** What to do when the core gets no memory: beside what it uses, Node.js reserves some ten gigabytes of address space for it. */
export const MORE_MEMORY = 'raise the limit of this process (ulimit -v, a container), or run the script as ' +
  '`node --disable-wasm-trap-handler decrypt-backup.mjs` (Node.js 20.15 or later), which needs less of it';

/**
 * @param {unknown} error
 * @returns {string} one line
 */
export function messageOf (error) {
  if (error instanceof WebAssembly.RuntimeError) {
    return `the decryption core stopped, mostly for want of memory (${error.message}): ${MORE_MEMORY}`;
  }
  const message = /** @type {any} */ (error)?.message;
  return (typeof message === 'string' ? message : String(error)).split('\n')[0];
}

/**
 * The error with the file's path in front, once.
 * @param {string} path
 * @param {unknown} error
 */
export function withPath (path, error) {
  const message = messageOf(error);
  return new DecryptError(kindOf(error), message.includes(path) ? message : `${path}: ${message}`);
}
