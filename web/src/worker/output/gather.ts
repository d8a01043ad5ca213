import type { Call } from '../../rpc.js';

const SIZE = 4 * 1024 * 1024;

/** Bytes gathered into large buffers on their way out; a buffer that was written comes back and is filled again. */
export class Gather {
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  #full: Array<Uint8Array<ArrayBuffer>> = [];

  constructor (private readonly call: Call, private readonly wrap: (bytes: Uint8Array<ArrayBuffer>) => unknown) {}

  /** Takes a copy, at once; resolves when there is room again. */
  async put (bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      this.#buffer ??= new Uint8Array(this.call.spare.pop() ?? new ArrayBuffer(SIZE));
      const count = Math.min(SIZE - this.#filled, bytes.length - at);
      this.#buffer.set(at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#filled);
      at += count;
      this.#filled += count;
      if (this.#filled === SIZE) this.#close();
    }
    if (this.#full.length > 0) await this.#send();
  }

  /** Sends what there is. */
  async flush (): Promise<void> {
    if (this.#filled > 0) this.#close();
    await this.#send();
  }

  #close (): void {
    this.#full.push((this.#buffer as Uint8Array<ArrayBuffer>).subarray(0, this.#filled));
    this.#buffer = undefined;
    this.#filled = 0;
  }

  async #send (): Promise<void> {
    for (const bytes of this.#full.splice(0)) await this.call.emit(this.wrap(bytes), [bytes.buffer]);
  }
}
