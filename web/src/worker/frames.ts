// AES-256-GCM by WebCrypto, whose calls are asynchronous, under the core's seam, which is not: whole frames are opened
// ahead, many at once, and handed over when the core asks for them. The core stays the judge: it derives the key, counts
// the frames and checks their lengths; a frame that it asks for and that was not opened under its number is refused.

const TAG = 16;
const PREFIX = 4;
const HEADER_START = 12;
// Beyond these no file of the format goes: such a file is handed to the core as it is, which says what is wrong with it.
const LONGEST_HEADER = 65536;
const LONGEST_FRAME = 1 << 24;

type View = (ptr: number, length: number) => Uint8Array;

/** One file's frames. */
export class FramesAhead {
  #view: View;
  #fileKey: Uint8Array<ArrayBuffer> | undefined;
  #opened = new Map<number, Uint8Array>();
  #next = 0;

  constructor (view: View) {
    this.#view = view;
  }

  /** The seam, for `FileReader.sealed`. */
  readonly open = (key: Uint8Array) => {
    this.#fileKey = key.slice();
    return (index: number, ptr: number, length: number): boolean => {
      const plain = this.#opened.get(index);
      if (plain === undefined || plain.length !== length - TAG) return false;
      this.#opened.delete(index);
      this.#view(ptr, plain.length).set(plain);
      return true;
    };
  };

  /** The same bytes, cut into pieces that end with a frame, each ready for the core when it is yielded. */
  async * pieces (blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let rest: Uint8Array = new Uint8Array();
    let key: CryptoKey | undefined;
    let waiting: Promise<Uint8Array> | undefined;
    let hopeless = false;
    for await (const block of blocks) {
      rest = joined(rest, block);
      if (hopeless) {
        yield rest;
        rest = new Uint8Array();
        continue;
      }
      if (key === undefined) {
        const end = headerEnd(rest);
        if (end === undefined || rest.length < end) continue;
        yield rest.subarray(0, end); // the core reads it and calls `open` with the file's key
        if (this.#fileKey === undefined) {
          hopeless = true;
          continue;
        }
        key = await crypto.subtle.importKey('raw', this.#fileKey, 'AES-GCM', false, ['decrypt']);
        this.#fileKey.fill(0);
        rest = rest.subarray(end);
      }
      const { frames, end, impossible } = framesIn(rest);
      hopeless = impossible;
      const piece = this.#openAll(key, rest.subarray(0, end), frames);
      rest = rest.slice(end);
      // The next piece is being opened while the core works on this one.
      if (waiting !== undefined) yield await waiting;
      waiting = piece;
    }
    if (waiting !== undefined) yield await waiting;
    if (rest.length > 0) yield rest;
  }

  async #openAll (key: CryptoKey, piece: Uint8Array, frames: Array<[number, number]>): Promise<Uint8Array> {
    const first = this.#next;
    this.#next += frames.length;
    await Promise.all(frames.map(async ([start, length], i) => {
      const iv = new Uint8Array(12);
      new DataView(iv.buffer).setBigUint64(4, BigInt(first + i));
      try {
        const data = piece.subarray(start, start + length) as Uint8Array<ArrayBuffer>;
        const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv, tagLength: TAG * 8 }, key, data);
        this.#opened.set(first + i, new Uint8Array(plain));
      } catch {
        // Not authentic: the core will ask for it and be refused.
      }
    }));
    return piece;
  }
}

function headerEnd (bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_START) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8);
  return length > LONGEST_HEADER ? HEADER_START : HEADER_START + length;
}

/** Start and length of every whole frame, and where the last one ends. */
function framesIn (bytes: Uint8Array): { frames: Array<[number, number]>, end: number, impossible: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Array<[number, number]> = [];
  let at = 0;
  while (at + PREFIX <= bytes.length) {
    const length = view.getUint32(at);
    if (length > LONGEST_FRAME) return { frames, end: at, impossible: true };
    if (at + PREFIX + length > bytes.length) break;
    frames.push([at + PREFIX, length]);
    at += PREFIX + length;
  }
  return { frames, end: at, impossible: false };
}

function joined (a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
