import { DecryptError } from '../../../../npm/src/errors.js';
import { errorOf } from '../core.js';
import type { Entry } from './container.js';
import { blocksOf } from './blocks.js';
import { partOfBlob } from './source.js';

const END = 0x06054b50;
const END_64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const FULL_32 = 0xffffffff;
const END_SIZE = 22;
/** With the longest comment. */
const LONGEST_END = END_SIZE + 0xffff;
const SYMBOLIC_LINK = 0o120000;

/** The files of a zip, by its central directory; stored or deflated, ZIP64 too. */
export async function readZip (file: File): Promise<Map<string, Entry>> {
  const damaged = (what: string) => new DecryptError('damaged', `${file.name} ${what}: use another copy`, { code: 'packed-cut' });
  const bytes = async (from: number, to: number) => new DataView(await file.slice(from, to).arrayBuffer());
  const { start, size, count } = await directoryOf(file, bytes, damaged);
  const directory = await bytes(start, start + size);
  const entries = new Map<string, Entry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== CENTRAL) throw damaged('has a damaged table of contents');
    const flags = directory.getUint16(at + 8, true);
    const method = directory.getUint16(at + 10, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => directory.getUint16(at + offset, true));
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameLength)).replaceAll('\\', '/');
    const sizes = sizesOf(directory, at, at + 46 + nameLength, extraLength);
    const mode = directory.getUint32(at + 38, true) >>> 16;
    at += 46 + nameLength + extraLength + commentLength;
    if (name.endsWith('/')) continue;
    if ((flags & 1) !== 0) throw new DecryptError('usage', `${file.name} is a zip with a password: unpack it first, then choose the folder`, { code: 'packed' });
    if (method !== 0 && method !== 8) throw new DecryptError('usage', `${file.name} uses a compression that is not known here: unpack it first`, { code: 'packed' });
    if ((mode & 0o170000) === SYMBOLIC_LINK) {
      throw errorOf('not-a-file', { path: name, found: 'a symbolic link' });
    }
    // Of a volume many parts are read: it is inflated once.
    let whole: Promise<Blob> | undefined;
    entries.set(name, {
      size: sizes.plain,
      async * read (offset = 0, length = Infinity) {
        const head = await bytes(sizes.offset, sizes.offset + 30);
        if (head.byteLength < 30 || head.getUint32(0, true) !== LOCAL) throw damaged('is damaged');
        const from = sizes.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
        const data = file.slice(from, from + sizes.packed);
        if (method === 0) yield * blocksOf(partOfBlob(data, offset, length), name);
        else if (length === Infinity && offset === 0) yield * inflated(data, name);
        else yield * blocksOf(partOfBlob(await (whole ??= wholeOf(data, name)), offset, length), name);
      },
    });
  }
  // The number of entries is written in 16 bits.
  if (at + 4 <= directory.byteLength && directory.getUint32(at, true) === CENTRAL) throw withoutZip64(file);
  return entries;
}

/** Where the table of contents is. The record that says so is the last thing but a comment, which may hold anything. */
async function directoryOf (file: File, bytes: (from: number, to: number) => Promise<DataView>, damaged: (what: string) => Error) {
  const from = Math.max(0, file.size - LONGEST_END);
  const tail = await bytes(from, file.size);
  let odd: Error | undefined;
  for (let at = tail.byteLength - END_SIZE; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END) continue;
    if (at >= 20 && tail.getUint32(at - 20, true) === END_64_LOCATOR) {
      const end = Number(tail.getBigUint64(at - 12, true));
      const end64 = await bytes(end, end + 56);
      if (end64.byteLength < 56) throw damaged('has a damaged table of contents');
      return {
        count: Number(end64.getBigUint64(32, true)),
        size: Number(end64.getBigUint64(40, true)),
        start: Number(end64.getBigUint64(48, true)),
      };
    }
    const found = { count: tail.getUint16(at + 10, true), size: tail.getUint32(at + 12, true), start: tail.getUint32(at + 16, true) };
    // The table ends where this record begins; its place is written in 32 bits.
    const real = from + at - found.size;
    if (real === found.start && at + END_SIZE + tail.getUint16(at + 20, true) <= tail.byteLength) return found;
    odd ??= real > FULL_32 && real % (FULL_32 + 1) === found.start ? withoutZip64(file) : damaged('has a damaged table of contents');
  }
  throw odd ?? damaged('was cut short');
}

function withoutZip64 (file: File): Error {
  return new DecryptError('usage', `${file.name} was packed without ZIP64, which more than 65,535 files or 4 GiB need: ` +
    'unpack it first, then choose the folder, or pack it with another program', { code: 'packed' });
}

function sizesOf (directory: DataView, at: number, extra: number, extraLength: number) {
  const found = { packed: directory.getUint32(at + 20, true), plain: directory.getUint32(at + 24, true), offset: directory.getUint32(at + 42, true) };
  for (let e = extra; e + 4 <= extra + extraLength;) {
    const [id, length] = [directory.getUint16(e, true), directory.getUint16(e + 2, true)];
    let field = e + 4;
    const next = () => {
      const value = Number(directory.getBigUint64(field, true));
      field += 8;
      return value;
    };
    if (id === 1) {
      if (found.plain === FULL_32) found.plain = next();
      if (found.packed === FULL_32) found.packed = next();
      if (found.offset === FULL_32) found.offset = next();
    }
    e += 4 + length;
  }
  return found;
}

async function wholeOf (data: Blob, name: string): Promise<Blob> {
  const blocks: Blob[] = [];
  for await (const block of inflated(data, name)) blocks.push(new Blob([block as BlobPart]));
  return new Blob(blocks);
}

async function * inflated (data: Blob, name: string): AsyncGenerator<Uint8Array> {
  const reader = data.stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch {
    throw new DecryptError('damaged', `${name}: its data in the zip is damaged`, { code: 'packed-cut', path: name, detail: 'its data in the zip is damaged' });
  } finally {
    void reader.cancel().catch(() => {});
  }
}
