import { createDecipheriv } from 'node:crypto';

const TAG_SIZE = 16;

/**
 * Opens one frame in place: ciphertext and tag are `len` bytes at `ptr` of WASM memory, the plaintext is put at `ptr`.
 * False means that the frame is not authentic; nothing was written then.
 * @callback Opener
 * @param {number} index of the frame in its file
 * @param {number} ptr
 * @param {number} len
 * @returns {boolean}
 */

/**
 * AES-256-GCM by node:crypto for the frames of the core, which counts them and derives their keys.
 * @param {(ptr: number, len: number) => Uint8Array} view of WASM memory, made anew on every call since it may move
 * @returns {(key: Uint8Array) => Opener}
 */
export function hostEngine (view) {
  return (key) => {
    const nonce = Buffer.alloc(12); // four zero bytes, then the frame's index as uint64 big-endian
    return (index, ptr, len) => {
      const frame = view(ptr, len);
      nonce.writeBigUInt64BE(BigInt(index), 4);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_SIZE });
      decipher.setAuthTag(frame.subarray(len - TAG_SIZE));
      const plaintext = decipher.update(frame.subarray(0, len - TAG_SIZE));
      try {
        decipher.final();
      } catch {
        return false;
      }
      frame.set(plaintext);
      return true;
    };
  };
}
