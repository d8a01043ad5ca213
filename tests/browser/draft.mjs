// Archives made for the tests, as docs/format.md describes them, with an inventory and signed: a second implementation of the writer.
import { createCipheriv, createHash, generateKeyPairSync, hkdfSync, publicEncrypt, constants, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SigningKey, statement } from './minisign.mjs';

const CHUNK = 65536;
const MEMBER = 1024 * 1024;
/** The platform that all are of. */
export const SOURCE = '0123456789abcdef'.repeat(2);

/** @typedef {{ path: string, size: number, sha256: string, salt?: string, contentSize: number, contentSha256?: string, records?: number }} Entry */

/** The key pair of whoever may read archives. */
export class Recipient {
  /** @param {string} file of the private key */
  constructor (file) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.publicKey = publicKey;
    this.privateKey = file;
    writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  }
}

/**
 * @typedef {object} Manner
 * @property {string} [username]
 * @property {boolean} [sealed] whether it is encrypted
 * @property {Recipient} [recipient] who can read it; a fresh key unless given
 * @property {SigningKey} [signing] who signs it
 * @property {{ run: number, base: string, parent: string, key: string }} [chain] its place in a chain
 * @property {number} [made] when, in milliseconds
 * @property {string} [untrusted] the comment of the signature that nobody signs
 */

/** An archive with one user, or a full run of a chain. */
export class Draft {
  /** @param {string} folder @param {Manner} [manner] */
  constructor (folder, manner = {}) {
    const { username = 'alice', sealed = true, made = Date.UTC(2026, 10, 23), signing = new SigningKey() } = manner;
    this.folder = folder;
    this.username = username;
    this.sealed = sealed;
    this.made = made;
    this.signing = signing;
    this.chain = manner.chain;
    this.untrusted = manner.untrusted;
    this.id = '';
    this.userId = 'u1';
    this.key = randomBytes(32);
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Record<string, number>} */
    this.stats = { streams: 0, accesses: 0, profile: 0, webhooks: 0, events: 0, audit: 0, series: 0, attachments: 0 };
    mkdirSync(folder, { recursive: true });
    this.recipient = manner.recipient ?? new Recipient(`${folder}.key.pem`);
    this.privateKey = this.recipient.privateKey;
    if (sealed) this.#envelope(this.recipient);
  }

  /** @param {Recipient} recipient */
  #envelope ({ publicKey }) {
    const wrappedKey = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, this.key).toString('base64');
    const fingerprint = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
    const envelope = { v: 1, alg: 'AES-256-GCM-CHUNKED', chunk: CHUNK, mode: 'hybrid', wrap: 'RSA-OAEP-SHA256', wrappedKey,
      recipients: [{ fingerprint, wrap: 'RSA-OAEP-SHA256', wrappedKey }],
      createdAt: this.made,
      keyCheck: Buffer.from(hkdfSync('sha256', this.key, Buffer.alloc(0), 'pryv-backup-key-check-v1', 32)).toString('base64') };
    writeFileSync(join(this.folder, 'encryption.json'), JSON.stringify(envelope, null, 2));
  }

  /**
   * Seals content, given whole or piece by piece; of an archive in the clear, writes it as it is.
   * @param {string} path
   * @param {Buffer | Iterable<Buffer>} content
   * @param {number} [records]
   */
  seal (path, content, records) {
    const place = join(this.folder, path);
    mkdirSync(dirname(place), { recursive: true });
    if (!this.sealed) return this.#write(path, Buffer.isBuffer(content) ? content : Buffer.concat([...content]), records);
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
   * @param {string} path
   * @param {Buffer} content
   * @param {number} [records]
   */
  #write (path, content, records) {
    writeFileSync(join(this.folder, path), content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.entries.push({ path, size: content.length, sha256, contentSize: content.length, ...(records === undefined ? {} : { records }) });
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
    const [now, { signer }] = [this.made, this.signing];
    const user = { userId: this.userId, username: this.username, backupTimestamp: now, stats: this.stats, chunks: { events: names('events'), audit: names('audit') } };
    const files = this.entries.splice(0);
    this.seal(`users/${this.userId}/user-manifest.json`, Buffer.from(JSON.stringify({ ...user, losses: [], inventory: { v: 1, files } }, null, 2)));
    const own = this.entries.splice(0);
    const manifest = { formatVersion: 1, coreVersion: '1.9.3', config: { engine: 'postgresql', domain: 'https://example.com/' }, backupType: 'full', backupTimestamp: now,
      snapshotBefore: now / 1000, users: [user], compressed: true, producer: { name: 'pryv-backup', version: '0.1.0' }, encrypted: this.sealed, platform: { mode: 'none' }, losses: [],
      ...(this.chain === undefined ? {} : { chain: this.chain }), createdAt: now, signer, source: SOURCE, lossCount: 0, inventory: { v: 1, files: own } };
    this.seal('manifest.json', Buffer.from(JSON.stringify(manifest, null, 2)));
    this.entries.length = 0;
    const stored = readFileSync(join(this.folder, 'manifest.json'));
    this.id = createHash('sha256').update(stored).digest('hex');
    writeFileSync(join(this.folder, 'manifest.json.minisig'), this.signing.sign(stored, statement(manifest, stored, [...files, ...own]), this.untrusted));
    return this;
  }
}

/**
 * A chain of full runs, each with one event that has its number as content.
 * @param {string} folder
 * @param {Array<{ signing: SigningKey, parent?: number }>} runs `parent`: the number of the run that it says it follows; the one before
 *   unless given
 */
export function chained (folder, runs) {
  mkdirSync(folder, { recursive: true });
  const recipient = new Recipient(`${folder}.key.pem`);
  const key = randomBytes(16).toString('base64');
  /** @type {Draft[]} */
  const made = [];
  for (const [at, { signing, parent = at }] of runs.entries()) {
    const run = at + 1;
    const place = run === 1 ? folder : join(folder, 'increments', String(run).padStart(4, '0'));
    const chain = run === 1 ? undefined : { run: parent + 1, base: made[0].id, parent: made[parent - 1].id, key };
    const draft = new Draft(place, { recipient, signing, chain, made: Date.UTC(2026, 10, 20 + run) });
    draft.records('events/events-0001', [{ id: 'e', streamIds: ['s'], time: run, type: 'count/generic', content: run }]);
    made.push(draft.finish());
  }
  const listed = made.map(({ id, made: createdAt }, at) => ({ run: at + 1, path: at === 0 ? '' : `increments/${String(at + 1).padStart(4, '0')}`, archiveId: id,
    parent: at === 0 ? null : made[at - 1].id, kind: 'full', createdAt, mode: 'hybrid', recipients: [] }));
  writeFileSync(join(folder, 'chain.json'), JSON.stringify({ v: 1, runs: listed }, null, 2));
  return { folder, privateKey: recipient.privateKey, runs: made };
}
