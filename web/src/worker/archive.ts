import { DecryptError, kindOf, messageOf } from '../../../npm/src/errors.js';
import type { ArchiveInfo, FileEntry, Finding, Plan, PlannedFile, Summary } from '../types.js';
import { Envelope, checkManifest, judge, plan, type DataKey, type Engine, type OpenEnvelope } from './core.js';
import { pump, readStored, readWhole } from './pump.js';
import type { Source } from './source/source.js';

const USER_MANIFEST = /^users\/[^/]+\/user-manifest\.json$/;

export interface Unlock { (envelope: OpenEnvelope): DataKey }

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  readonly encrypted: boolean;
  /** Whether this is what was decrypted of an archive: its inventory counts with the content then. */
  readonly opened: boolean;

  constructor (
    readonly source: Source,
    readonly id: string,
    readonly engine: Engine,
    readonly plan: Plan,
    readonly manifest: any,
    /** The content of manifest.json and of every readable user-manifest.json, by path. */
    readonly manifests: Map<string, Uint8Array>,
    readonly key: DataKey | undefined,
    private readonly replan: (user: string) => Plan
  ) {
    this.encrypted = key !== undefined;
    this.opened = !this.encrypted && manifest.encrypted === true;
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
   * The content of a planned file piece by piece, each to be used before anything is awaited. Throws `damaged`
   * with the file's path, at the latest at the end. `hash`: check the SHA-256 of the stored bytes too, which is always
   * done for a file that is not encrypted.
   */
  async * stream (file: PlannedFile, { gunzip, hash = false }: { gunzip: boolean, hash?: boolean }): AsyncGenerator<Uint8Array, Summary> {
    const inflate = file.gzip && gunzip;
    try {
      const { summary, sha256 } = yield * pump(this.source, file.path, {
        key: file.encrypted ? this.key : undefined,
        engine: this.engine,
        gunzip: inflate,
        lines: file.jsonl && (inflate || !file.gzip),
        hash: hash || !file.encrypted,
        size: file.size,
      });
      const verdict = judge(JSON.stringify(file.expected), JSON.stringify(summary), sha256, this.opened);
      if (verdict !== '') throw new DecryptError('damaged', verdict);
      return summary;
    } catch (error) {
      throw withPath(file.path, error);
    }
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
      made: number(manifest.backupTimestamp),
      producer: manifest.producer === undefined ? '' : `${text(manifest.producer?.name)} ${text(manifest.producer?.version)}`.trim(),
      domain: text(manifest.config?.domain),
      platformEngine: text(manifest.config?.engine),
      backupType: text(manifest.backupType),
      users: this.plan.users,
      files: this.plan.files.length + this.manifests.size,
      bytes: this.plan.files.reduce((sum, { size }) => sum + size, 0),
      findings: this.plan.findings,
      hasPlatform: this.plan.files.some(({ path }) => path.startsWith('platform/')),
    };
  }
}

/** Opens an archive: envelope, key, manifest, user manifests, and the plan of what is to be read. */
export async function openArchive (source: Source, engine: Engine, unlock: Unlock, expectId?: string): Promise<Archive> {
  const listing = source.list();
  const names = new Set(listing.map(([path]) => path));
  requireManifest(names, source.name);
  const stored = await readStored(source, 'manifest.json');
  const id = stored.sha256 ?? '';
  if (expectId !== undefined && expectId.toLowerCase() !== id) {
    throw new DecryptError('damaged', `this is not the archive that you expect: its id is ${id}, not ${expectId}`);
  }
  let key: DataKey | undefined;
  let envelope: OpenEnvelope | undefined;
  if (names.has('encryption.json')) {
    envelope = Envelope.parse((await readStored(source, 'encryption.json')).content);
    key = unlock(envelope);
  }
  try {
    const { content: manifest, summary } = await readManifest(key, engine, stored.content, envelope);
    checkManifest(manifest, JSON.stringify(summary));
    const parsed = JSON.parse(new TextDecoder().decode(manifest));
    const { texts, contents, findings } = await readUserManifests(source, listing, key, engine, parsed);
    const [textsJson, listingJson, keyCheck] = [JSON.stringify(texts), JSON.stringify(listing), envelope?.hasKeyCheck];
    const planned = (user?: string): Plan => {
      const made: Plan = JSON.parse(plan(manifest, textsJson, listingJson, keyCheck, user));
      const told = new Set(made.findings.map(({ path }) => path));
      const own = findings.filter(({ path }) => made.users.some(({ userId }) => path === `users/${userId}/user-manifest.json`));
      made.findings.push(...(user === undefined ? findings : own).filter(({ path }) => !told.has(path)));
      return made;
    };
    const made = planned();
    contents.set('manifest.json', manifest);
    return new Archive(source, id, engine, made, parsed, contents, key, planned);
  } catch (error) {
    key?.free();
    throw error;
  } finally {
    envelope?.free();
  }
}

/** Says what is wrong with a choice that holds no manifest. */
export function requireManifest (names: Set<string>, where: string): void {
  if (names.has('manifest.json')) return;
  if (names.size === 0) throw new DecryptError('usage', `${where} is empty: give the folder of the backup`);
  if (!names.has('encryption.json')) {
    throw new DecryptError('usage', `${where} is not a backup (it has no manifest.json): give the folder of the backup`);
  }
  throw new DecryptError('damaged',
    `${where} has no manifest.json: the backup was not finished, or the file was removed; use another copy`);
}

/** Opens the very bytes whose digest is the archive's id: the file itself may be another one by now. */
async function readManifest (key: DataKey | undefined, engine: Engine, stored: Uint8Array, envelope: OpenEnvelope | undefined) {
  const memory: Source = { name: 'memory', list: () => [], read: () => (async function * () { yield stored; })() };
  try {
    return await readWhole(memory, 'manifest.json', { key, gunzip: false, lines: false, hash: false, engine });
  } catch (error) {
    throw envelope?.manifestError(kindOf(error), messageOf(error), stored) ?? withPath('manifest.json', error);
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
      const verdict = judge(JSON.stringify(expected.get(path) ?? null), JSON.stringify(summary), sha256, opened);
      if (verdict !== '') throw new DecryptError('damaged', verdict);
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

/** The error with the file's path in front, once. */
function withPath (path: string, error: unknown): Error {
  const message = messageOf(error);
  return new DecryptError(kindOf(error), message.includes(path) ? message : `${path}: ${message}`);
}
