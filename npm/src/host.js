import { Opening, Step, VolumeReading, errorOf, look as lookWithoutKey } from './core.js';
import { readStored } from './read-stored.js';

/** Drives the core's walk over an archive in Node.js. @type {import('./opening.js').Host<import('./types.js').Source>} */
export const HOST = {
  core: { Opening, Step, VolumeReading, errorOf, look: lookWithoutKey },
  readStored,
};
