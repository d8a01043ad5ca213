import { Archive } from './archive.js';
import { addBlock, blockChecker } from './blocks.js';
import { SmallReader } from './core.js';
import { DecryptError } from './errors.js';
import { decryptFile } from './decrypt-file.js';
import { sentenceOf } from './report.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./blocks.js').Block} Block */
/** @typedef {import('./blocks.js').Checked} Checked */
/** @typedef {import('./output.js').OutputFolder} OutputFolder */
/** @typedef {import('./decrypt-file.js').Done} Done */

/**
 * The outcome: `damaged` names every affected file in a sentence each.
 * @typedef {{ verb: string, files: number, bytes: number, records: number, damaged: string[], salvaged: string[],
 *   nothingWritten: boolean }} Outcome
 */

/**
 * Whoever reads files, one thread or several. `files` calls `take` with the outcome of each, in any order, until it returns false; a file is begun
 * only after all those before it. `blocks` does so with blocks of files that are checked only.
 * @typedef {object} Crew
 * @property {(files: Iterable<PlannedFile>, take: (index: number, done: Done) => boolean) => Promise<void>} files
 * @property {(blocks: AsyncIterable<Block>, take: (block: Block, checked: Checked) => void) => Promise<void>} blocks
 */

/**
 * This thread, one file after the other.
 * @param {Archive} archive
 * @param {import('./decrypt-file.js').Task} task
 * @param {{ add (bytes: number): void }} shown
 * @returns {Crew}
 */
export function alone (archive, task, shown) {
  return {
    async files (files, take) {
      let index = 0;
      for (const file of files) {
        if (!take(index++, await decryptFile(archive.access, file, task, (bytes) => shown.add(bytes)))) return;
      }
    },
    async blocks (blocks, take) {
      const checker = blockChecker({ SmallReader }, archive.access);
      try {
        for await (const block of blocks) {
          const checked = await checker.check(block);
          take(block, checked);
          shown.add(checked[0]);
          // For signals.
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        checker.free();
      }
    },
  };
}

/**
 * Reads every file and checks all that can be checked, the SHA-256 of the stored bytes included.
 * @param {Archive} archive
 * @param {Crew} crew
 */
export async function verifyFiles (archive, crew) {
  const outcome = start(archive, 'verified');
  await everyFile(await others(archive, crew, outcome), crew, outcome, { strict: false, keep: () => undefined });
  // The manifests were read when the archive was opened.
  for (const _ of userManifests(archive)) outcome.files++;
  outcome.files++;
  return outcome;
}

/**
 * Checks small files of volumes, many at once; the files that are to be read by themselves.
 * @param {Archive} archive
 * @param {Crew} crew
 * @param {Outcome} outcome
 */
async function others (archive, crew, outcome) {
  if (archive.chain !== undefined) return archive.files;
  /** @type {number[]} */
  const places = [];
  await crew.blocks(archive.blocks(places), (block, checked) => addBlock(block, checked, outcome, places));
  return archive.files.pick(places.sort((one, other) => one - other));
}

/**
 * Decrypts every file into the output.
 * @param {Archive} archive
 * @param {OutputFolder} output
 * @param {{ gunzip: boolean, strict: boolean }} options
 * @param {Crew} crew
 */
export async function writeFiles (archive, output, { gunzip, strict }, crew) {
  const outcome = start(archive, 'decrypted');
  output.requireDistinct((caseless) => archive.collision({ gunzip, caseless }));
  const stopAtDamage = () => strict && outcome.damaged.length > 0;
  if (!stopAtDamage()) {
    await everyFile(archive.files, crew, outcome, {
      strict,
      keep: (path, whole) => whole ? void output.keep(path) : output.salvage(path),
    });
  }
  // manifest.json comes last: where it is, the tree is complete.
  const write = (/** @type {string} */ path, /** @type {Buffer} */ content) => {
    const out = output.staging.create(path);
    // Those of a state are plain already.
    out.write(gunzip && archive.chain === undefined ? Archive.plainManifest(content) : content);
    out.close();
    output.keep(path);
    outcome.files++;
  };
  for (const file of stopAtDamage() ? [] : userManifests(archive)) write(file.path, await archive.contentOf(file));
  if (!stopAtDamage()) write('manifest.json', await archive.manifestJson());
  if (stopAtDamage()) {
    output.abandon();
    outcome.nothingWritten = true;
  } else {
    output.finish();
  }
  return outcome;
}

/**
 * Gives every file its turn. Damage is noted, and ends the run if it is strict; anything else that goes wrong ends it
 * always. What is told does not depend on who was done first: it goes by the order of the files, up to the one that
 * ended the run.
 * @param {Iterable<PlannedFile>} files
 * @param {Crew} crew
 * @param {Outcome} outcome
 * @param {{ strict: boolean, keep: (path: string, whole: boolean) => string|void }} options `keep` gives a staged file
 *   its name, and returns it for one that is damaged
 */
async function everyFile (files, crew, outcome, { strict, keep }) {
  // Of files that are whole, only their sums are kept.
  /** @type {Array<{ index: number, done: Done, salvaged: string|void }>} */
  const results = [];
  const ends = (/** @type {Done} */ done) => done.failure !== undefined || (strict && done.damage !== undefined);
  await crew.files(files, (index, done) => {
    const salvaged = done.output === undefined ? undefined : keep(done.output, done.damage === undefined);
    if (done.failure !== undefined || done.damage !== undefined) results.push({ index, done, salvaged });
    else if (done.counts !== undefined) count(outcome, done.counts);
    return !ends(done);
  });
  results.sort((one, other) => one.index - other.index);
  for (const { done, salvaged } of results) {
    if (done.failure !== undefined) throw new DecryptError(done.failure.kind, done.failure.message, done.failure.about);
    // Of a chain, several files of the state may need the one that is damaged.
    if (done.damage !== undefined && !outcome.damaged.includes(done.damage)) outcome.damaged.push(done.damage);
    if (salvaged !== undefined) outcome.salvaged.push(salvaged);
    if (ends(done)) return;
  }
}

/**
 * The manifests of the users, but for those that something is wrong with.
 * @param {Archive} archive
 */
function * userManifests (archive) {
  const wrong = new Set(archive.findings.filter(({ severity }) => severity === 'error').map(({ path }) => path));
  for (const file of archive.manifests) if (!wrong.has(file.path)) yield file;
}

/**
 * @param {Archive} archive
 * @param {string} verb
 * @returns {Outcome}
 */
function start (archive, verb) {
  const damaged = archive.findings.filter(({ severity }) => severity === 'error').map(sentenceOf);
  return { verb, files: 0, bytes: 0, records: 0, damaged, salvaged: [], nothingWritten: false };
}

/**
 * @param {Outcome} outcome
 * @param {{ bytes: number, records: number }} counts
 */
function count (outcome, { bytes, records }) {
  outcome.files++;
  outcome.bytes += bytes;
  outcome.records += records;
}
