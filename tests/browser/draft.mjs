// Archives made for the tests, as docs/format.md describes them, with an inventory: a second implementation of the writer.
import { createCipheriv, createHash, generateKeyPairSync, hkdfSync, publicEncrypt, constants, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const CHUNK = 65536;
const MEMBER = 1024 * 1024;

/** @typedef {{ path: string, size: number, sha256: string, salt?: string, contentSize: number, contentSha256?: string, records?: number }} Entry */

/** An archive with one user, sealed to a fresh key. */
export class Draft {
  /** @param {string} folder @param {{ username?: string }} [options] */
  constructor (folder, { username = 'alice' } = {}) {
    this.folder = folder;
    this.username = username;
    this.userId = 'u1';
    this.key = randomBytes(32);
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Record<string, number>} */
    this.stats = { streams: 0, accesses: 0, profile: 0, webhooks: 0, events: 0, audit: 0, series: 0, attachments: 0 };
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    mkdirSync(folder, { recursive: true });
    this.privateKey = `${folder}.key.pem`;
    writeFileSync(this.privateKey, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const wrappedKey = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, this.key).toString('base64');
    const fingerprint = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
    this.envelope = { v: 1, alg: 'AES-256-GCM-CHUNKED', chunk: CHUNK, mode: 'hybrid', wrap: 'RSA-OAEP-SHA256', wrappedKey,
      recipients: [{ fingerprint, wrap: 'RSA-OAEP-SHA256', wrappedKey }],
      keyCheck: Buffer.from(hkdfSync('sha256', this.key, Buffer.alloc(0), 'pryv-backup-key-check-v1', 32)).toString('base64') };
    writeFileSync(join(folder, 'encryption.json'), JSON.stringify(this.envelope, null, 2));
  }

  /**
   * Seals content, given whole or piece by piece.
   * @param {string} path
   * @param {Buffer | Iterable<Buffer>} content
   * @param {number} [records]
   */
  seal (path, content, records) {
    const place = join(this.folder, path);
    mkdirSync(dirname(place), { recursive: true });
    const salt = randomBytes(16);
    const fileKey = Buffer.from(hkdfSync('sha256', this.key, salt, 'pryv-backup-file-v1', 32));
    const file = openSync(place, 'w');
    const [stored, plain] = [createHash('sha256'), createHash('sha256')];
    const out = (/** @type {Buffer} */ bytes) => { stored.update(bytes); writeSync(file, bytes); };
    const header = Buffer.from(JSON.stringify({ v: 1, salt: salt.toString('base64'), chunk: CHUNK }));
    const start = Buffer.alloc(12);
    start.write('PRYVBKE1');
    start.writeUInt32BE(header.length, 8);
    out(Buffer.concat([start, header]));
    let [index, contentSize] = [0, 0];
    let rest = Buffer.alloc(0);
    const frame = (/** @type {Buffer} */ bytes) => {
      const nonce = Buffer.alloc(12);
      nonce.writeBigUInt64BE(BigInt(index++), 4);
      const cipher = createCipheriv('aes-256-gcm', fileKey, nonce);
      const sealed = Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(sealed.length);
      return Buffer.concat([length, sealed]);
    };
    for (const piece of Buffer.isBuffer(content) ? [content] : content) {
      plain.update(piece);
      contentSize += piece.length;
      rest = Buffer.concat([rest, piece]);
      const frames = [];
      let at = 0;
      for (; at + CHUNK <= rest.length; at += CHUNK) frames.push(frame(rest.subarray(at, at + CHUNK)));
      rest = rest.subarray(at);
      if (frames.length > 0) out(Buffer.concat(frames));
    }
    if (rest.length > 0) out(frame(rest));
    closeSync(file);
    this.entries.push({ path, size: statSync(place).size, sha256: stored.digest('hex'), salt: salt.toString('base64'), contentSize, contentSha256: plain.digest('hex'), ...(records === undefined ? {} : { records }) });
  }

  /**
   * A record file.
   * @param {string} name below the user's folder, without extension
   * @param {Iterable<object|string>} records
   */
  records (name, records) {
    let count = 0;
    const members = function * () {
      let text = '';
      for (const record of records) {
        count++;
        text += `${typeof record === 'string' ? record : JSON.stringify(record)}\n`;
        if (text.length >= MEMBER) {
          yield gzipSync(text);
          text = '';
        }
      }
      yield gzipSync(text);
    };
    const sealed = [...members()];
    this.seal(`users/${this.userId}/${name}.jsonl.gz`, Buffer.concat(sealed), count);
    const collection = name.split('/')[0];
    this.stats[collection] = (this.stats[collection] ?? 0) + count;
    return count;
  }

  /** @param {string} id @param {Buffer | Iterable<Buffer>} content */
  attachment (id, content) {
    this.seal(`users/${this.userId}/attachments/${id}`, content);
    this.stats.attachments++;
  }

  /** Writes what is due beside, and the manifests. */
  finish () {
    const has = new Set(this.entries.map(({ path }) => path));
    for (const name of ['streams', 'accesses', 'profile', 'webhooks', 'account']) {
      if (!has.has(`users/${this.userId}/${name}.jsonl.gz`)) this.records(name, name === 'account' ? [{ passwords: [], storeKeyValues: [], accountFields: [] }] : []);
    }
    const names = (/** @type {string} */ folder) => this.entries.filter(({ path }) => path.startsWith(`users/${this.userId}/${folder}/`)).map(({ path }) => path.split('/').at(-1));
    const now = Date.UTC(2026, 10, 23);
    const user = { userId: this.userId, username: this.username, backupTimestamp: now, stats: this.stats, chunks: { events: names('events'), audit: names('audit') } };
    const files = this.entries.splice(0);
    this.seal(`users/${this.userId}/user-manifest.json`, Buffer.from(JSON.stringify({ ...user, losses: [], inventory: { v: 1, files } }, null, 2)));
    const manifest = { formatVersion: 1, coreVersion: '1.9.3', config: { engine: 'postgresql', domain: 'https://example.com/' }, backupType: 'full', backupTimestamp: now,
      snapshotBefore: now / 1000, users: [user], compressed: true, producer: { name: 'pryv-backup', version: '0.1.0' }, encrypted: true, platform: { mode: 'none' }, losses: [],
      inventory: { v: 1, files: this.entries.splice(0) } };
    this.seal('manifest.json', Buffer.from(JSON.stringify(manifest, null, 2)));
    this.entries.length = 0;
    return this;
  }
}
