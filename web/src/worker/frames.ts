// AES-256-GCM by WebCrypto: whole frames are opened ahead, many at once, and told to the core one by one. The core still
// decides: it reads the header, derives the key, counts the frames and checks their lengths.

const TAG = 16;
const PREFIX = 4;
const HEADER_START = 12;
// No file of the format exceeds these limits. A file that does goes to the core as it is, which says what is wrong with it.
const LONGEST_HEADER = 65536;
const LONGEST_FRAME = 1 << 24;
// This many bytes of frames are opened while the core inflates those before.
const IN_FLIGHT = 3 * 1024 * 1024;

/** A frame as it was found: its length, and what was in it unless it is not authentic. */
export interface Frame { length: number, plain: Uint8Array<ArrayBuffer> | undefined }

/** Either bytes for the core as they are stored, or frames that were opened. */
export type Step = { stored: Uint8Array } | { frames: Frame[] };

/** One file's frames. */
export class FramesAhead {
  #fileKey: Uint8Array<ArrayBuffer> | undefined;
  #next = 0;

  /** For `FileReader.sealed`: takes the file's key; the core never asks it to open anything. */
  readonly open = (key: Uint8Array) => {
    this.#fileKey = key.slice();
    return () => false;
  };

  /** The steps that the core is told of these bytes, in order. */
  async * steps (blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Step> {
    let rest: Uint8Array = new Uint8Array();
    let key: CryptoKey | undefined;
    let hopeless = false;
    const waiting: Array<Promise<Frame[]>> = [];
    let inFlight = 0;
    const next = async () => {
      const frames = await (waiting.shift() as Promise<Frame[]>);
      inFlight -= sizeOf(frames);
      return { frames };
    };
    for await (let block of blocks) {
      if (hopeless) {
        while (waiting.length > 0) yield await next();
        yield { stored: joined(rest, block) };
        rest = new Uint8Array();
        continue;
      }
      if (key === undefined) {
        block = joined(rest, block);
        rest = new Uint8Array();
        const end = headerEnd(block);
        if (end === undefined || block.length < end) {
          rest = block.slice();
          continue;
        }
        yield { stored: block.subarray(0, end) }; // the core reads it and calls `open` with the file's key
        block = block.subarray(end);
        if (this.#fileKey === undefined) {
          hopeless = true;
          yield { stored: block };
          continue;
        }
        key = await crypto.subtle.importKey('raw', this.#fileKey, 'AES-GCM', false, ['decrypt']);
        this.#fileKey.fill(0);
      }
      const found = cut(rest, block);
      rest = found.rest;
      hopeless = found.impossible;
      inFlight += sizeOf(found.frames);
      waiting.push(this.#openAll(key, found.frames));
      while (inFlight > IN_FLIGHT) yield await next();
    }
    while (waiting.length > 0) yield await next();
    if (rest.length > 0) yield { stored: rest };
  }

  #openAll (key: CryptoKey, frames: Uint8Array[]): Promise<Frame[]> {
    const first = this.#next;
    this.#next += frames.length;
    // The browser copies the frame before `decrypt` returns: the block may be used again then.
    return Promise.all(frames.map(async (frame, i) => {
      const { length } = frame;
      const iv = new Uint8Array(12);
      new DataView(iv.buffer).setBigUint64(4, BigInt(first + i));
      try {
        const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv, tagLength: TAG * 8 }, key, frame as Uint8Array<ArrayBuffer>);
        return { length, plain: new Uint8Array(plain) };
      } catch {
        return { length, plain: undefined };
      }
    }));
  }
}

function sizeOf (frames: Array<{ length: number }>): number {
  return frames.reduce((sum, { length }) => sum + length, 0);
}

function headerEnd (bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_START) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8);
  return length > LONGEST_HEADER ? HEADER_START : HEADER_START + length;
}

/** The whole frames in `rest` and then `block`, and what is left; only a frame across the two is copied. */
function cut (rest: Uint8Array, block: Uint8Array): { frames: Uint8Array[], rest: Uint8Array, impossible: boolean } {
  const frames: Uint8Array[] = [];
  let at = 0;
  if (rest.length > 0) {
    if (rest.length < PREFIX) {
      const more = Math.min(PREFIX - rest.length, block.length);
      rest = joined(rest, block.subarray(0, more));
      at = more;
      if (rest.length < PREFIX) return { frames, rest, impossible: false };
    }
    const length = lengthAt(rest, 0);
    if (length > LONGEST_FRAME) return { frames, rest: joined(rest, block.subarray(at)), impossible: true };
    const more = PREFIX + length - rest.length;
    if (more > block.length - at) return { frames, rest: joined(rest, block.subarray(at)), impossible: false };
    frames.push(joined(rest, block.subarray(at, at + more)).subarray(PREFIX));
    at += more;
  }
  while (at + PREFIX <= block.length) {
    const length = lengthAt(block, at);
    if (length > LONGEST_FRAME) return { frames, rest: block.slice(at), impossible: true };
    if (at + PREFIX + length > block.length) break;
    frames.push(block.subarray(at + PREFIX, at + PREFIX + length));
    at += PREFIX + length;
  }
  return { frames, rest: block.slice(at), impossible: false };
}

function lengthAt (bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}

function joined (a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
