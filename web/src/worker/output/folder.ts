import type { Call } from '../../rpc.js';
import type { Output } from '../save.js';
import { Gather } from './gather.js';

/** Sends every file to the page, which writes it into the folder that the user chose. */
export function folderOutput (call: Call): Output {
  const gather = new Gather(call, (bytes) => ({ bytes }));
  return {
    create: (path) => call.emit({ create: path }),
    write: (piece) => gather.put(piece),
    async commit (file) {
      await gather.flush();
      await call.emit({ commit: file });
    },
    async discard () {
      await gather.flush();
      await call.emit({ discard: true });
    },
  };
}
