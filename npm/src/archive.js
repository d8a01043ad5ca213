import { createHash } from 'node:crypto';
import {
  Chain, Demands, Envelope, Fold, Sieve, Signed, StoredRuns, caution, chooseEngine, errorOf, inRun, isCompanion, judge, lostIndex, mixedRuns, plainManifest,
  plan, refuseLong, requireId,
} from './core.js';
import { judgeListing, linesOfRuns } from './bounds.js';
import { DecryptError, kindOf, messageOf, withAdvice, withPath } from './errors.js';
import { pump, readSmall, readStored, readWhole } from './pump.js';
import { CHAIN, firstRun, openChain, plannedFiles } from './runs.js';
import { streamFile } from './stream.js';
import { SIGNATURE, demandsOf, expectArchive } from './trust.js';

/** @typedef {import('./types.js').Source} Source */
/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./types.js').FileEntry} FileEntry */
/** @typedef {import('./types.js').Finding} Finding */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').DataKey} DataKey */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Envelope} OpenEnvelope */

/** @type {import('./chain.js').Host<Source>} */
const HOST = {
  core: { Chain, Fold, Sieve, StoredRuns, errorOf, inRun, isCompanion, judge },
  pump,
  streamFile,
  readStored,
  readSmall,
  below: (source, folder) => ({ name: source.name, list: source.list, open: (path) => source.open(folder + path) }),
};
const SUMS = 'SHA256SUMS';
const USER_MANIFEST = /^users\/[^/]+\/user-manifest\.json$/;

/**
 * How to open an archive, and what is asked of it. Without `secretGiven` a secret is taken to be given where `unlock` is.
 * @typedef {import('./trust.js').Trust & OpenChoice} OpenOptions
 */

/**
 * @typedef {object} OpenChoice
 * @property {import('./types.js').EngineChoice} [engine] who does the AES; default `auto`
 * @property {(envelope: OpenEnvelope) => DataKey|Promise<DataKey>} [unlock] gives the data key; called for an
 *   encrypted archive only
 * @property {string} [user] userId or username: leave out everything of the others
 * @property {string} [expectId] the archive's id (hex SHA-256 of manifest.json as stored), as noted when it was made; of
 *   a chain, that of the run
 * @property {number} [at] of a chain: the run whose state is wanted, counted from 1; default the newest
 */

/**
 * An archive, or a run of a chain, whose manifests are read.
 * @typedef {{ id: string, key: DataKey|undefined, sealing: Buffer|undefined, keyCheck: boolean|undefined, opened: boolean,
 *   manifest: Buffer, parsed: any, signed: import('../../.build/wasm/decryptor_wasm.js').Signed, signer: string|undefined, texts: Record<string, string|null>, contents: Map<string, Buffer>, findings: Finding[] }} Run
 */

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  /**
   * @param {Source} source
   * @param {{ id: string, signer: string|undefined, key: DataKey|undefined, sealing: Buffer|undefined, engine: any, plan: import('./types.js').Plan,
   *   manifest: any, manifests: Map<string, Buffer>, chain?: import('./chain.js').ChainState }} parts
   */
  constructor (source, { id, signer, key, sealing, engine, plan, manifest, manifests, chain }) {
    /** Hex SHA-256 of manifest.json as stored. */
    this.id = id;
    /** The public key of whoever signed it; undefined for an archive that nobody signs. `findings` say whether that is who is expected. */
    this.signer = signer;
    /** `encryption.json` as it was when the archive was opened; undefined when it is not encrypted. */
    this.sealing = sealing;
    this.encrypted = key !== undefined;
    /** Whether this is what was decrypted of an archive: its inventory counts with the content then. */
    this.opened = chain === undefined && !this.encrypted && manifest.encrypted === true;
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
    /** Of a chain: its runs, and whose state this is; undefined for an archive by itself. */
    this.chain = chain;
    /** @type {import('./stream.js').Access} */
    this.access = { source, key, engine, opened: this.opened, chain };
  }

  /** What is to be said of an archive that holds no state by itself; empty for one that does. */
  get caution () {
    const warning = caution(/** @type {Buffer} */ (this.manifests.get('manifest.json')));
    return warning === undefined ? '' : withAdvice(warning);
  }

  /**
   * Leaves out attachments of events that are gone: the state of a chain still has their files. To be called before `files` of a
   * chain are read; an archive by itself is left as it is.
   */
  async settle () {
    if (this.chain === undefined) return;
    /** @type {Set<string>} */
    const gone = new Set();
    for (const { userId } of this.users) {
      if (!this.chain.changed(userId, 'events')) continue;
      const own = this.files.filter(({ user }) => user === userId);
      const unlisted = new Map(own.filter(({ jsonl }) => !jsonl).map(({ path }) => [path.slice(path.lastIndexOf('/') + 1), path]));
      if (unlisted.size === 0) continue;
      try {
        for (const { path } of own.filter(({ path }) => path.startsWith(`users/${userId}/events/`))) {
          for await (const event of this.records(path)) {
            for (const { id } of event.attachments ?? []) unlisted.delete(id);
          }
        }
        for (const path of unlisted.values()) gone.add(path);
      } catch (error) {
        // Whoever reads the records will say so; which attachments they list, nobody knows.
        if (kindOf(error) !== 'damaged') throw error;
      }
    }
    this.files = this.files.filter(({ path }) => !gone.has(path));
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
    if (this.chain === undefined) this.access.key?.free();
    else this.chain.close();
    this.access.key = undefined;
  }
}

/**
 * Opens an archive: envelope, key, manifest, signature, user manifests, and the plan of what is to be read. Of a chain, the state at a run.
 * @param {Source} source
 * @param {OpenOptions} [options]
 * @returns {Promise<Archive>}
 */
export async function openArchive (source, { engine: choice = 'auto', unlock, user, expectId, at, ...trust } = {}) {
  const engine = chooseEngine(choice);
  const demands = demandsOf(Demands, { secretGiven: unlock !== undefined, ...trust });
  try {
    const listing = await source.list();
    mixedRuns(JSON.stringify(listing));
    judgeListing(refuseLong, listing);
    const open = listing.some(([path]) => path === CHAIN) ? openState : openSingle;
    return await open(source, listing, { engine, unlock, user, expectId, at, demands });
  } finally {
    demands.free();
  }
}

/**
 * What opening takes.
 * @typedef {{ engine: any, unlock: OpenChoice['unlock'], expectId: string|undefined,
 *   demands: import('../../.build/wasm/decryptor_wasm.js').Demands }} Means
 */

/**
 * Opens the state at a run of a chain.
 * @param {Source} source
 * @param {Array<[string, number]>} listing
 * @param {Means & { user: string|undefined, at: number|undefined }} means
 */
async function openState (source, listing, { engine, unlock, user, expectId, at, demands }) {
  const { newest: { id, signer, key, sealing }, state, chain } = await openChain(HOST, source, listing, {
    at,
    user,
    engine,
    demands,
    openRun: (run, files, wanted) => openRun(run, files, { engine, unlock, demands, expectId: wanted === 0 ? undefined : expectId }),
  });
  const manifests = new Map(Object.entries(state.manifests).map(([path, text]) => [path, Buffer.from(/** @type {string} */ (text))]));
  const plan = { inventoried: state.inventoried, files: plannedFiles(state.files), findings: state.findings, users: state.users };
  return new Archive(source, { id, signer, key, sealing, engine, plan, manifest: JSON.parse(state.manifests['manifest.json']), manifests, chain });
}

/**
 * Opens an archive by itself, or the first run of a chain whose list of runs was lost.
 * @param {Source} source
 * @param {Array<[string, number]>} listing
 * @param {Means & { user: string|undefined, at: number|undefined }} means
 */
async function openSingle (source, listing, { user, at, ...means }) {
  const lost = lostIndex(JSON.stringify(listing), await sumsOfChain(source, listing));
  if (lost !== undefined && at !== 1) throw lost;
  const own = lost === undefined ? listing : firstRun(listing);
  const run = await openRun(source, own, means);
  try {
    const signer = JSON.parse(means.demands.alone(run.signed, at));
    const made = JSON.parse(plan(run.manifest, JSON.stringify(run.texts), JSON.stringify(own), run.keyCheck, run.signed, user));
    if (lost !== undefined) made.findings.push({ severity: 'warning', code: 'missing', path: CHAIN, message: messageOf(lost) });
    const told = new Set(made.findings.map((/** @type {Finding} */ finding) => finding.path));
    made.findings.push(...run.findings.filter((finding) => !told.has(finding.path)), signer);
    run.contents.set('manifest.json', run.manifest);
    const { id, key, sealing, parsed, contents } = run;
    return new Archive(source, {
      id, signer: run.signer, key, sealing, engine: means.engine, plan: made, manifest: parsed, manifests: contents,
    });
  } catch (error) {
    run.key?.free();
    throw error;
  } finally {
    run.signed.free();
  }
}

/**
 * What `SHA256SUMS` says of runs, if it is there.
 * @param {Source} source
 * @param {Array<[string, number]>} listing
 */
async function sumsOfChain (source, listing) {
  if (!listing.some(([path]) => path === SUMS)) return undefined;
  return linesOfRuns(pump(source, SUMS, { key: undefined, gunzip: false, lines: false, hash: false, engine: undefined }));
}

/** @param {Uint8Array} bytes */
function digest (bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Opens what lies in a folder: envelope, key, manifest, signature, and the manifests of the users. That the signature holds is checked;
 * who made it, whoever calls this asks.
 * @param {Source} source
 * @param {Array<[string, number]>} listing
 * @param {Means} means
 * @returns {Promise<Run>}
 */
async function openRun (source, listing, { engine, unlock, expectId, demands }) {
  const names = new Set(listing.map(([path]) => path));
  requireManifest(names, source.name);
  const stored = await readStored(source, 'manifest.json');
  const id = digest(stored.content);
  expectArchive(requireId, id, expectId);
  const sealing = names.has('encryption.json') ? (await readStored(source, 'encryption.json')).content : undefined;
  demands.storage(sealing !== undefined);
  const envelope = sealing && Envelope.parse(sealing);
  let key;
  let signed;
  try {
    if (envelope !== undefined) {
      if (unlock === undefined) throw errorOf('key-needed', {});
      envelope.provenBy(stored.content);
      key = await unlock(envelope);
    }
    const { content: manifest, summary } = await readManifest(key, engine, stored.content, envelope);
    const minisig = names.has(SIGNATURE) ? await readSmall(source, SIGNATURE) : undefined;
    signed = Signed.check(manifest, JSON.stringify(summary), stored.content, minisig, key !== undefined);
    envelope?.agreesWith(manifest);
    const parsed = JSON.parse(manifest.toString());
    const { texts, contents, findings } = await readUserManifests(source, listing, key, engine, parsed);
    const opened = key === undefined && parsed.encrypted === true;
    return {
      id, key, sealing, keyCheck: envelope?.hasKeyCheck, opened, manifest, parsed, signed, signer: signed.signer, texts, contents, findings,
    };
  } catch (error) {
    key?.free();
    signed?.free();
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
  const empty = names.size === 0 ? 'folder-empty' : 'not-a-backup';
  throw errorOf(names.has('encryption.json') ? 'unfinished' : empty, { path: where });
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
    throw envelope?.manifestError(error, stored) ?? withPath('manifest.json', error);
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
      judge(JSON.stringify(expected.get(path) ?? null), JSON.stringify(summary), sha256, opened);
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
