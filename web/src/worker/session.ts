// The state of the worker between calls: the chosen files, and the archive once it is open.
import { DecryptError, aboutOf } from '../../../npm/src/errors.js';
import type { Chosen } from '../types.js';
import { lookAt, openArchive, stored, type Archive, type Stored } from './archive.js';
import { errorOf, fillRandom, privateKeyNeedsPassphrase, type Engine, type OpenEnvelope } from './core.js';
import { fileSource } from './source/container.js';
import { blobSource, rootOf, type Source } from './source/source.js';

export type Choice = { name: string, files: Array<[string, File]> } | { file: File };

/**
 * `expectId`: the archive id that it must have; `signer`: who must have signed it; `cleartext`: it was confirmed that it is not encrypted;
 * `at`: of a chain, the run whose state is wanted.
 */
export interface Secrets {
  privateKey?: Uint8Array, privateKeyPassphrase?: string, passphrase?: string
  expectId?: string, signer?: string, cleartext?: boolean, at?: number
}

export class Session {
  engine: Engine = 'wasm';
  #source: Stored | undefined;
  #archive: Archive | undefined;
  /** The secrets that opened a chain: other runs of it are opened with the same. */
  #secrets: Secrets | undefined;

  get archive (): Archive {
    if (this.#archive === undefined) throw new DecryptError('usage', 'no backup is open');
    return this.#archive;
  }

  /** Takes what the user chose and says which key it needs. */
  async choose (choice: Choice): Promise<Chosen> {
    const source = stored('file' in choice ? await fileSource(choice.file) : folderSource(choice));
    const looked = await lookAt(source);
    this.#source = source;
    this.#secrets = undefined;
    const listing = source.list();
    return { name: source.name, files: listing.length, bytes: listing.reduce((sum, [, size]) => sum + size, 0), ...looked };
  }

  async unlock (secrets: Secrets): Promise<Archive> {
    this.#secrets = undefined;
    try {
      const archive = await this.#open(secrets);
      if (archive.chain !== undefined) this.#secrets = secrets;
      return archive;
    } catch (error) {
      if (isChoice(error)) this.#secrets = secrets;
      throw error;
    }
  }

  /** Opens the state of a chain at another run, or at the one that was chosen where nobody else can say which is the right one. */
  async at (run: number, expectId?: string): Promise<Archive> {
    return this.#open({ ...this.#secrets, expectId, at: run });
  }

  async #open (secrets: Secrets): Promise<Archive> {
    if (this.#source === undefined) throw new DecryptError('usage', 'choose the backup first');
    const { expectId, at, signer, cleartext } = secrets;
    this.#archive = await openArchive(this.#source, {
      engine: this.engine,
      unlock: (envelope) => unlock(envelope, secrets),
      expectId,
      at,
      signers: signer === undefined ? [] : [signer],
      // Every backup is expected to be encrypted, unless the reader knows that it is not.
      secretGiven: true,
      allowPlaintext: cleartext,
    });
    return this.#archive;
  }
}

/** Codes of errors that only the reader can clear up, by choosing a run. */
const CHOICES: Array<string | undefined> = ['two-signers', 'fork'];

/** Whether the reader has to say which run is the right one. */
export function isChoice (error: unknown): boolean {
  return CHOICES.includes(aboutOf(error).code);
}

function unlock (envelope: OpenEnvelope, secrets: Secrets) {
  if (envelope.mode !== 'hybrid') {
    if (secrets.passphrase !== undefined && secrets.passphrase !== '') return envelope.unlockWithPassphrase(secrets.passphrase);
    throw errorOf(secrets.privateKey === undefined ? 'passphrase-needed' : 'opens-with-passphrase', {});
  }
  if (secrets.privateKey === undefined) {
    throw errorOf(secrets.passphrase === undefined ? 'private-key-needed' : 'opens-with-private-key', {});
  }
  const passphrase = secrets.privateKeyPassphrase === '' ? undefined : secrets.privateKeyPassphrase;
  if (passphrase === undefined && privateKeyNeedsPassphrase(secrets.privateKey)) {
    throw errorOf('private-key-locked', {});
  }
  return envelope.unlockWithPrivateKey(secrets.privateKey, passphrase, fillRandom);
}

function folderSource ({ name, files }: { name: string, files: Array<[string, File]> }): Source {
  const root = rootOf(files.map(([path]) => path));
  const inside = files.filter(([path]) => path.startsWith(root)).map(([path, file]): [string, File] => [path.slice(root.length), file]);
  return blobSource(root === '' ? name : root.replace(/\/$/, '').split('/').at(-1) ?? name, new Map(inside));
}
