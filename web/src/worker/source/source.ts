import { DecryptError } from '../../../../npm/src/errors.js';

/** Where an archive's files come from. */
export interface Source {
  name: string
  list (): Array<[string, number]>
  /** The bytes of a file, block by block, each good until the next is asked for. */
  read (path: string): AsyncIterable<Uint8Array>
}

// Bytes that are read at once: a file of the disk comes through another process of the browser, at a price per request. (Its stream
// would go into one buffer again and again, but Chromium lets some streams of large files stand still for ever.)
const BLOCK = 8 * 1024 * 1024;
// So many blocks are being read while one is worked on.
const AHEAD = 2;

/** Bytes of a blob, block by block, each good until the next is asked for. */
export async function * blocksOf (blob: Blob, path: string): AsyncGenerator<Uint8Array> {
  const coming: Array<Promise<ArrayBuffer>> = [];
  let asked = 0;
  for (;;) {
    for (; coming.length < AHEAD && asked < blob.size; asked += BLOCK) {
      const block = blob.slice(asked, asked + BLOCK).arrayBuffer();
      block.catch(() => {}); // a failure is told when its block is asked for
      coming.push(block);
    }
    const next = coming.shift();
    if (next === undefined) return;
    let block;
    try {
      block = new Uint8Array(await next);
    } catch (error) {
      throw error instanceof DOMException ? new DecryptError('failed', `cannot read ${path}: ${error.message}`) : error;
    }
    yield block;
    // Given back at once: left to the garbage collector, hundreds of megabytes would pile up.
    (block.buffer as { transfer?: (length: number) => ArrayBuffer }).transfer?.(0);
  }
}

/** A source over blobs by path. */
export function blobSource (name: string, blobs: Map<string, Blob>): Source {
  return {
    name,
    list: () => sorted([...blobs].map(([path, blob]) => [path, blob.size])),
    read (path) {
      const blob = blobs.get(path);
      if (blob === undefined) throw new DecryptError('failed', `cannot read ${path}: it is not there`);
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
