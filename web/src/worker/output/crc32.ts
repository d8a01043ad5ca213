// CRC-32 (ISO 3309), eight bytes at a time.
const TABLES = tables();

function tables (): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = (n & 1) === 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  const all = [first];
  for (let t = 1; t < 8; t++) all.push(all[t - 1].map((n) => (n >>> 8) ^ first[n & 255]));
  return all;
}

/** The CRC of what gave `crc`, followed by `bytes`. */
export function crc32 (bytes: Uint8Array, crc = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let c = ~crc;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low = c ^ (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24);
    c = t7[low & 255] ^ t6[low >>> 8 & 255] ^ t5[low >>> 16 & 255] ^ t4[low >>> 24] ^
      t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]];
  }
  for (; at < bytes.length; at++) c = (c >>> 8) ^ t0[(c ^ bytes[at]) & 255];
  return ~c >>> 0;
}
