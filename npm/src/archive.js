import { blocksOf } from './blocks.js';
import { chooseEngine, plainManifest } from './core.js';
import { DecryptError } from './errors.js';
import { dropOrphans as leaveOutOrphans, manifestOf, streamFile } from './files.js';
import { HOST } from './host.js';
import { open } from './opening.js';
import { Paged } from './paged.js';
import { withVolumes } from './volumes.js';

/** @typedef {import('./types.js').Source} Source */
/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./opening.js').DataKey} DataKey */

/**
 * Says how to open an archive, and which demands it must meet. Without `secretGiven` a secret is taken to be given where `unlock` is.
 * @typedef {import('./opening.js').Trust & OpenChoice} OpenOptions
 */

/**
 * @typedef {object} OpenChoice
 * @property {import('./types.js').EngineChoice} [engine] who does the AES; default `auto`
 * @property {(envelope: import('./opening.js').Envelope) => DataKey|Promise<DataKey>} [unlock] gives the data key; called for an
 *   encrypted archive only
 * @property {string} [user] userId or username: leave out everything of the others
 * @property {string} [expectId] the archive's id (hex SHA-256 of manifest.json as stored), as noted when it was made; of
 *   a chain, that of the run
 * @property {number} [at] of a chain: the run whose state is wanted, counted from 1; default the newest
 */

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  #opened;

  /**
   * @param {Source & import('./volumes.js').WithVolumes} source
   * @param {any} engine
   * @param {{ opened: import('./opening.js').Opened, keys: Map<number, DataKey> }} parts
   */
  constructor (source, engine, { opened, keys }) {
    /** @type {import('./types.js').Facts} */
    const facts = JSON.parse(opened.facts());
    /** @type {string} Hex SHA-256 of manifest.json as stored. */
    this.id = facts.id;
    /** @type {string|undefined} The public key of whoever signed it; undefined for an archive that nobody signs. `findings` say whether that is who is expected. */
    this.signer = facts.signer ?? undefined;
    /** `encryption.json` as it was when the archive was opened; undefined when it is not encrypted. */
    this.sealing = opened.envelope();
    /** @type {boolean} */
    this.encrypted = facts.encrypted;
    /** @type {boolean} Whether this is what was decrypted of an archive: its inventory counts with the content then. */
    this.opened = facts.decrypted;
    /** @type {import('./types.js').EngineChoice} */
    this.engine = engine === undefined ? 'wasm' : 'host';
    /** Whether the archive lists its files, so that a missing, cut, swapped or added one is noticed. */
    this.inventoried = facts.inventoried;
    this.findings = facts.findings;
    /** What manifest.json says, but for its lists of users and of files, which are empty here. */
    this.manifest = JSON.parse(String(Buffer.from(opened.manifestRest())));
    /** @type {string} What is to be said of an archive that holds no state by itself; empty for one that does. */
    this.caution = facts.caution === null ? '' : facts.caution.join('');
    /** @type {{ run: number, headline: string, lines: string[] }|undefined} Of a chain: whose state this is, and a line for each run. */
    this.chain = facts.chain ?? undefined;
    /** Sizes, of the files to read: see `Facts` of the core. */
    this.sizes = { bytes: facts.bytes, compressed: facts.compressed, largest: facts.largest };
    this.#opened = opened;
    /** @type {Paged<PlannedFile>} The files to read, in the order of their paths. */
    this.files = this.#list('files', facts.files);
    /** @type {Paged<PlannedFile>} The readable user-manifest.json files. */
    this.manifests = this.#list('manifests', facts.manifests);
    /** @type {Paged<import('./types.js').UserInfo>} */
    this.users = this.#list('users', facts.users);
    /** @type {import('./files.js').Access<Source & import('./volumes.js').WithVolumes>} */
    this.access = { source, keys, engine, decrypted: this.opened, state: this.chain === undefined ? undefined : opened };
  }

  /**
   * Leaves out attachments of events that are gone: the state of a chain still has their files. To be called before `files` of a
   * chain are read; an archive by itself is left as it is.
   */
  async dropOrphans () {
    if (await leaveOutOrphans(HOST, this.access)) this.files = this.#list('files', JSON.parse(this.#opened.facts()).files);
  }

  /**
   * Small files that lie near each other in volumes, many at once. The places in `files` of those that are to be read by themselves are added to
   * `others`.
   * @param {number[]} others
   */
  async * blocks (others) {
    yield * blocksOf(this.#opened, await this.access.source.known(), this.files.length, others);
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
    const file = this.#opened.file(path);
    if (file === undefined) throw new DecryptError('usage', `${path} is not a file of this archive`);
    for await (const piece of this.stream(JSON.parse(file), { gunzip })) yield piece.slice();
  }

  /**
   * Two files that would overwrite each other where they are written to; undefined where there are none.
   * @param {{ gunzip: boolean, caseless: boolean }} options `gunzip`: they are written without `.gz`; `caseless`: `A` and `a` are the same
   * @returns {string[]|undefined}
   */
  collision ({ gunzip, caseless }) {
    return this.#opened.collision(undefined, gunzip, caseless);
  }

  /** The content of manifest.json; of a chain, that of its state. Throws when it is another than when the archive was opened. */
  async manifestJson () {
    return Buffer.from(await manifestOf(HOST, this.access, this.#opened));
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
    return streamFile(HOST, this.access, file, options);
  }

  /**
   * A manifest for a tree whose `.jsonl.gz` files were inflated.
   * @param {Buffer} content
   * @returns {Uint8Array}
   */
  static plainManifest (content) {
    return plainManifest(content);
  }

  /**
   * The whole content of a manifest.
   * @param {PlannedFile} file
   */
  async contentOf (file) {
    /** @type {Buffer[]} */
    const pieces = [];
    for await (const piece of this.stream(file, { gunzip: false, hash: true })) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }

  /**
   * @param {string} name
   * @param {number} length
   * @returns {Paged<any>}
   */
  #list (name, length) {
    return new Paged(length, (from, count) => this.#opened.page(name, from, count));
  }

  /** Lets go of the keys. */
  close () {
    for (const key of this.access.keys.values()) key.free();
    this.access.keys.clear();
    this.#opened.free();
  }
}

/**
 * Opens an archive; of a chain, the state at a run.
 * @param {Source} source
 * @param {OpenOptions} [options]
 * @returns {Promise<Archive>}
 */
export async function openArchive (source, { engine: choice = 'auto', unlock, ...request } = {}) {
  const engine = chooseEngine(choice);
  const means = { engine, unlock };
  const stored = withVolumes(HOST.core, source);
  return new Archive(stored, engine, await open(HOST, stored, { secretGiven: unlock !== undefined, ...request }, means));
}
