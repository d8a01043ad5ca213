import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorOf } from './core.js';
import { aboutOf } from './errors.js';
import { placeOf } from './names.js';

/** The folder in which files are made until they are whole and authentic. */
export class Staging {
  /** @param {string} root */
  constructor (root) {
    this.root = root;
    /** @type {Set<number>} files being written */
    this.open = new Set();
  }

  /**
   * Starts a file.
   * @param {string} path relative, with `/`; the core has found it to be a path of the format
   */
  create (path) {
    const staged = placeOf(this.root, path);
    const fd = attempt(path, () => {
      mkdirSync(dirname(staged), { recursive: true });
      return openSync(staged, 'wx', 0o600);
    });
    this.open.add(fd);
    const close = () => { if (this.open.delete(fd)) closeSync(fd); };
    return {
      /** @param {Uint8Array} piece */
      write: (piece) => attempt(path, () => {
        for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
      }),
      close: () => attempt(path, close),
      discard: () => {
        try {
          close();
        } catch {
          // The file is given up: what could not be written of it does not matter.
        }
        rmSync(staged, { force: true });
      },
    };
  }

  /** Removes the folder and all in it. */
  remove () {
    for (const fd of this.open) closeSync(fd);
    this.open.clear();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/**
 * @template T
 * @param {string} path
 * @param {() => T} action
 * @returns {T}
 */
export function attempt (path, action) {
  try {
    return action();
  } catch (error) {
    throw aboutOf(error).code === undefined ? cannotWrite(path, error) : error;
  }
}

/**
 * @param {string} path
 * @param {unknown} error
 */
function cannotWrite (path, error) {
  return errorOf('unwritable-file', { path, detail: /** @type {any} */ (error).message });
}
