import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorOf, requireTar } from './core.js';
import { DecryptError } from './errors.js';

/** @typedef {import('./types.js').Source} Source */
/** @typedef {import('./types.js').SyncFile} SyncFile */

/** Bytes at both ends of a file that tell what it is. */
const LOOK = 4096;

// Absent on Windows, where links need a privilege to be made.
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * A backup on this machine: in a folder, or in a single tar file.
 * @param {string} path
 * @returns {Source}
 */
export function diskSource (path) {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? tarSource(path) : folderSource(path);
}

/**
 * A backup in a single tar file of this machine.
 * @param {string} path
 * @returns {Source}
 */
function tarSource (path) {
  const { size } = statSync(path);
  const part = (/** @type {number} */ offset, /** @type {number} */ length) => partOf(path, path, offset, length);
  return {
    name: path,
    tar: size,
    async list () {
      requireTar(path, part(0, LOOK), part(Math.max(0, size - LOOK), LOOK));
      return [['', size]];
    },
    async open (_, offset, length) { return openFile(path, path, offset, length); },
    async part (_, offset, length) { return part(offset, length); },
  };
}

/**
 * A backup in a folder of this machine. Symbolic links are refused: a backup holds none, and one
 * could make a file outside the folder look like a part of it.
 * @param {string} root
 * @returns {Source}
 */
export function folderSource (root) {
  return {
    name: root,
    async list () {
      /** @type {Array<[string, number]>} */
      const found = [];
      await walk(root, '', found);
      return found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    },
    async open (path, offset, length) {
      return openFile(join(root, ...path.split('/')), path, offset, length);
    },
    async part (path, offset, length) {
      return partOf(join(root, ...path.split('/')), path, offset, length);
    },
  };
}

/**
 * @param {string} folder on disk
 * @param {string} prefix of its files' paths in the archive
 * @param {Array<[string, number]>} found
 */
async function walk (folder, prefix, found) {
  for (const entry of await readFolder(folder)) {
    const name = textOf(folder, entry.name);
    const path = prefix + name;
    const onDisk = join(folder, name);
    if (entry.isDirectory()) {
      await walk(onDisk, path + '/', found);
    } else if (entry.isFile()) {
      found.push([path, (await lstat(onDisk)).size]);
    } else {
      throw errorOf('not-a-file', { path: onDisk, found: entry.isSymbolicLink() ? 'a symbolic link' : 'not a regular file' });
    }
  }
}

/**
 * The name of an entry of a folder.
 * @param {string} folder
 * @param {Uint8Array} name
 */
function textOf (folder, name) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    throw new DecryptError('damaged', `${join(folder, Buffer.from(name).toString())} has a name that is not text: an archive holds none; remove it`);
  }
}

/** @param {string} folder */
async function readFolder (folder) {
  try {
    return await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    const code = /** @type {any} */ (error).code;
    if (code === 'ENOENT') throw errorOf('folder-missing', { path: folder });
    if (code === 'ENOTDIR') throw errorOf('not-a-folder', { path: folder });
    throw new DecryptError('failed', `cannot read the folder ${folder}: ${/** @type {any} */ (error).message}`);
  }
}

/**
 * The bytes of a small part of a file; fewer where it ends.
 * @param {string} onDisk
 * @param {string} path in the archive, for messages
 * @param {number} offset
 * @param {number} length
 */
function partOf (onDisk, path, offset, length) {
  const file = openFile(onDisk, path, offset, length);
  try {
    return wholeOf(file, Math.min(length, file.size));
  } finally {
    file.close();
  }
}

/**
 * All that a file gives, at most `size` bytes.
 * @param {SyncFile} file
 * @param {number} size
 */
function wholeOf (file, size) {
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const read = file.read(bytes.subarray(filled));
    if (read === 0) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}

/**
 * Opens a file, or a part of it. `size`: the bytes of the file from `offset` on.
 * @param {string} onDisk
 * @param {string} path in the archive, for messages
 * @param {number} [offset]
 * @param {number} [length]
 * @returns {SyncFile & { size: number }}
 */
function openFile (onDisk, path, offset = 0, length = Infinity) {
  try {
    const fd = openSync(onDisk, constants.O_RDONLY | NO_FOLLOW);
    const found = fstatSync(fd);
    if (!found.isFile()) {
      closeSync(fd);
      throw errorOf('not-a-file', { path, found: 'not a regular file' });
    }
    let at = offset;
    const end = offset + length;
    return {
      size: Math.max(0, found.size - offset),
      read (into) {
        try {
          const read = readSync(fd, into, 0, Math.min(into.length, end - at), at);
          at += read;
          return read;
        } catch (error) {
          throw failedToRead(path, error);
        }
      },
      close () { closeSync(fd); },
    };
  } catch (error) {
    throw error instanceof DecryptError ? error : failedToRead(path, error);
  }
}

/**
 * @param {string} path
 * @param {unknown} error
 */
function failedToRead (path, error) {
  return errorOf('unreadable-file', { path, detail: /** @type {any} */ (error).message });
}
