import { DecryptError } from '../../../npm/src/errors.js';
import { blockChecker, blocksOf, leftOf, type Block, type Checked, type Shares } from '../../../npm/src/blocks.js';
import { capsuleOf } from '../../../npm/src/capsule.js';
import { dropOrphans, manifestOf, streamFile, type Access } from '../../../npm/src/files.js';
import { Paged } from '../../../npm/src/paged.js';
import { withVolumes, type WithVolumes } from '../../../npm/src/volumes.js';
import { look, open, type Host, type Opened, type Request } from '../../../npm/src/opening.js';
import type { ArchiveInfo, Facts, Finding, Plan, PlannedFile, Run, Summary, UserInfo } from '../types.js';
import { Opening, SmallReader, Step, VolumeReading, errorOf, look as lookWithoutKey, type DataKey, type Engine, type OpenEnvelope } from './core.js';
import { readStored } from './read-stored.js';
import { partOf, type Source } from './source/source.js';

/** A source that knows the members of its volumes. */
export type Stored = Source & WithVolumes;

/** Files to read, and the manifests of their users. */
export interface Work { files: Iterable<PlannedFile>, manifests: Iterable<PlannedFile>, bytes: number, findings: Finding[] }

export interface Unlock { (envelope: OpenEnvelope): DataKey }

const HOST: Host<Stored> = {
  core: { Opening, Step, VolumeReading, errorOf, look: lookWithoutKey },
  readStored,
};

/** An opened archive: its manifests are read and authentic, and it is known what every file of it should be. */
export class Archive {
  readonly id: string;
  readonly encrypted: boolean;
  /** What manifest.json says, but for its lists of users and of files, which are empty here. */
  readonly manifest: any;
  /** The public key of whoever signed it; undefined for an archive that nobody signs. */
  readonly signer: string | undefined;
  /** Of a chain: whose state it is, and all that there are. */
  readonly chain: { run: number, runs: Run[] } | undefined;
  readonly #access: Access<Stored>;
  readonly #opened: Opened;
  /** Findings of the page itself, beside those of the core. */
  readonly #findings: Finding[] = [];
  #orphansDropped: Promise<void> | undefined;
  #facts: Facts;
  /** The plan of the user who was asked for last. */
  #planOf: { user: string, plan: Plan } | undefined;

  constructor (readonly source: Stored, readonly engine: Engine, { opened, keys }: { opened: Opened, keys: Map<number, DataKey> }) {
    const facts: Facts = JSON.parse(opened.facts());
    this.#facts = facts;
    this.id = facts.id;
    this.encrypted = facts.encrypted;
    this.signer = facts.signer ?? undefined;
    this.chain = facts.chain ?? undefined;
    this.manifest = JSON.parse(new TextDecoder().decode(opened.manifestRest()));
    this.#opened = opened;
    this.#access = { source, keys, engine, decrypted: facts.decrypted, state: this.chain === undefined ? undefined : opened };
    // The advice that follows it is for a command line: which run of the chain is chosen from a list here.
    if (facts.caution !== null) this.#findings.push({ severity: 'warning', code: 'caution', path: '', message: facts.caution[0] });
    const note = [...keys.values()][0]?.note;
    if (note !== undefined) this.#findings.push({ severity: 'note', code: 'spelling', path: '', message: note });
  }

  /** The plan of one user, with the findings that concern it. */
  planOf (user: string): Plan {
    if (this.#planOf?.user !== user) this.#planOf = { user, plan: JSON.parse(this.#opened.plan(user)) };
    const { plan } = this.#planOf;
    return { ...plan, findings: [...plan.findings, ...this.#findings] };
  }

  /** The files to read, of all or of one user, their manifests, how many bytes the files are, and the findings. */
  work (user?: string): Work {
    if (user !== undefined) {
      const { files, manifests, findings } = this.planOf(user);
      return { files, manifests, findings, bytes: files.reduce((sum, { size }) => sum + size, 0) };
    }
    const { files, manifests, bytes, findings } = this.#facts;
    return { files: this.#list('files', files), manifests: this.#list('manifests', manifests), bytes, findings: [...findings, ...this.#findings] };
  }

  /**
   * Checks small files of volumes, many at once: calls `take` with the outcome of each block, to which it adds the places of files that are to be
   * read by themselves, and with the stored bytes of the others. Returns those to be read, and the files that are in no block.
   */
  async checkBlocks (take: (block: Block & Partial<Shares>, checked: Checked, others: number[], bytes: number) => void): Promise<Iterable<PlannedFile>> {
    const files = this.#list<PlannedFile>('files', this.#facts.files);
    if (this.chain !== undefined) return files;
    const others: number[] = [];
    const checker = blockChecker({ SmallReader }, this.#access);
    try {
      const members = await this.source.known();
      for (const block of blocksOf(this.#opened, members, files.length, others, true)) {
        const checked = await checker.check(block);
        let bytes = block.size;
        for (const { size } of files.pick(leftOf(block, checked))) bytes -= size;
        take(block, checked, others, bytes);
      }
    } finally {
      checker.free();
    }
    return files.pick(others.sort((one, other) => one - other));
  }

  /** The planned file at a path. */
  file (path: string): PlannedFile {
    const file = this.#opened.file(path);
    if (file === undefined) throw new DecryptError('usage', `${path} is not a file of this archive`);
    return JSON.parse(file);
  }

  #capsule (): PlannedFile[] {
    return [...capsuleOf(this.#list<PlannedFile>('files', this.#facts.files))];
  }

  /** Paths and sizes of so many files, from a place on: of all, or of those of the capsule. */
  paths (from: number, count: number, ofCapsule: boolean): Array<[string, number]> {
    const files: PlannedFile[] = ofCapsule ? this.#capsule().slice(from, from + count) : JSON.parse(this.#opened.page('files', from, count));
    return files.map(({ path, size, expected }) => [path, expected?.contentSize ?? size]);
  }

  /** Two files that would overwrite each other where they are written to. `caseless`: `A` and `a` are the same there. */
  collision (user: string | undefined, caseless: boolean): string[] | undefined {
    return this.#opened.collision(user, false, caseless);
  }

  /** The users, without what the page does not show of them: there may be a hundred thousand. */
  * #users (count: number): Generator<UserInfo> {
    for (const { userId, username, stats } of this.#list<UserInfo>('users', count)) yield { userId, username, stats };
  }

  #list<T> (name: string, length: number): Paged<T> {
    return new Paged<T>(length, (from, count) => this.#opened.page(name, from, count));
  }

  /**
   * Leaves out attachments of events that are gone: the state of a chain still has their files. To be awaited before the files of a
   * chain are counted on; an archive by itself is left as it is.
   */
  dropOrphans (): Promise<void> {
    this.#orphansDropped ??= dropOrphans(HOST, this.#access).then((some) => {
      if (!some) return;
      this.#facts = JSON.parse(this.#opened.facts());
      this.#planOf = undefined;
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

  /** The content of manifest.json; of a chain, that of its state. */
  manifestJson (): Promise<Uint8Array> {
    return manifestOf(HOST, this.#access, this.#opened);
  }

  /** The whole content of a manifest. */
  async contentOf (file: PlannedFile): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.stream(file, { gunzip: false, hash: true })) pieces.push(piece.slice());
    return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
  }

  info (): ArchiveInfo {
    const { manifest } = this;
    const facts = this.#facts;
    const findings = [...facts.findings, ...this.#findings];
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
    return {
      id: this.id,
      name: this.source.name,
      encrypted: this.encrypted,
      inventoried: facts.inventoried,
      engine: this.engine,
      // Of an archive that is signed, this was signed.
      made: number(manifest.createdAt ?? manifest.backupTimestamp),
      signature: this.signer === undefined ? null : { signer: this.signer, expected: findings.some(({ code }) => code === 'pinned-signer'), source: text(manifest.source) },
      producer: manifest.producer === undefined ? '' : `${text(manifest.producer?.name)} ${text(manifest.producer?.version)}`.trim(),
      domain: text(manifest.config?.domain),
      platformEngine: text(manifest.config?.engine),
      backupType: text(manifest.backupType),
      users: [...this.#users(facts.users)],
      files: facts.files + facts.manifests + 1,
      listed: facts.files,
      capsule: this.#capsule().length,
      bytes: facts.bytes,
      findings,
      hasPlatform: facts.hasPlatform,
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
