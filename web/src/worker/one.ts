// One file of an archive, for whoever saves or shows it by itself.
import type { Call } from '../rpc.js';
import type { ExportedFile } from '../types.js';
import type { Archive } from './archive.js';
import { Sha256, outside } from './core.js';
import { Gather } from './output/gather.js';
import { knownDigest } from './save.js';

/** Hands over the content of a file piece by piece. Only the end says that it is whole. */
export async function readFile (archive: Archive, path: string, call: Call): Promise<ExportedFile> {
  const file = archive.file(path);
  const known = knownDigest(file);
  const digest = known === undefined ? new Sha256() : undefined;
  let size = 0;
  const gather = new Gather(call, (bytes) => ({ bytes, progressOf: { done: size, total: file.size, path: file.path } }));
  try {
    for await (const view of archive.stream(file, { gunzip: false })) {
      const piece = outside(view);
      size += piece.length;
      digest?.update(piece);
      await gather.put(piece);
    }
    await gather.flush();
    return { path: file.path, size, sha256: known ?? digest?.finish() ?? '' };
  } finally {
    digest?.free();
  }
}
