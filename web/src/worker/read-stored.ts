import type { ReadOptions } from '../../../npm/src/opening.js';
import type { Found } from '../../../npm/src/volumes.js';
import { FileReader, Sha256, memoryAt } from './core.js';
import { FramesAhead } from './frames.js';
import { contentOf } from './reading.js';
import type { Source } from './source/source.js';
import type { Summary } from '../types.js';

// A small file gets a buffer of its own size, for making one costs time too.
const BLOCK = 4 * 1024 * 1024;
const SMALLEST_BLOCK = 4096;
// The core opens so many bytes sooner than the browser's cipher, which works beside this thread, answers.
const SMALL = 64 * 1024;

/** A file by itself, or a member of a volume. */
async function * bytesOf (source: Source & { find? (path: string): Promise<Found | undefined> }, path: string): AsyncGenerator<Uint8Array> {
  const found = await source.find?.(path);
  if (found === undefined) return yield * source.read(path);
  if (found.start.length > 0) yield found.start;
  if (found.rest !== undefined) yield * source.read(found.rest.path, found.rest.offset, found.rest.length);
}

export interface ReadResult { summary: Summary, sha256: string | undefined }

/**
 * Reads a stored file through the core and yields its content piece by piece; returns the core's summary and the SHA-256
 * of the stored bytes (undefined unless asked for). Every piece is authentic when it is yielded, but only the end of the
 * file shows that nothing is missing. Use a piece before anything is awaited, or make it `owned`.
 */
export async function * readStored (source: Source, path: string, options: ReadOptions): AsyncGenerator<Uint8Array, ReadResult> {
  const { key, gunzip, lines, engine, size = BLOCK } = options;
  const buffer = Math.min(BLOCK, Math.max(SMALLEST_BLOCK, size));
  const ahead = key !== undefined && engine === 'host' && size > SMALL ? new FramesAhead() : undefined;
  const reader = key === undefined
    ? FileReader.cleartext(gunzip, lines, buffer)
    : FileReader.sealed(key, gunzip, lines, ahead?.open, buffer);
  const hash = options.hash ? new Sha256() : undefined;
  try {
    const direct = !gunzip && !lines;
    yield * contentOf(reader, ahead, bytesOf(source, path), direct, memoryAt, hash === undefined ? undefined : (bytes) => hash.update(bytes));
    return { summary: reader.finish(), sha256: hash?.finish() };
  } finally {
    reader.free();
    hash?.free();
  }
}
