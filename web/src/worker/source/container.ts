// A backup in one file: written so, or packed by another program.
import { DecryptError } from '../../../../npm/src/errors.js';
import { errorOf, requireTar } from '../core.js';
import { blocksOf } from './blocks.js';
import { partOfBlob, rootOf, type Source } from './source.js';
import { readTar } from './tar.js';
import { readZip } from './zip.js';

/** One packed file. */
export interface Entry { size: number, read (offset?: number, length?: number): AsyncIterable<Uint8Array> }

/** Bytes at both ends of a file that tell what it is. */
const LOOK = 4096;

/** Opens a .zip or .tar by what is in it, not by its name. A tar file that was written as a backup is read in place, like a volume. */
export async function fileSource (file: File): Promise<Source> {
  const bytes = async (from: number, to?: number) => new Uint8Array(await file.slice(from, to).arrayBuffer());
  const [head, tail] = await Promise.all([bytes(0, LOOK), bytes(Math.max(0, file.size - LOOK))]);
  if (!isTar(file.name, head, tail)) return packedSource(file, head);
  return {
    name: file.name,
    tar: file.size,
    list: () => [['', file.size]],
    read: (_, offset = 0, length) => blocksOf(partOfBlob(file, offset, length), file.name),
  };
}

function isTar (name: string, head: Uint8Array, tail: Uint8Array): boolean {
  try {
    requireTar(name, head, tail);
    return true;
  } catch {
    return false;
  }
}

/** The folder of a backup that was packed. */
async function packedSource (file: File, head: Uint8Array): Promise<Source> {
  const entries = await entriesOf(file, head);
  const root = rootOf(entries.keys());
  const inside = new Map([...entries].filter(([path]) => path.startsWith(root)).map(([path, entry]) => [path.slice(root.length), entry]));
  return {
    name: file.name,
    list: () => [...inside].map(([path, { size }]): [string, number] => [path, size]).sort((a, b) => (a[0] < b[0] ? -1 : 1)),
    read (path, offset, length) {
      const entry = inside.get(path);
      if (entry === undefined) throw errorOf('unreadable-file', { path, detail: 'it is not there' });
      return entry.read(offset, length);
    },
  };
}

async function entriesOf (file: File, head: Uint8Array): Promise<Map<string, Entry>> {
  const text = (from: number, to: number) => String.fromCharCode(...head.subarray(from, to));
  if (text(0, 4) === 'PK\x03\x04' || text(0, 4) === 'PK\x05\x06') return readZip(file);
  if (text(257, 262) === 'ustar') return readTar(file);
  if (text(0, 2) === '\x1f\x8b') {
    throw new DecryptError('usage', `${file.name} is a compressed .tar.gz: unpack it first, then choose the folder`, { code: 'packed' });
  }
  throw new DecryptError('usage', `${file.name} is neither a .zip nor a .tar file: choose the folder of the backup, or such a file of it`, { code: 'packed' });
}
