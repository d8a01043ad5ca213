import { withPath } from '../../../npm/src/errors.js';
import { FileReader, memoryAt } from './core.js';
import { outputsOf } from './reading.js';

/** Checks gzip bytes on their way out: that they inflate to their end, and to JSON lines. */
export class InflationCheck {
  #reader;
  #path;

  constructor ({ path, jsonl }: { path: string, jsonl: boolean }) {
    this.#reader = FileReader.cleartext(true, jsonl);
    this.#path = path;
  }

  push (piece: Uint8Array): void {
    this.#attempt(() => {
      for (let at = 0; at < piece.length;) {
        const size = Math.min(this.#reader.inputCapacity, piece.length - at);
        memoryAt(this.#reader.inputPtr, size).set(piece.subarray(at, at + size));
        this.#reader.process(size);
        for (const _ of outputsOf(this.#reader, memoryAt)); // only the checks matter
        at += size;
      }
    });
  }

  finish (): void {
    this.#attempt(() => this.#reader.finish());
  }

  free (): void {
    this.#reader.free();
  }

  #attempt (action: () => void): void {
    try {
      action();
    } catch (error) {
      throw withPath(this.#path, error);
    }
  }
}
