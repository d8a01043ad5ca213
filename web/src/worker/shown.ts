import type { Call } from '../rpc.js';
import type { PlannedFile } from '../types.js';

const EVERY_MS = 100;

/** Progress in stored bytes, told a few times a second. */
export class Shown {
  done = 0;
  #told = 0;
  #guessed = 0;

  constructor (readonly total: number, private readonly call: Call) {}

  /** So much is done for certain. */
  at (done: number, path: string): void {
    this.done = done;
    this.#guessed = 0;
    this.#tell(path);
  }

  /** Output of a file that is under way: its own size bounds it, for what is inflated is larger. */
  guess (before: number, bytes: number, file: PlannedFile): void {
    this.#guessed += file.gzip ? bytes / 7 : bytes;
    this.done = before + Math.min(file.size, this.#guessed);
    this.#tell(file.path);
    this.done = before;
    this.call.signal.throwIfAborted();
  }

  #tell (path: string): void {
    const now = performance.now();
    if (now - this.#told < EVERY_MS && this.done < this.total) return;
    this.#told = now;
    void this.call.emit({ progress: { done: this.done, total: this.total, path } }).catch(() => {});
  }
}
