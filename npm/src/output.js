import { closeSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, rmdirSync, writeSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { DecryptError } from './errors.js';

const STAGING_PREFIX = '.decrypting-';

/**
 * The folder that is written to. A file is made in a staging folder inside it and renamed to its place when it is
 * whole and authentic; with `together`, all are renamed at the end or none.
 */
export class OutputFolder {
  /**
   * @param {string} folder
   * @param {{ force: boolean, together: boolean }} options
   */
  constructor (folder, { force, together }) {
    this.root = resolve(folder);
    this.together = together;
    /** @type {string[]} paths that wait for the end */
    this.waiting = [];
    try {
      this.created = mkdirSync(this.root, { recursive: true });
      if (!force && readdirSync(this.root).length > 0) {
        throw new DecryptError('usage', `${folder} is not empty: choose another folder, or give --force to write into it`);
      }
      this.staging = mkdtempSync(join(this.root, STAGING_PREFIX));
    } catch (error) {
      throw error instanceof DecryptError ? error : failed(folder, error);
    }
  }

  /**
   * Starts a file.
   * @param {string} path relative, with `/`; the core has found it to be a path of the format
   */
  create (path) {
    const staged = this.#place(this.staging, path);
    const fd = attempt(path, () => {
      mkdirSync(dirname(staged), { recursive: true });
      return openSync(staged, 'wx', 0o600);
    });
    return {
      /** @param {Uint8Array} piece */
      write: (piece) => attempt(path, () => {
        for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
      }),
      /** The file is whole: give it its name. */
      commit: () => {
        attempt(path, () => closeSync(fd));
        if (this.together) this.waiting.push(path);
        else this.#publish(path, path);
      },
      /** The file is damaged: keep what stood before the damage under a name that says so. */
      salvage: () => {
        attempt(path, () => closeSync(fd));
        this.#publish(path, path + '.salvaged');
        return path + '.salvaged';
      },
      discard: () => {
        closeSync(fd);
        rmSync(staged, { force: true });
      },
    };
  }

  /** Everything is done: gives waiting files their names and removes the staging folder. */
  finish () {
    for (const path of this.waiting) this.#publish(path, path);
    rmSync(this.staging, { recursive: true, force: true });
  }

  /** Removes what has no final name yet, and the folder itself if this run made it and it is empty. */
  abandon () {
    rmSync(this.staging, { recursive: true, force: true });
    if (this.created === undefined) return;
    try {
      rmdirSync(this.root);
    } catch {
      // Files that were finished before are good, and stay.
    }
  }

  /**
   * @param {string} from
   * @param {string} to
   */
  #publish (from, to) {
    attempt(to, () => {
      this.#makeFolders(dirname(to));
      renameSync(this.#place(this.staging, from), this.#place(this.root, to));
    });
  }

  /**
   * Makes the folders of a path one by one: a link among them could lead out of the folder.
   * @param {string} path
   */
  #makeFolders (path) {
    if (path === '.') return;
    let folder = this.root;
    for (const name of path.split('/')) {
      folder = join(folder, name);
      mkdirSync(folder, { recursive: true });
      if (!lstatSync(folder).isDirectory()) throw new Error(`${folder} is not a folder`);
    }
  }

  /**
   * @param {string} root
   * @param {string} path
   */
  #place (root, path) {
    const place = resolve(root, ...path.split('/'));
    if (!place.startsWith(root + sep)) throw new DecryptError('damaged', `${path} leads out of the folder`);
    return place;
  }
}

/**
 * @template T
 * @param {string} path
 * @param {() => T} action
 * @returns {T}
 */
function attempt (path, action) {
  try {
    return action();
  } catch (error) {
    throw failed(path, error);
  }
}

/**
 * @param {string} path
 * @param {unknown} error
 */
function failed (path, error) {
  return new DecryptError('failed', `cannot write ${path}: ${/** @type {any} */ (error).message}`);
}
