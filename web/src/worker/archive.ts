import { DecryptError } from '../../../npm/src/errors.js';
import { dropOrphans, streamFile, type Access } from '../../../npm/src/files.js';
import { withVolumes, type WithVolumes } from '../../../npm/src/volumes.js';
import { look, open, type Host, type Opened, type Request } from '../../../npm/src/opening.js';
import type { ArchiveInfo, Facts, Finding, Plan, PlannedFile, Run, Summary } from '../types.js';
import { Opening, Step, VolumeReading, errorOf, look as lookWithoutKey, type DataKey, type Engine, type OpenEnvelope } from './core.js';
import { readStored } from './read-stored.js';
import { partOf, type Source } from './source/source.js';

/** A source that knows the members of its volumes. */
export type Stored = Source & WithVolumes;

export interface Unlock { (envelope: OpenEnvelope): DataKey }

const HOST: Host<Source> = {
  core: { Opening, Step, VolumeReading, errorOf, look: lookWithoutKey },
  readStored,
  memory: (bytes) => ({ name: 'memory', list: () => [], read: () => (async function * () { yield bytes; })() }),
};

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  readonly id: string;
  readonly encrypted: boolean;
  readonly plan: Plan;
  readonly manifest: any;
  /** The content of manifest.json. */
  readonly manifestJson: Uint8Array;
  /** The public key of whoever signed it; undefined for an archive that nobody signs. */
  readonly signer: string | undefined;
  /** Of a chain: whose state it is, and all that there are. */
  readonly chain: { run: number, runs: Run[] } | undefined;
  readonly #access: Access<Source>;
  readonly #opened: Opened;
  /** Findings of the page itself, beside those of the core. */
  readonly #findings: Finding[] = [];
  #orphansDropped: Promise<void> | undefined;

  constructor (readonly source: Source, readonly engine: Engine, { opened, keys }: { opened: Opened, keys: Map<number, DataKey> }) {
    const facts: Facts = JSON.parse(opened.facts());
    this.id = facts.id;
    this.encrypted = facts.encrypted;
    this.signer = facts.signer ?? undefined;
    this.chain = facts.chain ?? undefined;
    this.manifestJson = opened.manifest();
    this.manifest = JSON.parse(new TextDecoder().decode(this.manifestJson));
    this.#opened = opened;
    this.#access = { source, keys, engine, decrypted: facts.decrypted, state: this.chain === undefined ? undefined : opened };
    // The advice that follows it is for a command line: which run of the chain is chosen from a list here.
    if (facts.caution !== null) this.#findings.push({ severity: 'warning', code: 'caution', path: '', message: facts.caution[0] });
    const note = [...keys.values()][0]?.note;
    if (note !== undefined) this.#findings.push({ severity: 'note', code: 'spelling', path: '', message: note });
    this.plan = this.planOf();
  }

  /** The plan of everything, or of one user with the findings that concern it. */
  planOf (user?: string): Plan {
    const plan: Plan = JSON.parse(this.#opened.plan(user));
    plan.findings.push(...this.#findings);
    return plan;
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
  dropOrphans (): Promise<void> {
    this.#orphansDropped ??= dropOrphans(HOST, this.#access).then((some) => {
      if (some) this.plan.files = this.planOf().files;
    });
    return this.#orphansDropped;
  }

  /**
   * The content of a planned file piece by piece, each to be used before anything is awaited. Throws `damaged`
   * with the file's path, at the latest at the end. `hash`: check the SHA-256 of the stored bytes too, which is always
   * done for a file that is not encrypted.
   */
  stream (file: PlannedFile, options: { gunzip: boolean, hash?: boolean }): AsyncGenerator<Uint8Array, Summary, void> {
    return streamFile(HOST, this.#access, file, options);
  }

  /** The whole content of a manifest. */
  async contentOf (file: PlannedFile): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.stream(file, { gunzip: false, hash: true })) pieces.push(piece.slice());
    return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
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
      files: this.plan.files.length + this.plan.manifests.length + 1,
      bytes: this.plan.files.reduce((sum, { size }) => sum + size, 0),
      findings: this.plan.findings,
      hasPlatform: this.plan.files.some(({ path }) => path.startsWith('platform/')),
      chain: this.chain === undefined ? null : { run: this.chain.run, runs: this.chain.runs },
    };
  }
}

/** The same source, which knows the members of its volumes. */
export function stored (source: Source): Stored {
  return withVolumes(HOST.core, Object.assign(Object.create(source) as Source, {
    part: (path: string, offset: number, length: number) => partOf(source, path, offset, length),
  }));
}

/** Opens an archive; of a chain, the state at a run. */
export async function openArchive (source: Stored, { engine, unlock, ...request }: Request & { engine: Engine, unlock: Unlock }): Promise<Archive> {
  return new Archive(source, engine, await open(HOST, source, request, { engine, unlock }));
}

/** Looks at the chosen files without a key. */
export async function lookAt (source: Stored): Promise<{ mode: Run['mode'], runs: Run[] }> {
  return look(HOST, source);
}
