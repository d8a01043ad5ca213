// A backup that was packed into one file.
import { DecryptError } from '../../../../npm/src/errors.js';
import { errorOf } from '../core.js';
import { rootOf, type Source } from './source.js';
import { readTar } from './tar.js';
import { readZip } from './zip.js';

/** One packed file. */
export interface Entry { size: number, read (offset?: number, length?: number): AsyncIterable<Uint8Array> }

/** Opens a .zip or .tar by what is in it, not by its name. */
export async function containerSource (file: File): Promise<Source> {
  const entries = await entriesOf(file);
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

async function entriesOf (file: File): Promise<Map<string, Entry>> {
  const head = new Uint8Array(await file.slice(0, 512).arrayBuffer());
  const text = (from: number, to: number) => String.fromCharCode(...head.subarray(from, to));
  if (text(0, 4) === 'PK\x03\x04' || text(0, 4) === 'PK\x05\x06') return readZip(file);
  if (text(257, 262) === 'ustar') return readTar(file);
  if (text(0, 2) === '\x1f\x8b') {
    throw new DecryptError('usage', `${file.name} is a compressed .tar.gz: unpack it first, then choose the folder`, { code: 'packed' });
  }
  throw new DecryptError('usage', `${file.name} is neither a .zip nor a .tar file: choose the folder of the backup, or such a file of it`, { code: 'packed' });
}
