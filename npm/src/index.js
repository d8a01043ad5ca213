export { Archive, openArchive } from './archive.js';
export { diskSource, folderSource } from './source.js';
export { unlockWith } from './secrets.js';
export { DecryptError, exitCodeOf } from './errors.js';
