// The WASM that ships, as it ships: it gives no key away, but the key check of an envelope tells whether it came to the right one.
// Run: cargo test -p decryptor-wasm --test wycheproof && node --test tests/wasm
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';

const build = new URL('../../.build/', import.meta.url);
const { Envelope, initSync } = await import(new URL('wasm/decryptor_wasm.js', build));
initSync({ module: readFileSync(new URL('wasm/decryptor_wasm_bg.wasm', build)) });

const fillRandom = (/** @type {Uint8Array} */ into) => crypto.randomFillSync(into);
const keyCheck = (/** @type {Buffer} */ key) =>
  Buffer.from(crypto.hkdfSync('sha256', key, '', 'pryv-backup-key-check-v1', 32)).toString('base64');

/**
 * The kind of error that unlocking ends with; none when it gives the key that the envelope's check knows.
 * @param {string} json
 * @param {{ privateKey?: string|null, passphrase?: string|null }} secret
 */
function unlock (json, { privateKey, passphrase }) {
  const envelope = Envelope.parse(Buffer.from(json));
  try {
    assert.equal(typeof (privateKey ?? passphrase), 'string');
    const key = privateKey ? envelope.unlockWithPrivateKey(Buffer.from(privateKey), undefined, fillRandom)
      : envelope.unlockWithPassphrase(passphrase);
    key.free();
    return undefined;
  } catch (error) {
    if (error.kind === undefined) throw error;
    return error.kind;
  } finally {
    envelope.free();
  }
}

test('envelopes of Wycheproof unlock to the published keys', () => {
  const file = new URL('wycheproof-envelopes.json', build);
  assert.ok(existsSync(file), 'run `cargo test -p decryptor-wasm --test wycheproof` first: it writes the vectors');
  const vectors = JSON.parse(readFileSync(file, 'utf8'));
  const count = { hybrid: 0, 'symmetric-pbkdf2': 0, opened: 0 };
  for (const vector of vectors) {
    const envelope = JSON.parse(vector.envelope);
    assert.equal(unlock(vector.envelope, vector), vector.opens ? undefined : 'key', vector.name);
    count[envelope.mode]++;
    if (!vector.opens) continue;
    count.opened++;
    // The check must be able to fail.
    const other = JSON.stringify({ ...envelope, keyCheck: keyCheck(Buffer.alloc(32)) });
    assert.equal(unlock(other, vector), envelope.mode === 'hybrid' ? 'damaged' : 'key', vector.name);
  }
  console.log(count);
  assert.ok(count.hybrid >= 139 && count['symmetric-pbkdf2'] >= 28 && count.opened >= 31);
});
/** MGF1 with SHA-256 (RFC 8017, B.2.1). */
function mask (/** @type {Buffer} */ seed, /** @type {number} */ length) {
  const blocks = [];
  for (let i = 0; i * 32 < length; i++) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(i);
    blocks.push(crypto.createHash('sha256').update(seed).update(counter).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}
const xor = (/** @type {Buffer} */ a, /** @type {Buffer} */ b) => Buffer.from(a.map((byte, i) => byte ^ b[i]));

/**
 * RSA-OAEP by hand (RFC 8017, 7.1.1), so that any part of the padding can be wrong.
 * @param {crypto.KeyObject} publicKey
 * @param {Buffer} key
 * @param {(padding: { db: Buffer, first: number }) => void} spoil `db`: digest of the label, zeros, 1, message
 */
function wrap (publicKey, key, spoil) {
  const padding = { db: Buffer.alloc(256 - 33), first: 0 };
  crypto.createHash('sha256').digest().copy(padding.db);
  padding.db[padding.db.length - 33] = 1;
  key.copy(padding.db, padding.db.length - 32);
  spoil(padding);
  const seed = crypto.randomBytes(32);
  const maskedDb = xor(padding.db, mask(seed, padding.db.length));
  const maskedSeed = xor(seed, mask(maskedDb, 32));
  const encoded = Buffer.concat([Buffer.of(padding.first), maskedSeed, maskedDb]);
  return crypto.publicEncrypt({ key: publicKey, padding: crypto.constants.RSA_NO_PADDING }, encoded);
}

test('a data key in bad padding is refused', () => {
  const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const privateKey = /** @type {string} */ (pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const key = crypto.randomBytes(32);
  const outcome = (/** @type {Parameters<typeof wrap>[2]} */ spoil) => unlock(JSON.stringify({
    v: 1, alg: 'AES-256-GCM-CHUNKED', chunk: 65536, mode: 'hybrid', wrap: 'RSA-OAEP-SHA256',
    wrappedKey: wrap(pair.publicKey, key, spoil).toString('base64'), keyCheck: keyCheck(key)
  }), { privateKey });

  assert.equal(outcome(() => {}), undefined);
  const one = 256 - 33 - 33;
  for (let at = 0; at <= one; at++) {
    assert.equal(outcome(({ db }) => { db[at] ^= at === one ? 1 : 0x80; }), 'key', `octet ${at} of label digest, zeros and 1`);
  }
  assert.equal(outcome(({ db }) => { db[one] = 2; }), 'key');
  assert.equal(outcome(({ db }) => { db.fill(0, 32); }), 'key', 'no 1 at all');
  assert.equal(outcome(({ db }) => { db[one - 1] = 1; }), 'key', '33 bytes of message');
  assert.equal(outcome(({ db }) => { db[one] = 0; db[one + 1] = 1; }), 'key', '31 bytes of message');
  // RFC 8017 refuses a first octet other than 0; the RSA library does not look at it. It does not matter: the key
  // that comes of it is held against the key check, and nobody is told of refusals who could go on from there.
  assert.equal(outcome((padding) => { padding.first = 1; }), undefined);
});
