const MAGIC = 'PRYVBKE1';
const TAG_SIZE = 16;

/**
 * Whether a sealed file's header and first frame are there in full, so that a failure to open it cannot come from
 * a cut file.
 * @param {Uint8Array} stored
 */
export function firstFrameIsWhole (stored) {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.length);
  if (bytes.length < 12 || bytes.toString('latin1', 0, 8) !== MAGIC) return false;
  const frame = 12 + bytes.readUInt32BE(8);
  if (bytes.length < frame + 4) return false;
  const size = bytes.readUInt32BE(frame);
  return size > TAG_SIZE && bytes.length >= frame + 4 + size;
}
