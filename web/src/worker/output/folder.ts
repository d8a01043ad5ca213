import type { Job } from '../../rpc.js';
import type { Output } from '../work.js';
import { Gather } from './gather.js';

/** Sends every file to the page, which writes it into the folder that the user chose. */
export function folderOutput (job: Job): Output {
  const gather = new Gather(job, (bytes) => ({ bytes }));
  return {
    create: (path) => job.emit({ create: path }),
    write: (piece) => gather.put(piece),
    async commit (file) {
      await gather.flush();
      await job.emit({ commit: file });
    },
    async discard () {
      await gather.flush();
      await job.emit({ discard: true });
    },
  };
}
