import { SMALL } from '../../../npm/src/trust.js';
import { FileReader, Sha256, memoryAt, owned, refuseLong, type DataKey, type Engine } from './core.js';
import { FramesAhead } from './frames.js';
import { contentOf } from './reading.js';
import type { Source } from './source/source.js';
import type { Summary } from '../types.js';

// A small file gets a buffer of its own size, for making one costs time too.
const BLOCK = 4 * 1024 * 1024;
const SMALLEST_BLOCK = 4096;

/** How to read a file: with which key (undefined: it is cleartext), and what to do beside. */
export interface ReadOptions {
  key: DataKey | undefined
  engine: Engine
  gunzip: boolean
  lines: boolean
  hash: boolean
  size?: number
}

export interface ReadResult { summary: Summary, sha256: string | undefined }

/**
 * Reads a stored file through the core and yields its content piece by piece; returns the core's summary and the SHA-256
 * of the stored bytes (undefined unless asked for). Every piece is authentic when it is yielded, but only the end of the
 * file shows that nothing is missing. Use a piece before anything is awaited, or make it `owned`.
 */
export async function * pump (source: Source, path: string, options: ReadOptions): AsyncGenerator<Uint8Array, ReadResult> {
  const { key, gunzip, lines, engine, size = BLOCK } = options;
  const buffer = Math.min(BLOCK, Math.max(SMALLEST_BLOCK, size));
  const ahead = key !== undefined && engine === 'host' ? new FramesAhead() : undefined;
  const reader = key === undefined
    ? FileReader.cleartext(gunzip, lines, buffer)
    : FileReader.sealed(key, gunzip, lines, ahead?.open, buffer);
  const hash = options.hash ? new Sha256() : undefined;
  try {
    const direct = !gunzip && !lines;
    yield * contentOf(reader, ahead, source.read(path), direct, memoryAt, hash === undefined ? undefined : (bytes) => hash.update(bytes));
    return { summary: JSON.parse(reader.finish()), sha256: hash?.finish() };
  } finally {
    reader.free();
    hash?.free();
  }
}

/** A whole small file; throws when it is larger than any of its kind. */
export async function readWhole (source: Source, path: string, options: ReadOptions): Promise<ReadResult & { content: Uint8Array }> {
  const parts: Uint8Array[] = [];
  const pieces = pump(source, path, options);
  let length = 0;
  try {
    for (;;) {
      const next = await pieces.next();
      if (next.done === true) return { content: concat(parts), ...next.value };
      parts.push(owned(next.value));
      length += next.value.length;
      refuseLong(path, length);
    }
  } finally {
    await pieces.return(undefined as any);
  }
}

/** A small file as it is stored, hash included. */
export function readStored (source: Source, path: string) {
  return readWhole(source, path, { key: undefined, gunzip: false, lines: false, hash: true, engine: 'wasm' });
}

/** A file of a few kilobytes as it is stored; of a longer one, more than any such file has. */
export async function readSmall (source: Source, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const block of source.read(path)) {
    parts.push(block.slice(0, SMALL - length));
    length += parts[parts.length - 1].length;
    if (length === SMALL) break;
  }
  return concat(parts);
}

export function concat (parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
