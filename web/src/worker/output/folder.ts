import type { Job } from '../../rpc.js';
import type { Output } from '../work.js';

/** Sends every file to the page, which writes it into the folder that the user chose. */
export function folderOutput (job: Job): Output {
  return {
    create: (path) => job.emit({ create: path }),
    write: (piece) => job.emit({ bytes: piece }, [piece.buffer as ArrayBuffer]),
    commit: () => job.emit({ commit: true }),
    discard: () => job.emit({ discard: true }),
  };
}
