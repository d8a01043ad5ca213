import { OutputFolder } from './output.js';
import { Pool, crewSize } from './pool.js';
import { alone, verifyFiles, writeFiles } from './decrypt-files.js';

/** @typedef {import('./archive.js').Archive} Archive */

/**
 * The options, and the data that a worker thread needs to take part.
 * @typedef {{ options: import('./args.js').Options, folder: string, secrets: import('./secrets.js').Chosen|undefined,
 *   script: string, shown: { add (bytes: number): void } }} Means
 */

/** @type {Array<[NodeJS.Signals, number]>} signal and exit code */
const SIGNALS = [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]];

/**
 * Checks or decrypts the files of an archive, as the options say.
 * @param {Archive} archive
 * @param {Means} means
 */
export async function checkOrDecrypt (archive, means) {
  await archive.dropOrphans();
  if (means.options.verify) return withCrew(archive, means, undefined, (crew) => verifyFiles(archive, crew));
  const { out = '', force, strict } = means.options;
  const output = new OutputFolder(out, { force, together: strict });
  return withCrew(archive, means, output, (crew) => writeFiles(archive, output, means.options, crew));
}

/**
 * Starts worker threads where they help, and cleans up when the action fails or is interrupted.
 * @template T
 * @param {Archive} archive
 * @param {Means} means
 * @param {OutputFolder|undefined} output
 * @param {(crew: import('./decrypt-files.js').Crew) => Promise<T>} action
 * @returns {Promise<T>}
 */
async function withCrew (archive, { options, folder, secrets, script, shown }, output, action) {
  const { gunzip, salvage } = options;
  // The state of a chain is put together by one thread.
  const size = archive.chain !== undefined ? 0 : crewSize(options.jobs, { files: archive.files.length, ...archive.sizes }, script, gunzip || options.verify || !archive.inventoried);
  const { engine, opened, sealing: envelope } = archive;
  const own = alone(archive, { staging: output?.staging, gunzip, salvage }, shown);
  const pool = size === 0 ? undefined : new Pool(size, script,
    { folder, envelope, secrets, engine, opened, staging: output?.staging.root, gunzip, salvage }, archive.access.source, own, shown);
  const crew = pool?.crew ?? own;

  /** @type {Promise<never>|undefined} */
  let ending;
  const listeners = SIGNALS.map(([signal, code]) => {
    const listener = () => { ending ??= end(code); };
    process.once(signal, listener);
    return /** @type {const} */ ([signal, listener]);
  });
  try {
    return await action(crew);
  } catch (error) {
    await ending;
    await pool?.stop();
    output?.abandon();
    throw error;
  } finally {
    for (const [signal, listener] of listeners) process.removeListener(signal, listener);
    await pool?.stop();
  }

  /**
   * @param {number} code
   * @returns {Promise<never>}
   */
  async function end (code) {
    await pool?.stop();
    output?.abandon();
    process.stderr.write('\ninterrupted\n');
    process.exit(code);
  }
}
