import { errorOf } from '../core.js';
import { blocksOf } from './blocks.js';

/** Where an archive's files come from. */
export interface Source {
  name: string
  list (): Array<[string, number]>
  /** The bytes of a file, block by block, each good until the next is asked for. */
  read (path: string): AsyncIterable<Uint8Array>
}

/** A source over blobs by path. */
export function blobSource (name: string, blobs: Map<string, Blob>): Source {
  return {
    name,
    list: () => sorted([...blobs].map(([path, blob]) => [path, blob.size])),
    read (path) {
      const blob = blobs.get(path);
      if (blob === undefined) throw errorOf('unreadable-file', { path, detail: 'it is not there' });
      return blocksOf(blob, path);
    },
  };
}

export function sorted (listing: Array<[string, number]>): Array<[string, number]> {
  return listing.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/**
 * The folder among these paths that is the backup: the one with manifest.json or encryption.json that is nearest to the
 * top. Empty: the top itself.
 */
export function rootOf (paths: Iterable<string>): string {
  let best: string | undefined;
  for (const path of paths) {
    const match = /^(.*\/)?(manifest|encryption)\.json$/.exec(path);
    if (match === null) continue;
    const folder = match[1] ?? '';
    if (best === undefined || folder.split('/').length < best.split('/').length) best = folder;
  }
  return best ?? '';
}
