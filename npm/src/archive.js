import { createHash } from 'node:crypto';
import { Envelope, checkManifest, chooseEngine, judge, plainManifest, plan } from './core.js';
import { DecryptError, kindOf, messageOf } from './errors.js';
import { readStored, readWhole } from './pump.js';
import { streamFile, withPath } from './stream.js';

/** @typedef {import('./types.js').Source} Source */
/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./types.js').FileEntry} FileEntry */
/** @typedef {import('./types.js').Finding} Finding */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').DataKey} DataKey */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Envelope} OpenEnvelope */

const USER_MANIFEST = /^users\/[^/]+\/user-manifest\.json$/;

/**
 * @typedef {object} OpenOptions
 * @property {import('./types.js').EngineChoice} [engine] who does the AES; default `auto`
 * @property {(envelope: OpenEnvelope) => DataKey|Promise<DataKey>} [unlock] gives the data key; called for an
 *   encrypted archive only
 * @property {string} [user] userId or username: leave out everything of the others
 * @property {string} [expectId] the archive's id (hex SHA-256 of manifest.json as stored), as noted when it was made
 */

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  /**
   * @param {Source} source
   * @param {{ id: string, key: DataKey|undefined, sealing: Buffer|undefined, engine: any, plan: import('./types.js').Plan,
   *   manifest: any, manifests: Map<string, Buffer> }} parts
   */
  constructor (source, { id, key, sealing, engine, plan, manifest, manifests }) {
    /** Hex SHA-256 of manifest.json as stored. */
    this.id = id;
    /** `encryption.json` as it was when the archive was opened; undefined when it is not encrypted. */
    this.sealing = sealing;
    this.encrypted = key !== undefined;
    /** Whether this is what was decrypted of an archive: its inventory counts with the content then. */
    this.opened = !this.encrypted && manifest.encrypted === true;
    /** @type {import('./types.js').EngineChoice} */
    this.engine = engine === undefined ? 'wasm' : 'host';
    /** Whether the archive lists its files, so that a missing, cut, swapped or added one is noticed. */
    this.inventoried = plan.inventoried;
    this.files = plan.files;
    this.findings = plan.findings;
    this.manifest = manifest;
    /** The content of manifest.json and of every readable user-manifest.json, by path. */
    this.manifests = manifests;
    this.users = plan.users;
    /** @type {import('./stream.js').Access} */
    this.access = { source, key, engine, opened: this.opened };
  }

  /** The users, with the counts that their manifests give for each collection. */
  listUsers () {
    return this.users;
  }

  /**
   * The content of one file, piece by piece, decrypted and (unless `gunzip` is false) inflated. Each piece is a copy.
   * Throws at the end when the file is not what the inventory says: only then is it known to be whole.
   * @param {string} path
   * @param {{ gunzip?: boolean }} [options]
   * @returns {AsyncGenerator<Uint8Array>}
   */
  async * readFile (path, { gunzip = true } = {}) {
    const file = this.files.find((known) => known.path === path);
    if (file === undefined) throw new DecryptError('usage', `${path} is not a file of this archive`);
    for await (const piece of this.stream(file, { gunzip })) yield piece.slice();
  }

  /**
   * The records of one file of JSON lines.
   * @param {string} path
   * @returns {AsyncGenerator<any>}
   */
  async * records (path) {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const piece of this.readFile(path)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
    }
    if (rest.trim() !== '') yield JSON.parse(rest);
  }

  /**
   * The content of a planned file as views of WASM memory, each good until the next is asked for. Throws `damaged` with
   * the file's path, at the latest at the end.
   * @param {PlannedFile} file
   * @param {{ gunzip: boolean, hash?: boolean }} options `hash`: check the SHA-256 of the stored bytes too, which is
   *   always done for a file that is not encrypted
   */
  stream (file, options) {
    return streamFile(this.access, file, options);
  }

  /**
   * A manifest for a tree whose `.jsonl.gz` files were inflated.
   * @param {Buffer} content
   * @returns {Uint8Array}
   */
  static plainManifest (content) {
    return plainManifest(content);
  }

  /** Lets go of the data key. */
  close () {
    this.access.key?.free();
    this.access.key = undefined;
  }
}

/**
 * Opens an archive: envelope, key, manifest, user manifests, and the plan of what is to be read.
 * @param {Source} source
 * @param {OpenOptions} [options]
 * @returns {Promise<Archive>}
 */
export async function openArchive (source, { engine = 'auto', unlock, user, expectId } = {}) {
  const aead = chooseEngine(engine);
  const listing = await source.list();
  const names = new Set(listing.map(([path]) => path));
  requireManifest(names, source.name);
  const stored = await readStored(source, 'manifest.json');
  const id = createHash('sha256').update(stored.content).digest('hex');
  if (expectId !== undefined && expectId.toLowerCase() !== id) {
    throw new DecryptError('damaged', `this is not the archive that you expect: its id is ${id}, not ${expectId}`);
  }
  let key;
  let sealing;
  /** @type {OpenEnvelope|undefined} */
  let envelope;
  if (names.has('encryption.json')) {
    sealing = (await readStored(source, 'encryption.json')).content;
    envelope = Envelope.parse(sealing);
    if (unlock === undefined) throw new DecryptError('key', 'this archive is encrypted: a key is needed');
    key = await unlock(envelope);
  }
  try {
    const { content: manifest, summary } = await readManifest(key, aead, stored.content, envelope);
    checkManifest(manifest, JSON.stringify(summary));
    const parsed = JSON.parse(manifest.toString());
    const { texts, contents, findings } = await readUserManifests(source, listing, key, aead, parsed);
    const made = JSON.parse(plan(manifest, JSON.stringify(texts), JSON.stringify(listing), envelope?.hasKeyCheck, user));
    const told = new Set(made.findings.map((/** @type {Finding} */ finding) => finding.path));
    made.findings.push(...findings.filter((finding) => !told.has(finding.path)));
    contents.set('manifest.json', manifest);
    return new Archive(source, { id, key, sealing, engine: aead, plan: made, manifest: parsed, manifests: contents });
  } catch (error) {
    key?.free();
    throw error;
  } finally {
    envelope?.free();
  }
}

/**
 * @param {Set<string>} names
 * @param {string} where
 */
function requireManifest (names, where) {
  if (names.has('manifest.json')) return;
  if (names.size === 0) throw new DecryptError('usage', `${where} is empty: give the folder of the backup`);
  if (!names.has('encryption.json')) {
    throw new DecryptError('usage', `${where} is not a backup (it has no manifest.json): give the folder of the backup`);
  }
  throw new DecryptError('damaged',
    `${where} has no manifest.json: the backup was not finished, or the file was removed; use another copy`);
}

/**
 * Opens the very bytes whose digest is the archive's id: the file itself may be another one by now.
 * @param {DataKey|undefined} key
 * @param {any} engine
 * @param {Uint8Array} stored
 * @param {OpenEnvelope|undefined} envelope
 */
async function readManifest (key, engine, stored, envelope) {
  const source = { name: 'memory', list: async () => [], open: async () => (async function * () { yield stored; })() };
  try {
    return await readWhole(source, 'manifest.json', { key, gunzip: false, lines: false, hash: false, engine });
  } catch (error) {
    throw envelope?.manifestError(kindOf(error), messageOf(error), stored) ?? withPath('manifest.json', error);
  }
}

/**
 * Reads every user-manifest.json and holds it against the inventory of the manifest.
 * @param {Source} source
 * @param {Array<[string, number]>} listing
 * @param {DataKey|undefined} key
 * @param {any} engine
 * @param {any} manifest
 */
async function readUserManifests (source, listing, key, engine, manifest) {
  /** @type {Record<string, string|null>} */
  const texts = {};
  /** @type {Map<string, Buffer>} */
  const contents = new Map();
  /** @type {Finding[]} */
  const findings = [];
  /** @type {Map<string, FileEntry>} */
  const expected = new Map((manifest?.inventory?.files ?? []).map((/** @type {FileEntry} */ entry) => [entry.path, entry]));
  const opened = key === undefined && manifest.encrypted === true;
  for (const [path, size] of listing) {
    if (!USER_MANIFEST.test(path)) continue;
    try {
      const { content, summary, sha256 } =
        await readWhole(source, path, { key, gunzip: false, lines: false, hash: true, engine, size });
      const verdict = judge(JSON.stringify(expected.get(path) ?? null), JSON.stringify(summary), sha256, opened);
      if (verdict !== '') throw new DecryptError('damaged', verdict);
      texts[path] = content.toString();
      contents.set(path, content);
    } catch (error) {
      if (kindOf(error) !== 'damaged') throw error;
      texts[path] = null;
      findings.push({ severity: 'error', code: 'damaged', path, message: withPath(path, error).message });
    }
  }
  return { texts, contents, findings };
}
