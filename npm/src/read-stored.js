import { createHash } from 'node:crypto';
import { FileReader, memoryAt, outputsOf } from './core.js';

/** @typedef {import('./types.js').Source} Source */
/** @typedef {import('./types.js').Summary} Summary */
/** @typedef {import('./types.js').SyncFile} SyncFile */

// After this time the event loop gets a turn, for signals and other tasks. A count of stored bytes would not do:
// a few of them may inflate to gigabytes.
const TURN_MS = 50;

// Bytes read at once; a small file gets a buffer of its own size, for making one costs time too.
const BLOCK = 4 * 1024 * 1024;
const SMALLEST_BLOCK = 4096;

/** @typedef {import('./opening.js').ReadOptions} ReadOptions */

/**
 * Reads a stored file through the core and yields its content piece by piece; returns the core's summary and the
 * SHA-256 of the stored bytes (undefined unless asked for). Every piece is authentic when it is yielded, but only the
 * end of the file shows that nothing is missing. A piece is a view of WASM memory, good until the next one is asked for.
 * @param {Source} source
 * @param {string} path
 * @param {ReadOptions} options
 * @returns {AsyncGenerator<Uint8Array, { summary: Summary, sha256: string|undefined }, void>}
 */
export async function * readStored (source, path, options) {
  const file = await fileOf(source, path);
  const { key, gunzip, lines, engine, size = BLOCK } = options;
  const buffer = Math.min(BLOCK, Math.max(SMALLEST_BLOCK, size));
  const reader = key === undefined
    ? FileReader.cleartext(gunzip, lines, buffer)
    : FileReader.sealed(key, gunzip, lines, engine, buffer);
  const hash = options.hash ? createHash('sha256') : undefined;
  let turn = Date.now();
  try {
    const blocks = 'read' in file ? readBlocks(file, reader) : copyBlocks(file, reader);
    for await (const size of blocks) {
      hash?.update(memoryAt(reader.inputPtr, size));
      try {
        reader.process(size);
      } catch (damage) {
        yield * outputsOf(reader); // the content before the damage
        throw damage;
      }
      for (const piece of outputsOf(reader)) {
        yield piece;
        if (Date.now() - turn > TURN_MS) turn = await nextTurn();
      }
    }
    const summary = reader.finish();
    return { summary, sha256: hash?.digest('hex') };
  } finally {
    reader.free();
    if ('close' in file) file.close();
  }
}

/**
 * A file by itself, or a member of a volume.
 * @param {Source & { find? (path: string): Promise<import('./volumes.js').Found|undefined> }} source
 * @param {string} path
 * @returns {Promise<import('./types.js').SyncFile | AsyncIterable<Uint8Array> | Iterable<Uint8Array>>}
 */
async function fileOf (source, path) {
  const found = await source.find?.(path);
  if (found === undefined) return source.open(path);
  if (found.rest === undefined) return [found.start];
  const { path: volume, offset, length } = found.rest;
  return source.open(volume, offset - found.start.length, length + found.start.length);
}

/**
 * Reads straight into the core's input buffer; yields the number of bytes put there.
 * @param {SyncFile} file
 * @param {import('../../.build/wasm/decryptor_wasm.js').FileReader} reader
 */
function * readBlocks (file, reader) {
  for (;;) {
    const size = file.read(memoryAt(reader.inputPtr, reader.inputCapacity));
    if (size === 0) return;
    yield size;
  }
}

/** Gives the event loop its turn; the time after it. */
async function nextTurn () {
  await new Promise((resolve) => setImmediate(resolve));
  return Date.now();
}

/**
 * The same for a source that gives chunks of its own.
 * @param {AsyncIterable<Uint8Array>|Iterable<Uint8Array>} chunks
 * @param {import('../../.build/wasm/decryptor_wasm.js').FileReader} reader
 */
async function * copyBlocks (chunks, reader) {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const size = Math.min(reader.inputCapacity, chunk.length - at);
      memoryAt(reader.inputPtr, size).set(chunk.subarray(at, at + size));
      yield size;
      at += size;
    }
  }
}
