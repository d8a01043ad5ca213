import { Archive } from './archive.js';
import { checkInflation } from './inflation.js';
import { kindOf, messageOf } from './errors.js';
import { sentenceOf } from './report.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./output.js').OutputFolder} OutputFolder */

/**
 * What came of it: `damaged` names every affected file in a sentence each.
 * @typedef {{ verb: string, files: number, bytes: number, records: number, damaged: string[], salvaged: string[],
 *   nothingWritten: boolean }} Outcome
 */

/**
 * Reads every file and checks all that can be checked, the SHA-256 of the stored bytes included.
 * @param {Archive} archive
 * @param {{ add (bytes: number): void }} shown
 */
export async function verifyFiles (archive, shown) {
  const outcome = start(archive, 'verified');
  for (const file of archive.files) {
    await settle(outcome, async () => {
      const pieces = archive.stream(file, { gunzip: true, hash: true });
      count(outcome, await drain(pieces, (piece) => shown.add(piece.length)));
    });
  }
  outcome.files += manifestsLast(archive).length;
  return outcome;
}

/**
 * Decrypts every file into the output.
 * @param {Archive} archive
 * @param {OutputFolder} output
 * @param {{ gunzip: boolean, strict: boolean, salvage: boolean }} options
 * @param {{ add (bytes: number): void }} shown
 */
export async function writeFiles (archive, output, options, shown) {
  const outcome = start(archive, 'decrypted');
  const stopAtDamage = () => options.strict && outcome.damaged.length > 0;
  for (const file of archive.files) {
    if (stopAtDamage()) break;
    await settle(outcome, () => writeFile(archive, file, output, options, outcome, shown));
  }
  for (const [path, content] of manifestsLast(archive)) {
    if (stopAtDamage()) break;
    await settle(outcome, async () => {
      const out = output.create(path);
      out.write(options.gunzip ? Archive.plainManifest(content) : content);
      out.commit();
      outcome.files++;
    });
  }
  if (stopAtDamage()) {
    output.abandon();
    outcome.nothingWritten = true;
  } else {
    output.finish();
  }
  return outcome;
}

/**
 * @param {Archive} archive
 * @param {PlannedFile} file
 * @param {OutputFolder} output
 * @param {{ gunzip: boolean, salvage: boolean }} options
 * @param {Outcome} outcome
 * @param {{ add (bytes: number): void }} shown
 */
async function writeFile (archive, file, output, options, outcome, shown) {
  const gunzip = options.gunzip && file.gzip;
  if (archive.encrypted && !file.encrypted) {
    // The decryptor and its instructions are checked, but are no part of the data.
    await drain(archive.stream(file, { gunzip: false, hash: true }), () => {});
    return;
  }
  const out = output.create(gunzip ? file.path.replace(/\.gz$/, '') : file.path);
  // Without an inventory only the end of the gzip data shows that nothing was cut off.
  const inflation = file.gzip && !gunzip && file.expected === null ? checkInflation(file) : undefined;
  let written = 0;
  try {
    const summary = await drain(archive.stream(file, { gunzip }), (piece) => {
      out.write(piece);
      written += piece.length;
      shown.add(piece.length);
      inflation?.push(piece);
    });
    inflation?.finish();
    out.commit();
    count(outcome, summary);
  } catch (error) {
    if (options.salvage && written > 0 && kindOf(error) === 'damaged') outcome.salvaged.push(out.salvage());
    else out.discard();
    throw error;
  } finally {
    inflation?.free();
  }
}

/**
 * The order of the producer: manifest.json last, so that it stands for a complete tree.
 * @param {Archive} archive
 * @returns {Array<[string, Buffer]>}
 */
function manifestsLast (archive) {
  const users = new Set(archive.users.map(({ userId }) => `users/${userId}/user-manifest.json`));
  const wrong = new Set(archive.findings.filter(({ severity }) => severity === 'error').map(({ path }) => path));
  const own = [...archive.manifests].filter(([path]) => users.has(path) && !wrong.has(path));
  const last = /** @type {Buffer} */ (archive.manifests.get('manifest.json'));
  return [...own, ['manifest.json', last]];
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
 * Runs one file's work: damage is noted and the next file gets its turn, anything else ends the run.
 * @param {Outcome} outcome
 * @param {() => Promise<void>} action
 */
async function settle (outcome, action) {
  try {
    await action();
  } catch (error) {
    if (kindOf(error) !== 'damaged') throw error;
    outcome.damaged.push(messageOf(error));
  }
}

/**
 * @template T
 * @param {AsyncGenerator<Uint8Array, T, void>} pieces
 * @param {(piece: Uint8Array) => void} use
 * @returns {Promise<T>}
 */
async function drain (pieces, use) {
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
    use(next.value);
  }
}

/**
 * @param {Outcome} outcome
 * @param {import('./types.js').Summary} summary
 */
function count (outcome, summary) {
  outcome.files++;
  outcome.bytes += summary.outputSize;
  outcome.records += summary.records ?? 0;
}
