import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DecryptError } from './errors.js';
import { placeOf } from './names.js';
import { Staging, attempt } from './staging.js';

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
    this.staging = attempt(folder, () => {
      this.created = makeRoot(this.root);
      if (!force && readdirSync(this.root).length > 0) {
        throw new DecryptError('usage', `${folder} is not empty: choose another folder, or give --force to write into it`);
      }
      return new Staging(mkdtempSync(join(this.root, STAGING_PREFIX)));
    });
  }

  /**
   * Throws when two files would overwrite each other here.
   * @param {(caseless: boolean) => string[]|undefined} collision finds two such files; `caseless`: `A` and `a` are the same here
   */
  requireDistinct (collision) {
    const pair = collision(isCaseless(this.staging.root));
    if (pair === undefined) return;
    throw new DecryptError('failed', `${pair[0]} and ${pair[1]} would overwrite each other in ${this.root}: ` +
      'decrypt into a folder whose file system tells upper from lower case, or leave the files compressed');
  }

  /**
   * A staged file is whole: gives it its name.
   * @param {string} path
   */
  keep (path) {
    if (this.together) this.waiting.push(path);
    else this.#publish(path, path);
  }

  /**
   * Keeps the part of a staged file before its damage under a name that says so, which is returned.
   * @param {string} path
   */
  salvage (path) {
    this.#publish(path, path + '.salvaged');
    return path + '.salvaged';
  }

  /** Everything is done: gives waiting files their names and removes the staging folder. */
  finish () {
    for (const path of this.waiting) this.#publish(path, path);
    this.staging.remove();
  }

  /** Removes what has no final name yet, and the folders that this run made as far as they are empty. */
  abandon () {
    this.staging.remove();
    if (this.created === undefined) return;
    try {
      for (let folder = this.root; ; folder = dirname(folder)) {
        rmdirSync(folder);
        if (folder === this.created) return;
      }
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
      renameSync(placeOf(this.staging.root, from), placeOf(this.root, to));
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
}

/**
 * Whether the file system also knows a folder, whose name has small letters, by capital ones.
 * @param {string} folder
 */
function isCaseless (folder) {
  return existsSync(join(dirname(folder), basename(folder).toUpperCase()));
}

/**
 * Makes a folder; undefined when it was there.
 * @param {string} folder
 */
function makeRoot (folder) {
  try {
    return mkdirSync(folder, { recursive: true });
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'EEXIST' || code === 'ENOTDIR') throw new Error('it is not a folder');
    throw error;
  }
}
