// The lines of record files, kept packed in memory: nothing decrypted is written anywhere, and memory stays bounded.
import { pack, unpack } from '../core.js';

const BLOCK = 256 * 1024;
const CACHED = 24;
const LINE_END = 10;

/** Lines by number. */
export class Blocks {
  #blocks: Uint8Array[] = [];
  /** Number of the first line of each block. */
  #starts: number[] = [];
  #count = 0;
  #cache = new Map<number, string[]>();
  #parts: Uint8Array[] = [];
  #size = 0;

  /** `each` is called for every line as it comes in. */
  constructor (private readonly each: (line: string) => void) {}

  get count (): number {
    return this.#count;
  }

  get blocks (): number {
    return this.#blocks.length;
  }

  startOf (block: number): number {
    return this.#starts[block];
  }

  /** Takes bytes, a copy. */
  push (piece: Uint8Array): void {
    this.#parts.push(piece);
    this.#size += piece.length;
    if (this.#size < BLOCK) return;
    const all = this.#joined();
    const end = all.lastIndexOf(LINE_END) + 1;
    if (end < all.length) this.#keep(all.slice(end));
    if (end > 0) this.#close(all.subarray(0, end));
  }

  /** The end of a file, whose last line may lack its end. */
  endOfFile (): void {
    const all = this.#joined();
    if (all.length > 0) this.#close(all);
  }

  /** The lines of one block. */
  linesOf (block: number): string[] {
    const cached = this.#cache.get(block);
    if (cached !== undefined) {
      this.#cache.delete(block);
      this.#cache.set(block, cached);
      return cached;
    }
    const lines = linesIn(new TextDecoder().decode(unpack(this.#blocks[block])));
    this.#cache.set(block, lines);
    if (this.#cache.size > CACHED) this.#cache.delete(this.#cache.keys().next().value as number);
    return lines;
  }

  line (row: number): string {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return this.linesOf(low)[row - this.#starts[low]] ?? '{}';
  }

  #keep (rest: Uint8Array): void {
    this.#parts = [rest];
    this.#size = rest.length;
  }

  #joined (): Uint8Array {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#size = 0;
    return all;
  }

  #close (bytes: Uint8Array): void {
    const lines = linesIn(new TextDecoder().decode(bytes));
    this.#starts.push(this.#count);
    this.#count += lines.length;
    for (const line of lines) this.each(line);
    this.#blocks.push(pack(bytes));
  }
}

function linesIn (text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}
