/** The kind of an error; it decides the exit code. */
/** @typedef {'usage'|'key'|'damaged'|'unsupported'|'failed'|'interrupted'} ErrorKind */

/**
 * The data of an error for programs (docs/errors.md): its code, and the things that it concerns. `advice` continues the message for users of the
 * command line.
 * @typedef {{ code?: string, advice?: string, path?: string, run?: number, other?: number, state?: number, instead?: number, user?: string,
 *   key?: string, found?: string|number, expected?: string|number, number?: number, limit?: number, detail?: string }} About
 */

const ABOUT = /** @type {const} */ ([
  'code', 'advice', 'path', 'run', 'other', 'state', 'instead', 'user', 'key', 'found', 'expected', 'number', 'limit', 'detail',
]);

/** An error whose message is one line for the user: what happened, to what, what to do. The core's errors have the same properties. */
export class DecryptError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   * @param {About} [about]
   */
  constructor (kind, message, about = {}) {
    super(message);
    this.kind = kind;
    /** A stable name for programs; of an error that has no code of its own, its kind. */
    this.code = about.code ?? kind;
    Object.assign(this, { detail: message }, about);
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

/** Advice for a core that gets no memory: beside what it uses, Node.js reserves some ten gigabytes of address space for it. */
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
 * @param {unknown} error
 * @returns {string} one line, with the flags that help
 */
export function withAdvice (error) {
  return messageOf(error) + (aboutOf(error).advice ?? '');
}

/**
 * @param {unknown} error
 * @returns {About} its data beside kind and message
 */
export function aboutOf (error) {
  /** @type {any} */
  const about = {};
  // Errors of the system have a code and a path too, of another kind.
  if (/** @type {any} */ (error)?.kind === undefined) return about;
  for (const name of ABOUT) {
    const value = /** @type {any} */ (error)[name];
    if (value !== undefined) about[name] = value;
  }
  return about;
}

/**
 * A copy of an error that can cross to another thread.
 * @param {unknown} error
 * @returns {{ kind: ErrorKind, message: string, about: About }}
 */
export function plainOf (error) {
  return { kind: kindOf(error), message: messageOf(error), about: aboutOf(error) };
}

/**
 * The error with the path of its file, and that in front, unless it names one already.
 * @param {string} path
 * @param {unknown} error
 */
export function withPath (path, error) {
  const about = aboutOf(error);
  const message = messageOf(error);
  return new DecryptError(kindOf(error), about.path === undefined ? `${path}: ${message}` : message, { detail: message, path, ...about });
}
