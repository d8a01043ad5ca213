// An independent reader of encrypted archives, written from docs/format.md alone, with nothing but Node's own crypto and zlib.
// It shares no code with the decryptor, so that what both agree on is the format and not a common mistake.
//
//   node read.mjs ARCHIVE OUT --private-key PEM [--key-passphrase TEXT]
//   node read.mjs ARCHIVE OUT --passphrase TEXT
//
// It says who signed the archive; with --signer KEY it refuses one of anybody else.
// OUT must be missing or empty. Exit codes: 0 read and checked; 1 anything else; 2 usage; 3 no key or a wrong one; 4 damaged or tampered with.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

class Fault extends Error {
  constructor (code, message) { super(message); this.code = code; }
}
const damaged = (what) => new Fault(4, what);

const SIGNATURE = 'manifest.json.minisig';
const CLEAR = ['encryption.json', SIGNATURE, 'SHA256SUMS', 'chain.json', 'RESTORE-README.md', 'decrypt-backup.mjs', 'decrypt-backup.html', 'FORMAT.md'];
const NOT_LISTED = ['manifest.json', SIGNATURE, 'encryption.json', 'SHA256SUMS', 'chain.json'];
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|com[1-9]|lpt[1-9])(\.|$)/i;

const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const hkdf = (key, salt, info) => Buffer.from(crypto.hkdfSync('sha256', key, salt, info, 32));

function parseJson (bytes, name) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw damaged(`${name}: not JSON`);
  }
}

function isSafe (name) {
  const forbidden = /[\\:*?"<>|\x00-\x1f\x7f-\x9f]|^\.{0,2}$|[. ]$/;
  return Buffer.byteLength(name) <= 1024 &&
    name.split('/').every((part) => !forbidden.test(part) && Buffer.byteLength(part) <= 255 && !RESERVED.test(part));
}

/** Every file below `root`, relative, with `/`; a link is refused, since it could lead anywhere. */
function listing (root, below = '') {
  return fs.readdirSync(path.join(root, below), { withFileTypes: true }).flatMap((item) => {
    const name = below ? `${below}/${item.name}` : item.name;
    if (item.isDirectory()) return listing(root, name);
    if (!item.isFile()) throw damaged(`${name}: not a regular file`);
    return [name];
  });
}

/** The kind of a path by the layout: `records`, `attachment`, `manifest`, `clear`, or null for a file that is not the archive's. */
function kindOf (name) {
  if (CLEAR.includes(name)) return 'clear';
  if (name === 'manifest.json' || /^users\/[^/]+\/user-manifest\.json$/.test(name)) return 'manifest';
  if (/^(users\/[^/]+\/attachments\/[^/]+|capsule\/.+)$/.test(name)) return 'attachment';
  const records = /^(platform\/platform|register\/servers|users\/[^/]+\/(streams|accesses|profile|webhooks|account|series\/series|events\/events-[^/]*|audit\/audit-[^/]*))\.jsonl(\.gz)?$/;
  return records.test(name) ? 'records' : null;
}

function dataKeys (envelope, secrets) {
  const bytes = (text, what) => {
    if (typeof text !== 'string') throw damaged(`encryption.json: ${what} is missing`);
    return Buffer.from(text, 'base64');
  };
  if (envelope.mode === 'hybrid') {
    if (!secrets.privateKey) throw new Fault(3, 'this archive opens with a private key');
    let key;
    try {
      key = crypto.createPrivateKey({ key: fs.readFileSync(secrets.privateKey), passphrase: secrets.keyPassphrase });
    } catch (error) {
      throw new Fault(3, `${secrets.privateKey}: not a private key that can be used (${error.message})`);
    }
    const own = sha256(crypto.createPublicKey(key).export({ type: 'spki', format: 'der' }));
    const recipients = envelope.recipients ?? [{ wrappedKey: envelope.wrappedKey }];
    if (envelope.recipients && recipients[0]?.wrappedKey !== envelope.wrappedKey) throw damaged('encryption.json: the first recipient differs from wrappedKey');
    const mine = recipients.filter((r) => r.fingerprint === undefined || r.fingerprint === own);
    if (mine.length === 0) throw new Fault(3, 'the archive is not for this key');
    return mine.map((r) => {
      try {
        return crypto.privateDecrypt({ key, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, bytes(r.wrappedKey, 'wrappedKey'));
      } catch {
        // A listed key that opens nothing is damage; without fingerprints nobody can tell.
        throw r.fingerprint ? damaged('encryption.json: the wrapped key is damaged') : new Fault(3, 'the archive does not open with this key');
      }
    });
  }
  if (secrets.passphrase === undefined) throw new Fault(3, 'this archive opens with a passphrase');
  const salt = bytes(envelope.salt, 'salt');
  if (salt.length < 8 || salt.length > 64) throw damaged('encryption.json: a salt of an impossible length');
  if (envelope.mode === 'symmetric') {
    const { N, r, p } = envelope;
    const bounded = [N, r, p].every((n) => Number.isInteger(n) && n > 0) && N * r <= 2 ** 21 && p <= 16;
    if (!bounded) throw damaged('encryption.json: scrypt parameters out of bounds');
    return [crypto.scryptSync(secrets.passphrase, salt, 32, { N, r, p, maxmem: 512 * 2 ** 20 })];
  }
  if (envelope.mode === 'symmetric-pbkdf2') {
    if (!(Number.isInteger(envelope.iterations) && envelope.iterations > 0 && envelope.iterations <= 1e7)) throw damaged('encryption.json: iterations out of bounds');
    return [crypto.pbkdf2Sync(secrets.passphrase, salt, envelope.iterations, 32, 'sha256')];
  }
  throw damaged('encryption.json: unknown mode');
}

function unlock (envelope, secrets) {
  if (envelope.v !== 1 || envelope.alg !== 'AES-256-GCM-CHUNKED') throw damaged('encryption.json: unknown version or algorithm');
  const [key] = dataKeys(envelope, secrets);
  if (key.length !== 32) throw damaged('encryption.json: the data key is not 32 bytes');
  if (envelope.keyCheck !== undefined) {
    const check = hkdf(key, '', 'pryv-backup-key-check-v1').toString('base64');
    if (check !== envelope.keyCheck) throw new Fault(3, 'wrong key or passphrase');
  }
  return key;
}

/** Opens one sealed file: its plain bytes, and what its header says. */
export function open (stored, key, name) {
  if (stored.length < 12 || stored.toString('latin1', 0, 8) !== 'PRYVBKE1') throw damaged(`${name}: not a sealed file`);
  const end = 12 + stored.readUInt32BE(8);
  if (end > stored.length) throw damaged(`${name}: cut in its header`);
  const header = parseJson(stored.subarray(12, end), name);
  const { chunk } = header;
  const salt = Buffer.from(String(header.salt), 'base64');
  if (salt.length !== 16 || !(Number.isInteger(chunk) && chunk > 0 && chunk <= 2 ** 24)) throw damaged(`${name}: unknown header`);
  // It carries no tag of its own, so that there is one spelling only.
  const spelled = `{"v":1,"salt":"${salt.toString('base64')}","chunk":${chunk}}`;
  if (stored.toString('latin1', 12, end) !== spelled) throw damaged(`${name}: unknown header`);
  const fileKey = hkdf(key, salt, 'pryv-backup-file-v1');
  const plain = [];
  for (let at = end, index = 0; at < stored.length; index++) {
    if (stored.length - at < 4) throw damaged(`${name}: cut in a frame`);
    const length = stored.readUInt32BE(at);
    const next = at + 4 + length;
    if (length <= 16 || length > chunk + 16 || next > stored.length) throw damaged(`${name}: frame ${index} is cut or malformed`);
    if (next < stored.length && length !== chunk + 16) throw damaged(`${name}: frame ${index} is short and not the last`);
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64BE(BigInt(index), 4);
    const cipher = crypto.createDecipheriv('aes-256-gcm', fileKey, nonce);
    cipher.setAuthTag(stored.subarray(next - 16, next));
    try {
      plain.push(cipher.update(stored.subarray(at + 4, next - 16)), cipher.final());
    } catch {
      throw damaged(`${name}: frame ${index} is not authentic`);
    }
    at = next;
  }
  return { plain: Buffer.concat(plain), salt: header.salt, chunk };
}

function countRecords (content, name) {
  let bytes = content;
  if (name.endsWith('.gz')) {
    try { bytes = zlib.gunzipSync(content); } catch { throw damaged(`${name}: not gzip, or cut`); }
  }
  if (bytes.length === 0) return 0;
  if (bytes[bytes.length - 1] !== 10) throw damaged(`${name}: the last line is not ended`);
  let records = 0;
  for (let from = 0; from < bytes.length; records++) {
    const to = bytes.indexOf(10, from);
    parseJson(bytes.subarray(from, to), `${name}: line ${records + 1}`);
    from = to + 1;
  }
  return records;
}

function compare (entry, found, name) {
  for (const what of ['size', 'sha256', 'salt', 'contentSize', 'contentSha256', 'records']) {
    // Only sealed files have a salt and a second digest, only record files a number of records.
    if (entry[what] !== found[what]) throw damaged(`${name}: ${what} is ${found[what]}, the inventory says ${entry[what]}`);
  }
}

/** Base64 in its one spelling, of so many bytes. */
function base64 (text, length) {
  const bytes = Buffer.from(String(text), 'base64');
  return bytes.length === length && bytes.toString('base64') === text ? bytes : null;
}

/** Whether `minisig` is a signature of `content` by `signer`, and what it states; null where it is none that holds. */
export function verified (signer, content, minisig) {
  const publicKey = base64(signer, 42);
  if (!publicKey || publicKey.toString('latin1', 0, 2) !== 'Ed') throw damaged('manifest.json: its signer is no public key');
  if (minisig.length > 4096) return null;
  const lines = minisig.toString().split('\n');
  const [head, comment] = ['untrusted comment: ', 'trusted comment: '];
  if (lines.length < 4 || lines.slice(4).join('') !== '' || !lines[0].startsWith(head) || !lines[2].startsWith(comment)) return null;
  const [first, second, statement] = [base64(lines[1], 74), base64(lines[3], 64), lines[2].slice(comment.length)];
  if (!first || !second || first.toString('latin1', 0, 2) !== 'ED' || !first.subarray(2, 10).equals(publicKey.subarray(2, 10))) return null;
  // The 32 bytes of the key as Node.js takes it: the SubjectPublicKeyInfo of RFC 8410.
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey.subarray(10)]);
  const key = crypto.createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const digest = crypto.createHash('blake2b512').update(content).digest();
  const signature = first.subarray(10);
  const holds = crypto.verify(null, digest, key, signature) && crypto.verify(null, Buffer.concat([signature, Buffer.from(statement)]), key, second);
  return holds ? statement : null;
}

/** Checks who signed an archive whose inventories were read; returns the signer. */
function checkSignature (manifest, stored, minisig, inventory) {
  if (typeof manifest.signer !== 'string') throw damaged('manifest.json names no signer');
  if (minisig === undefined) throw damaged(`${SIGNATURE} is missing`);
  const statement = verified(manifest.signer, stored, minisig);
  if (statement === null) throw damaged(`${SIGNATURE} does not hold`);
  const id = sha256(stored);
  const paths = [...inventory.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const files = sha256(paths.map((name) => `${inventory.get(name).sha256}  ${name}\n`).join(''));
  const { run, parent, base } = manifest.chain ?? { run: 1, parent: '-', base: id };
  const kind = manifest.backupType === 'incremental' ? 'incremental' : 'full';
  const core = manifest.core === undefined ? '' : ` core=${manifest.core}`;
  const due = `pryv-backup-run-v1 id=${id} base=${base} parent=${parent} run=${run} kind=${kind} created=${manifest.createdAt} source=${manifest.source} losses=${manifest.lossCount} files=${files}${core}`;
  if (statement !== due) throw damaged(`${SIGNATURE} states another run: ${statement}, not ${due}`);
  return manifest.signer;
}

/**
 * Reads, checks and writes a whole archive; returns the numbers of files and records, whether there was an inventory, and who signed it.
 */
export function readArchive (root, out, secrets) {
  const load = (name) => fs.readFileSync(path.join(root, name));
  const names = listing(root);
  if (!names.includes('encryption.json')) throw new Fault(3, `${root}: no encryption.json`);
  if (!names.includes('manifest.json')) throw damaged('manifest.json is missing: the archive is incomplete');
  const envelope = parseJson(load('encryption.json'), 'encryption.json');
  const key = unlock(envelope, secrets);
  const sealed = load('manifest.json');
  const { plain: json, chunk } = open(sealed, key, 'manifest.json');
  const manifest = parseJson(json, 'manifest.json');
  if (manifest.formatVersion !== 1) throw new Fault(1, `manifest.json: unknown format version ${manifest.formatVersion}`);

  const inventory = new Map();
  const list = (entries) => {
    for (const entry of entries) {
      if (!isSafe(entry.path) || inventory.has(entry.path)) throw damaged(`inventory: ${JSON.stringify(entry.path)} is unsafe or listed twice`);
      inventory.set(entry.path, entry);
    }
  };
  if (manifest.inventory) {
    // The digests in the inventory say the same of every other file.
    if (chunk !== 65536) throw damaged('manifest.json: its header was changed');
    if (envelope.keyCheck === undefined) throw damaged('encryption.json: keyCheck is missing');
    list(manifest.inventory.files);
    for (const { userId } of manifest.users) {
      const name = `users/${userId}/user-manifest.json`;
      if (!isSafe(name) || !inventory.has(name)) throw damaged(`${name}: not in the inventory`);
      if (!names.includes(name)) throw damaged(`${name} is missing`);
      const stored = load(name);
      if (sha256(stored) !== inventory.get(name).sha256) throw damaged(`${name}: not the file that the inventory lists`);
      const user = parseJson(open(stored, key, name).plain, name);
      if (user.userId !== userId) throw damaged(`${name}: of another user`);
      if (!user.inventory) throw damaged(`${name}: has no inventory`);
      if (user.inventory.files.some((entry) => !entry.path.startsWith(`users/${userId}/`))) throw damaged(`${name}: lists a file of somebody else`);
      list(user.inventory.files);
    }
    for (const name of inventory.keys()) {
      if (!names.includes(name)) throw damaged(`${name} is missing`);
    }
  }

  let signer = null;
  if (manifest.inventory) {
    if (envelope.createdAt !== manifest.createdAt) throw damaged('encryption.json: another createdAt than in the manifest');
    signer = checkSignature(manifest, sealed, names.includes(SIGNATURE) ? load(SIGNATURE) : undefined, inventory);
  }
  if (secrets.signer !== undefined && secrets.signer !== signer) throw damaged(`signed by ${signer ?? 'nobody'}, not by ${secrets.signer}`);

  let files = 0;
  let records = 0;
  for (const name of names) {
    const kind = kindOf(name);
    if (kind === null && !inventory.has(name)) continue;
    if (!isSafe(name)) throw damaged(`${JSON.stringify(name)}: unsafe name`);
    const listed = inventory.get(name);
    if (manifest.inventory && !listed && !NOT_LISTED.includes(name)) throw damaged(`${name}: not in the inventory`);
    const stored = load(name);
    const found = { size: stored.length, sha256: sha256(stored), contentSize: stored.length };
    let content = stored;
    if (kind !== 'clear') {
      const { plain, salt } = open(stored, key, name);
      content = plain;
      Object.assign(found, { salt, contentSize: plain.length, contentSha256: sha256(plain) });
    }
    if (kind === 'records') records += found.records = countRecords(content, name);
    if (listed) compare(listed, found, name);
    if (kind === 'clear') continue;
    fs.mkdirSync(path.join(out, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(out, name), content, { flag: 'wx' });
    files++;
  }
  if (names.includes('SHA256SUMS')) checkSums(load('SHA256SUMS').toString(), names, load, inventory);
  return { files, records, inventory: Boolean(manifest.inventory), signer };
}

function checkSums (text, names, load, inventory) {
  const lines = text.split('\n').filter(Boolean);
  const sums = new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
  for (const [name, sum] of sums) {
    if (!isSafe(name)) throw damaged(`SHA256SUMS: ${JSON.stringify(name)} is unsafe`);
    if (!names.includes(name)) throw damaged(`SHA256SUMS: ${name} is missing`);
    if (sha256(load(name)) !== sum) throw damaged(`SHA256SUMS: ${name} differs`);
  }
  const paths = lines.map((line) => Buffer.from(line.slice(66)));
  if (paths.some((name, at) => at > 0 && Buffer.compare(paths[at - 1], name) >= 0)) throw damaged('SHA256SUMS: not in the order of the paths');
  for (const name of names) {
    const ours = kindOf(name) !== null || inventory.has(name);
    if (ours && name !== 'SHA256SUMS' && !sums.has(name)) throw damaged(`SHA256SUMS: ${name} is not listed`);
  }
}

function main (args) {
  const options = { '--private-key': 'privateKey', '--key-passphrase': 'keyPassphrase', '--passphrase': 'passphrase', '--signer': 'signer' };
  const secrets = {};
  const places = [];
  for (let i = 0; i < args.length; i++) {
    if (options[args[i]]) secrets[options[args[i]]] = args[++i];
    else places.push(args[i]);
  }
  if (places.length !== 2 || Object.keys(secrets).length === 0) throw new Fault(2, 'usage: node read.mjs ARCHIVE OUT (--private-key PEM [--key-passphrase TEXT] | --passphrase TEXT) [--signer KEY]');
  const [root, out] = places;
  if (fs.existsSync(out) && fs.readdirSync(out).length > 0) throw new Fault(2, `${out} is not empty`);
  const done = readArchive(root, out, secrets);
  console.log(`${done.files} files, ${done.records} records; inventory ${done.inventory ? 'checked' : 'absent'}; signed by ${done.signer ?? 'nobody'}`);
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fs.realpathSync(new URL(import.meta.url))) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exitCode = error instanceof Fault ? error.code : 1;
  }
}
