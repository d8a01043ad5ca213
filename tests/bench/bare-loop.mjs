// The least that any Node.js program must do to decrypt a sealed file: read, open every frame with node:crypto, write.
// Nothing is checked beyond the tags. Usage: node bare-loop.mjs SEALED KEY_HEX OUT
import { createDecipheriv, createSecretKey, hkdfSync } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const BLOCK = 4 * 1024 * 1024;
const TAG = 16;

const [sealed, keyHex, out] = process.argv.slice(2);
const input = openSync(sealed, 'r');
const output = openSync(out, 'w');
const buffer = Buffer.allocUnsafe(BLOCK);
const nonce = Buffer.alloc(12);
let kept = 0;
let index = 0n;
let key;

for (;;) {
  const size = readSync(input, buffer, kept, BLOCK - kept, null);
  if (size === 0) break;
  const filled = kept + size;
  let at = 0;
  if (key === undefined) {
    at = 12 + buffer.readUInt32BE(8);
    const { salt } = JSON.parse(buffer.toString('latin1', 12, at));
    key = createSecretKey(Buffer.from(hkdfSync('sha256', Buffer.from(keyHex, 'hex'), Buffer.from(salt, 'base64'), 'pryv-backup-file-v1', 32)));
  }
  const parts = [];
  while (at + 4 <= filled) {
    const end = at + 4 + buffer.readUInt32BE(at);
    if (end > filled) break;
    nonce.writeBigUInt64BE(index++, 4);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG });
    decipher.setAuthTag(buffer.subarray(end - TAG, end));
    parts.push(decipher.update(buffer.subarray(at + 4, end - TAG)));
    decipher.final();
    at = end;
  }
  for (const part of parts) writeSync(output, part);
  buffer.copy(buffer, 0, at, filled);
  kept = filled - at;
}
if (kept !== 0) throw new Error('the file ends inside a frame');
closeSync(output);
