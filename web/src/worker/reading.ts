// Stored bytes through the core: with its own cipher, or with frames that WebCrypto opened ahead.
import type { FileReader } from '../../../.build/wasm/decryptor_wasm.js';
import type { FramesAhead } from './frames.js';

/** A view of WASM memory. */
export type View = (ptr: number, length: number) => Uint8Array;

/**
 * The content piece by piece, each to be used before anything is awaited and before the next is asked for. On damage, the
 * content before it comes first.
 * @param stored is shown the stored bytes
 */
export async function * contentOf (reader: FileReader, ahead: FramesAhead | undefined, blocks: AsyncIterable<Uint8Array>, direct: boolean, view: View, stored?: (bytes: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  const seen = stored === undefined ? blocks : shownTo(blocks, stored);
  if (ahead === undefined) {
    for await (const block of seen) yield * processed(reader, block, view);
    return;
  }
  for await (const step of ahead.steps(seen)) {
    if ('stored' in step) {
      yield * processed(reader, step.stored, view);
      continue;
    }
    const good: Array<Uint8Array<ArrayBuffer>> = [];
    let damage: unknown;
    for (const { length, plain } of step.frames) {
      try {
        reader.frame(length, plain !== undefined);
        good.push(plain as Uint8Array<ArrayBuffer>);
      } catch (error) {
        damage = error;
        break;
      }
    }
    if (direct) yield * good;
    else yield * handedIn(reader, good, view);
    if (damage !== undefined) throw damage;
  }
}

async function * shownTo (blocks: AsyncIterable<Uint8Array>, stored: (bytes: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const block of blocks) {
    stored(block);
    yield block;
  }
}

function * processed (reader: FileReader, bytes: Uint8Array, view: View): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const count = Math.min(reader.inputCapacity, bytes.length - at);
    view(reader.inputPtr, count).set(bytes.subarray(at, at + count));
    at += count;
    try {
      reader.process(count);
    } catch (damage) {
      yield * outputsOf(reader, view);
      throw damage;
    }
    yield * outputsOf(reader, view);
  }
}

/** Opened frames for the core to inflate or to look at, as many at once as fit. */
function * handedIn (reader: FileReader, frames: Uint8Array[], view: View): Generator<Uint8Array> {
  let filled = 0;
  for (const frame of frames) {
    for (let at = 0; at < frame.length;) {
      if (filled === reader.inputCapacity) {
        reader.processOpened(filled);
        yield * outputsOf(reader, view);
        filled = 0;
      }
      const count = Math.min(reader.inputCapacity - filled, frame.length - at);
      view(reader.inputPtr + filled, count).set(frame.subarray(at, at + count));
      filled += count;
      at += count;
    }
  }
  reader.processOpened(filled);
  yield * outputsOf(reader, view);
}

/** The pieces of output that a reader has ready, as views of WASM memory: use each before asking for the next. */
export function * outputsOf (reader: FileReader, view: View): Generator<Uint8Array> {
  for (let size = reader.takeOutput(); size > 0; size = reader.takeOutput()) yield view(reader.outputPtr, size);
}
