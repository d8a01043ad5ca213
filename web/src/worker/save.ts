import { addBlock, type Checked, type Shares } from '../../../npm/src/blocks.js';
import { DecryptError, kindOf, messageOf } from '../../../npm/src/errors.js';
import type { Call } from '../rpc.js';
import { userOf, type ExportedFile, type Finding, type Outcome, type PlannedFile, type Summary } from '../types.js';
import type { Archive, Work } from './archive.js';
import { Sha256, outside } from './core.js';
import { InflationCheck } from './inflation.js';
import { Shown } from './shown.js';

/** Where decrypted files go. */
export interface Output {
  /** Starts a file. */
  create (path: string): Promise<void>
  /** Takes a copy of bytes outside of WASM memory before it returns. */
  write (piece: Uint8Array): Promise<void>
  /** The file is whole. */
  commit (file: ExportedFile): Promise<void>
  /** The file is damaged: it must not be taken for a whole one. */
  discard (): Promise<void>
}

/**
 * Reads every file and checks all that can be checked. A sealed file that the inventory lists is bound to it by its salt, its
 * size and the tag of every frame; of any other the SHA-256 is computed.
 */
export async function verify (archive: Archive, user: string | undefined, call: Call): Promise<Outcome> {
  await archive.dropOrphans();
  const work = archive.work(user);
  const outcome = start(work);
  const shown = new Shown(work.bytes, call);
  const files = user !== undefined ? work.files : await archive.checkBlocks((block, checked, others, bytes) => {
    call.signal.throwIfAborted();
    addBlock(block, checked, outcome, others);
    addShares(outcome, block, checked);
    shown.at(shown.done + bytes, block.path);
  });
  for (const file of files) {
    const before = shown.done;
    await noteDamage(outcome, file, call, async () => {
      count(outcome, file, await drain(archive.stream(file, { gunzip: true, hash: !(file.encrypted && file.expected?.salt !== undefined) }), (piece) => shown.guess(before, piece.length, file)));
    });
    shown.at(before + file.size, file.path);
  }
  // The manifests were read when the archive was opened.
  for (const { path } of userManifests(work)) {
    outcome.files++;
    const user = userOf(path);
    if (user !== undefined) tally(outcome, user, 0);
  }
  outcome.files++;
  return outcome;
}

/** `caseless`: it goes to a disk on which `A` and `a` are one file. */
export interface SaveOptions { user?: string, manifest: boolean, caseless?: boolean }

/** Decrypts files into the output, in the order of the producer: the manifests last. */
export async function save (archive: Archive, output: Output, { user, manifest, caseless = false }: SaveOptions, call: Call): Promise<Outcome> {
  await archive.dropOrphans();
  const pair = archive.collision(user, caseless);
  if (pair !== undefined) {
    throw new DecryptError('failed', `${pair[0]} and ${pair[1]} would overwrite each other there: save as a ZIP, or into a folder on a disk that tells upper from lower case`);
  }
  const work = archive.work(user);
  const outcome = start(work);
  const shown = new Shown(work.bytes, call);
  for (const file of work.files) {
    const before = shown.done;
    await noteDamage(outcome, file, call, () => saveFile(archive, file, output, outcome, (bytes) => shown.guess(before, bytes, file)));
    shown.at(before + file.size, file.path);
  }
  for (const file of userManifests(work)) {
    await noteDamage(outcome, file, call, async () => saveManifest(file.path, await archive.contentOf(file), output, outcome));
  }
  // Where it is, the tree is complete.
  if (manifest) await saveManifest('manifest.json', await archive.manifestJson(), output, outcome);
  return outcome;
}

async function saveManifest (path: string, content: Uint8Array, output: Output, outcome: Outcome) {
  await output.create(path);
  await output.write(content);
  const exported = { path, size: content.length, sha256: digestOf(content) };
  await output.commit(exported);
  outcome.files++;
  outcome.exported.push(exported);
}

async function saveFile (archive: Archive, file: PlannedFile, output: Output, outcome: Outcome, add: (bytes: number) => void) {
  if (archive.encrypted && !file.encrypted) {
    // The decryptor and its instructions are checked, but are no part of the data.
    await drain(archive.stream(file, { gunzip: false, hash: true }), () => {});
    return;
  }
  // Without an inventory only the end of the gzip data shows that nothing was cut off.
  const inflation = file.gzip && file.expected === null ? new InflationCheck(file) : undefined;
  const known = knownDigest(file);
  const digest = known === undefined ? new Sha256() : undefined;
  await output.create(file.path);
  try {
    const summary = await drain(archive.stream(file, { gunzip: false }), (view) => {
      const piece = outside(view);
      add(piece.length);
      inflation?.push(piece);
      digest?.update(piece);
      return output.write(piece);
    });
    inflation?.finish();
    const exported = { path: file.path, size: summary.outputSize, sha256: known ?? digest?.finish() ?? '' };
    await output.commit(exported);
    count(outcome, file, summary);
    outcome.exported.push(exported);
  } catch (error) {
    await output.discard();
    throw error;
  } finally {
    inflation?.free();
    digest?.free();
  }
}

/**
 * The digest of an attachment's content, or of a file that is not encrypted, from an authentic inventory: what is sealed is bound to it by its salt, its size
 * and its tags. Of sealed records the core does not keep it.
 */
export function knownDigest (file: PlannedFile): string | undefined {
  return file.encrypted ? file.expected?.contentSha256 : file.expected?.sha256;
}

/** The manifests of the users, but for those that something is wrong with. */
function * userManifests ({ manifests, findings }: Work): Generator<PlannedFile> {
  const wrong = new Set(findings.filter(({ severity }) => severity === 'error').map(({ path }) => path));
  for (const file of manifests) if (!wrong.has(file.path)) yield file;
}

function start ({ findings }: Work): Outcome {
  return { files: 0, bytes: 0, records: 0, damaged: findings.filter(({ severity }) => severity === 'error'), exported: [], ofUser: new Map() };
}

/** Reads one file: damage is noted and the next file gets its turn, any other error ends the call. */
async function noteDamage (outcome: Outcome, file: PlannedFile, call: Call, action: () => Promise<void>): Promise<void> {
  call.signal.throwIfAborted();
  try {
    await action();
  } catch (error) {
    if (kindOf(error) !== 'damaged' || call.signal.aborted) throw error;
    const finding: Finding = { severity: 'error', code: 'damaged', path: file.path, message: messageOf(error) };
    // Of a chain, several files of the state may need the one that is damaged.
    if (!outcome.damaged.some(({ message }) => message === finding.message)) outcome.damaged.push(finding);
  }
}

async function drain (pieces: AsyncGenerator<Uint8Array, Summary>, use: (piece: Uint8Array) => void | Promise<void>): Promise<Summary> {
  try {
    for (;;) {
      const next = await pieces.next();
      if (next.done === true) return next.value;
      const used = use(next.value);
      if (used !== undefined) await used;
    }
  } finally {
    await pieces.return(undefined as never).catch(() => {});
  }
}

function count (outcome: Outcome, { user }: PlannedFile, summary: Summary): void {
  const records = summary.records ?? 0;
  outcome.files++;
  outcome.bytes += summary.outputSize;
  outcome.records += records;
  if (user !== null) tally(outcome, user, records);
}

function tally (outcome: Outcome, user: string, records: number): void {
  const own = outcome.ofUser.get(user) ?? { files: 0, records: 0 };
  outcome.ofUser.set(user, { files: own.files + 1, records: own.records + records });
}

/** The shares of the users whose files are in a block that was checked. */
function addShares (outcome: Outcome, { users = [], counts = new Uint32Array() }: Partial<Shares>, checked: Checked): void {
  let at = 1;
  users.forEach((user, i) => {
    for (const end = at + (counts[i] ?? 0); at < end; at++) {
      const records = checked[at] ?? -1;
      if (user !== '' && records >= 0) tally(outcome, user, records);
    }
  });
}

function digestOf (content: Uint8Array): string {
  const digest = new Sha256();
  digest.update(content);
  const hex = digest.finish();
  digest.free();
  return hex;
}

export type { ExportedFile };
