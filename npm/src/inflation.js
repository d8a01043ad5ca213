import { FileReader, memoryAt, outputsOf } from './core.js';
import { withPath } from './errors.js';

/**
 * Checks gzip bytes on their way to disk: that they inflate to their end, and to JSON lines.
 * @param {{ path: string, jsonl: boolean }} file
 */
export function checkInflation (file) {
  const reader = FileReader.cleartext(true, file.jsonl);
  const attempt = (/** @type {() => void} */ action) => {
    try {
      action();
    } catch (error) {
      throw withPath(file.path, error);
    }
  };
  return {
    /** @param {Uint8Array} piece a view of WASM memory, which may move: it is copied first */
    push (piece) {
      const copy = piece.slice();
      attempt(() => {
        for (let at = 0; at < copy.length;) {
          const size = Math.min(reader.inputCapacity, copy.length - at);
          memoryAt(reader.inputPtr, size).set(copy.subarray(at, at + size));
          reader.process(size);
          for (const _ of outputsOf(reader)); // only the checks matter
          at += size;
        }
      });
    },
    finish () { attempt(() => reader.finish()); },
    free () { reader.free(); },
  };
}
