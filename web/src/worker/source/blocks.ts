// Reading a blob.
import { errorOf } from '../core.js';

// A small blob is read by one request; requests have a price, since a file comes through another process of the browser.
const WHOLE = 1024 * 1024;
const BLOCK = 8 * 1024 * 1024;
// One buffer that the blob's stream fills again and again: fresh memory for each block costs as much as the reading itself.
const BUFFER = 1024 * 1024;
// Chromium collects a stream, and whoever waits for it, as garbage when nothing else holds on to it: the wait would never end.
const underway = new Set<ReadableStreamBYOBReader>();

/** Bytes of a blob, block by block, each good until the next is asked for. */
export async function * blocksOf (blob: Blob, path: string): AsyncGenerator<Uint8Array> {
  try {
    const read = blob.size > WHOLE ? yield * streamed(blob) : 0;
    yield * requested(blob, read);
  } catch (error) {
    throw error instanceof DOMException ? errorOf('unreadable-file', { path, detail: error.message }) : error;
  }
}

/** As much as the blob's stream gives; returns how much that was. */
async function * streamed (blob: Blob): AsyncGenerator<Uint8Array, number> {
  const reader = byteReader(blob);
  if (reader === undefined) return 0;
  underway.add(reader);
  let buffer = new ArrayBuffer(BUFFER);
  let read = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return read;
      buffer = value.buffer;
      read += value.length;
      yield value;
    }
  } finally {
    underway.delete(reader);
    void reader.cancel().catch(() => {});
  }
}

/** Undefined where streams of blobs cannot fill a buffer that they are given. */
function byteReader (blob: Blob): ReadableStreamBYOBReader | undefined {
  try {
    return blob.stream().getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}

/** From a byte on, by requests, of which one is under way while the block before it is worked on. */
async function * requested (blob: Blob, from: number): AsyncGenerator<Uint8Array> {
  const ask = (at: number) => {
    const block = blob.slice(at, at + BLOCK).arrayBuffer();
    block.catch(() => {}); // a failure is told when its block is asked for
    return block;
  };
  let next = from < blob.size ? ask(from) : undefined;
  for (let at = from + BLOCK; next !== undefined; at += BLOCK) {
    const block: ArrayBuffer = await next;
    next = at < blob.size ? ask(at) : undefined;
    yield new Uint8Array(block);
  }
}
