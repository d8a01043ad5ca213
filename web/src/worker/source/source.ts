import { errorOf } from '../core.js';
import { blocksOf } from './blocks.js';

/** Where an archive's files come from. */
export interface Source {
  name: string
  /** All of it is in a single tar file of so many bytes, whose path is empty. */
  tar?: number
  list (): Array<[string, number]>
  /** The bytes of a file, or of a part of it, block by block, each good until the next is asked for. */
  read (path: string, offset?: number, length?: number): AsyncIterable<Uint8Array>
}

/** The bytes of a small part of a file; fewer where the file ends. */
export async function partOf (source: Source, path: string, offset: number, length: number): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  for await (const block of source.read(path, offset, length)) blocks.push(block.slice());
  return blocks.length === 1 ? blocks[0] as Uint8Array : new Uint8Array(await new Blob(blocks as BlobPart[]).arrayBuffer());
}

/** A source over blobs by path. */
export function blobSource (name: string, blobs: Map<string, Blob>): Source {
  return {
    name,
    list: () => sorted([...blobs].map(([path, blob]) => [path, blob.size])),
    read (path, offset, length) {
      const blob = blobs.get(path);
      if (blob === undefined) throw errorOf('unreadable-file', { path, detail: 'it is not there' });
      return blocksOf(offset === undefined ? blob : partOfBlob(blob, offset, length), path);
    },
  };
}

export function partOfBlob (blob: Blob, offset: number, length = Infinity): Blob {
  return blob.slice(offset, Math.min(blob.size, offset + length));
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
