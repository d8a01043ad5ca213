import { judgeListing, linesOfRuns } from '../../../npm/src/bounds.js';
import type { ChainState, Host } from '../../../npm/src/chain.js';
import { DecryptError, kindOf, messageOf, withPath } from '../../../npm/src/errors.js';
import { CHAIN, openChain, plannedFiles } from '../../../npm/src/runs.js';
import { SIGNATURE, demandsOf, expectArchive, type Trust } from '../../../npm/src/trust.js';
import type { ArchiveInfo, FileEntry, Finding, Plan, PlannedFile, Run, Summary } from '../types.js';
import {
  Chain, Demands, Envelope, Fold, Sieve, Signed, StoredRuns, caution, errorOf, inRun, isCompanion, judge, lostIndex, mixedRuns, plan, refuseLong, requireId,
  type DataKey, type Engine, type OpenEnvelope,
} from './core.js';
import { pump, readSmall, readStored, readWhole } from './pump.js';
import { below, type Source } from './source/source.js';

const SUMS = 'SHA256SUMS';
const USER_MANIFEST = /^users\/[^/]+\/user-manifest\.json$/;

export interface Unlock { (envelope: OpenEnvelope): DataKey }

/** What it takes to read an archive's files. */
interface Access { source: Source, key: DataKey | undefined, engine: Engine, opened: boolean }

const HOST: Host<Source> = { core: { Chain, Fold, Sieve, StoredRuns, errorOf, inRun, isCompanion, judge }, pump, streamFile, readStored, readSmall, below };

/** The state of a chain: which one, and all that there are. */
export interface ChainOf { state: ChainState<Source>, runs: Run[] }

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  readonly encrypted: boolean;
  #settled: Promise<void> | undefined;

  constructor (
    readonly source: Source,
    readonly id: string,
    readonly engine: Engine,
    readonly plan: Plan,
    readonly manifest: any,
    /** The content of manifest.json and of every readable user-manifest.json, by path. */
    readonly manifests: Map<string, Uint8Array>,
    readonly key: DataKey | undefined,
    /** The public key of whoever signed it; undefined for an archive that nobody signs. */
    readonly signer: string | undefined,
    private readonly replan: (user: string) => Plan,
    readonly chain?: ChainOf
  ) {
    this.encrypted = key !== undefined;
  }

  /** The plan of everything, or of one user with the findings that concern it. */
  planOf (user?: string): Plan {
    return user === undefined ? this.plan : this.replan(user);
  }

  /** The planned file at a path. */
  file (path: string): PlannedFile {
    const file = this.plan.files.find((known) => known.path === path);
    if (file === undefined) throw new DecryptError('usage', `${path} is not a file of this archive`);
    return file;
  }

  /**
   * Leaves out attachments of events that are gone: the state of a chain still has their files. To be awaited before the files of a
   * chain are counted on; an archive by itself is left as it is.
   */
  settle (): Promise<void> {
    this.#settled ??= this.#settle();
    return this.#settled;
  }

  async #settle (): Promise<void> {
    const { chain, plan } = this;
    if (chain === undefined) return;
    const gone = new Set<string>();
    for (const { userId } of plan.users) {
      if (!chain.state.changed(userId, 'events')) continue;
      const own = plan.files.filter(({ user }) => user === userId);
      const unlisted = new Map(own.filter(({ jsonl }) => !jsonl).map(({ path }) => [path.slice(path.lastIndexOf('/') + 1), path]));
      if (unlisted.size === 0) continue;
      try {
        for (const file of own.filter(({ path }) => path.startsWith(`users/${userId}/events/`))) {
          for await (const event of this.#records(file)) {
            for (const { id } of event?.attachments ?? []) unlisted.delete(id);
          }
        }
        for (const path of unlisted.values()) gone.add(path);
      } catch (error) {
        // Whoever reads the records will say so; which attachments they list, nobody knows.
        if (kindOf(error) !== 'damaged') throw error;
      }
    }
    plan.files = plan.files.filter(({ path }) => !gone.has(path));
  }

  async * #records (file: PlannedFile): AsyncGenerator<any> {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const piece of this.stream(file, { gunzip: true })) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
    }
    if (rest.trim() !== '') yield JSON.parse(rest);
  }

  /**
   * The content of a planned file piece by piece, each to be used before anything is awaited. Throws `damaged`
   * with the file's path, at the latest at the end. `hash`: check the SHA-256 of the stored bytes too, which is always
   * done for a file that is not encrypted.
   */
  stream (file: PlannedFile, { gunzip, hash = false }: { gunzip: boolean, hash?: boolean }): AsyncGenerator<Uint8Array, Summary, void> {
    if (this.chain !== undefined) return this.chain.state.stream(file, { hash });
    const { source, key, engine } = this;
    // What was decrypted of an archive: its inventory counts with the content then.
    return streamFile({ source, key, engine, opened: key === undefined && this.manifest.encrypted === true }, file, { gunzip, hash });
  }

  info (): ArchiveInfo {
    const { manifest } = this;
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
    return {
      id: this.id,
      name: this.source.name,
      encrypted: this.encrypted,
      inventoried: this.plan.inventoried,
      engine: this.engine,
      // Of an archive that is signed, this was signed.
      made: number(manifest.createdAt ?? manifest.backupTimestamp),
      signature: this.signer === undefined ? null : { signer: this.signer, expected: this.plan.findings.some(({ code }) => code === 'pinned-signer'), source: text(manifest.source) },
      producer: manifest.producer === undefined ? '' : `${text(manifest.producer?.name)} ${text(manifest.producer?.version)}`.trim(),
      domain: text(manifest.config?.domain),
      platformEngine: text(manifest.config?.engine),
      backupType: text(manifest.backupType),
      users: this.plan.users,
      files: this.plan.files.length + this.manifests.size,
      bytes: this.plan.files.reduce((sum, { size }) => sum + size, 0),
      findings: this.plan.findings,
      hasPlatform: this.plan.files.some(({ path }) => path.startsWith('platform/')),
      chain: this.chain === undefined ? null : { run: this.chain.state.run, runs: this.chain.runs },
    };
  }
}

async function * streamFile ({ source, key, engine, opened }: Access, file: PlannedFile, { gunzip, hash }: { gunzip: boolean, hash: boolean }): AsyncGenerator<Uint8Array, Summary, void> {
  const inflate = file.gzip && gunzip;
  try {
    const { summary, sha256 } = yield * pump(source, file.path, {
      key: file.encrypted ? key : undefined,
      engine,
      gunzip: inflate,
      lines: file.jsonl && (inflate || !file.gzip),
      hash: hash || !file.encrypted,
      size: file.size,
    });
    judge(JSON.stringify(file.expected), JSON.stringify(summary), sha256, opened);
    return summary;
  } catch (error) {
    throw withPath(file.path, error);
  }
}

/** How to open: `expectId` is the id that it must have, `at` of a chain the run whose state is wanted (the newest unless given). */
export interface OpenOptions extends Trust { engine: Engine, unlock: Unlock, expectId?: string, at?: number }

/** The same, ready for the core. */
interface Means { engine: Engine, unlock: Unlock, expectId?: string, at?: number, demands: Demands }

/** Opens an archive: envelope, key, manifest, signature, user manifests, and the plan of what is to be read. Of a chain, the state at a run. */
export async function openArchive (source: Source, { engine, unlock, expectId, at, ...trust }: OpenOptions): Promise<Archive> {
  const demands = demandsOf(Demands, trust);
  try {
    const listing = source.list();
    requireUniform(listing);
    const runs = await runsOf(source);
    const means = { engine, unlock, expectId, at, demands };
    return await (runs === undefined ? openSingle(source, listing, means) : openState(source, listing, runs, means));
  } finally {
    demands.free();
  }
}

/** Throws where one run is encrypted and another is not, or a file is larger than any of its kind. */
export function requireUniform (listing: Array<[string, number]>): void {
  mixedRuns(JSON.stringify(listing));
    judgeListing(refuseLong, listing);
}

async function openSingle (source: Source, listing: Array<[string, number]>, means: Means): Promise<Archive> {
  const listed = listing.some(([path]) => path === SUMS);
  const sums = listed ? await linesOfRuns(pump(source, SUMS, { key: undefined, gunzip: false, lines: false, hash: false, engine: 'wasm' })) : undefined;
  const lost = lostIndex(JSON.stringify(listing), sums);
  if (lost !== undefined) throw lost;
  // What is signed is held against what is asked for again for each user: the finalizer lets go of it.
  const { id, key, keyCheck, manifest, signed, signer, texts, contents, findings } = await openRun(source, listing, means);
  try {
    const said: Finding = JSON.parse(means.demands.alone(signed, means.at));
    const [textsJson, listingJson] = [JSON.stringify(texts), JSON.stringify(listing)];
    const warning = caution(manifest);
    if (warning !== undefined) findings.push({ severity: 'warning', code: 'caution', path: '', message: messageOf(warning) });
    findings.push(said, ...spellingOf(key));
    const planned = (user?: string): Plan => {
      const made: Plan = JSON.parse(plan(manifest, textsJson, listingJson, keyCheck, signed, user));
      const told = new Set(made.findings.map(({ path }) => path));
      const own = findings.filter(({ path }) => path === '' || made.users.some(({ userId }) => path === `users/${userId}/user-manifest.json`));
      made.findings.push(...(user === undefined ? findings : own).filter(({ path }) => path === '' || !told.has(path)));
      return made;
    };
    contents.set('manifest.json', manifest);
    return new Archive(source, id, means.engine, planned(), JSON.parse(new TextDecoder().decode(manifest)), contents, key, signer, planned);
  } catch (error) {
    key?.free();
    signed.free();
    throw error;
  }
}

/** The runs of a chain as its index lists them, for people to choose from; undefined for an archive by itself. */
export async function runsOf (source: Source): Promise<Run[] | undefined> {
  if (!source.list().some(([path]) => path === CHAIN)) return undefined;
  try {
    const { runs } = JSON.parse(new TextDecoder().decode((await readStored(source, CHAIN)).content));
    return runs.map(({ run, archiveId, kind, createdAt, mode }: any): Run => ({
      run: Number(run), archiveId: String(archiveId), kind: String(kind), made: typeof createdAt === 'number' ? createdAt : null, mode: mode ?? null,
    }));
  } catch {
    return []; // the core says what is wrong with it, once a key is there
  }
}

async function openState (source: Source, listing: Array<[string, number]>, runs: Run[], { engine, unlock, expectId, at, demands }: Means): Promise<Archive> {
  const { newest, state, chain } = await openChain(HOST, source, listing, {
    at,
    engine,
    demands,
    openRun: (run, files, wanted) => openRun(run, files, { engine, unlock, demands, expectId: wanted === 0 ? undefined : expectId }),
  });
  const encoder = new TextEncoder();
  const manifests = new Map(Object.entries<string>(state.manifests).map(([path, text]): [string, Uint8Array] => [path, encoder.encode(text)]));
  const all: Plan = { inventoried: state.inventoried, files: plannedFiles(state.files) as PlannedFile[], findings: [...state.findings, ...spellingOf(newest.key)], users: state.users };
  const ofUser = (user: string): Plan => {
    const users = all.users.filter(({ userId, username }) => userId === user || username === user);
    const own = (path: string) => users.some(({ userId }) => path.includes(`users/${userId}/`));
    return { ...all, users, files: all.files.filter((file) => users.some(({ userId }) => file.user === userId)), findings: all.findings.filter(({ path }) => !path.includes('users/') || own(path)) };
  };
  return new Archive(source, newest.id, engine, all, JSON.parse(state.manifests['manifest.json']), manifests, newest.key, newest.signer, ofUser, { state: chain, runs });
}

/** That the passphrase opened in another spelling than it was typed. */
function spellingOf (key: DataKey | undefined): Finding[] {
  return key?.note === undefined ? [] : [{ severity: 'note', code: 'spelling', path: '', message: key.note }];
}

/** An archive, or a run of a chain, whose manifests are read, and what is signed of it. */
interface OpenedRun {
  id: string
  key: DataKey | undefined
  keyCheck: boolean | undefined
  opened: boolean
  manifest: Uint8Array
  signed: Signed
  signer: string | undefined
  texts: Record<string, string | null>
  contents: Map<string, Uint8Array>
  findings: Finding[]
}

/** Opens what lies in a folder. That its signature holds is checked; who made it, whoever calls this asks. */
async function openRun (source: Source, listing: Array<[string, number]>, { engine, unlock, expectId, demands }: Means): Promise<OpenedRun> {
  const names = new Set(listing.map(([path]) => path));
  requireManifest(names, source.name);
  const stored = await readStored(source, 'manifest.json');
  const id = stored.sha256 ?? '';
  expectArchive(requireId, id, expectId);
  const envelope = names.has('encryption.json') ? Envelope.parse((await readStored(source, 'encryption.json')).content) : undefined;
  let key: DataKey | undefined;
  let signed: Signed | undefined;
  try {
    demands.storage(envelope !== undefined);
    envelope?.provenBy(stored.content);
    key = envelope && unlock(envelope);
    const { content: manifest, summary } = await readManifest(key, engine, stored.content, envelope);
    const minisig = names.has(SIGNATURE) ? await readSmall(source, SIGNATURE) : undefined;
    signed = Signed.check(manifest, JSON.stringify(summary), stored.content, minisig, key !== undefined);
    envelope?.agreesWith(manifest);
    const parsed = JSON.parse(new TextDecoder().decode(manifest));
    const { texts, contents, findings } = await readUserManifests(source, listing, key, engine, parsed);
    return { id, key, keyCheck: envelope?.hasKeyCheck, opened: key === undefined && parsed.encrypted === true, manifest, signed, signer: signed.signer, texts, contents, findings };
  } catch (error) {
    key?.free();
    signed?.free();
    throw error;
  } finally {
    envelope?.free();
  }
}

/** Says what is wrong with a choice that holds no manifest. */
export function requireManifest (names: Set<string>, where: string): void {
  if (names.has('manifest.json')) return;
  const empty = names.size === 0 ? 'folder-empty' : 'not-a-backup';
  throw errorOf(names.has('encryption.json') ? 'unfinished' : empty, { path: where });
}

/** Opens the very bytes whose digest is the archive's id: the file itself may be another one by now. */
async function readManifest (key: DataKey | undefined, engine: Engine, stored: Uint8Array, envelope: OpenEnvelope | undefined) {
  const memory: Source = { name: 'memory', list: () => [], read: () => (async function * () { yield stored; })() };
  try {
    return await readWhole(memory, 'manifest.json', { key, gunzip: false, lines: false, hash: false, engine });
  } catch (error) {
    throw envelope?.manifestError(error, stored) ?? withPath('manifest.json', error);
  }
}

/** Reads every user-manifest.json and holds it against the inventory of the manifest. */
async function readUserManifests (source: Source, listing: Array<[string, number]>, key: DataKey | undefined, engine: Engine, manifest: any) {
  const texts: Record<string, string | null> = {};
  const contents = new Map<string, Uint8Array>();
  const findings: Finding[] = [];
  const expected = new Map<string, FileEntry>((manifest?.inventory?.files ?? []).map((entry: FileEntry) => [entry.path, entry]));
  const opened = key === undefined && manifest.encrypted === true;
  for (const [path, size] of listing) {
    if (!USER_MANIFEST.test(path)) continue;
    try {
      const { content, summary, sha256 } =
        await readWhole(source, path, { key, gunzip: false, lines: false, hash: true, engine, size });
      judge(JSON.stringify(expected.get(path) ?? null), JSON.stringify(summary), sha256, opened);
      texts[path] = new TextDecoder().decode(content);
      contents.set(path, content);
    } catch (error) {
      if (kindOf(error) !== 'damaged') throw error;
      texts[path] = null;
      findings.push({ severity: 'error', code: 'damaged', path, message: withPath(path, error).message });
    }
  }
  return { texts, contents, findings };
}
