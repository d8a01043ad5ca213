/** @typedef {import('./types.js').PlannedFile} PlannedFile */

const FOLDER = 'capsule/';

/**
 * The files of the capsule of an archive: the configuration of the platform, its keys and certificates.
 * @param {Iterable<PlannedFile>} files in the order of their paths
 * @returns {Generator<PlannedFile, void>}
 */
export function * capsuleOf (files) {
  for (const file of files) {
    if (file.path.startsWith(FOLDER)) yield file;
    // There may be millions after them.
    else if (file.path > FOLDER) return;
  }
}
