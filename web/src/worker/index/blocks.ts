// The lines of record files, kept compressed in memory: nothing decrypted is written anywhere, and memory stays bounded.

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
  async push (piece: Uint8Array): Promise<void> {
    this.#parts.push(piece);
    this.#size += piece.length;
    if (this.#size < BLOCK) return;
    const all = this.#joined();
    const end = all.lastIndexOf(LINE_END) + 1;
    if (end < all.length) this.#keep(all.slice(end));
    if (end > 0) await this.#close(all.subarray(0, end));
  }

  /** The end of a file, whose last line may lack its end. */
  async endOfFile (): Promise<void> {
    const all = this.#joined();
    if (all.length > 0) await this.#close(all);
  }

  /** The lines of one block. */
  async linesOf (block: number): Promise<string[]> {
    const cached = this.#cache.get(block);
    if (cached !== undefined) {
      this.#cache.delete(block);
      this.#cache.set(block, cached);
      return cached;
    }
    const lines = linesIn(new TextDecoder().decode(await through(this.#blocks[block], new DecompressionStream('deflate-raw'))));
    this.#cache.set(block, lines);
    if (this.#cache.size > CACHED) this.#cache.delete(this.#cache.keys().next().value as number);
    return lines;
  }

  async line (row: number): Promise<string> {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return (await this.linesOf(low))[row - this.#starts[low]] ?? '{}';
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

  async #close (bytes: Uint8Array): Promise<void> {
    const lines = linesIn(new TextDecoder().decode(bytes));
    this.#starts.push(this.#count);
    this.#count += lines.length;
    for (const line of lines) this.each(line);
    this.#blocks.push(await through(bytes, new CompressionStream('deflate-raw')));
  }
}

function linesIn (text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

async function through (bytes: Uint8Array, transform: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
