import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openArchive } from './archive.js';
import { HELP, parseArgs } from './args.js';
import { DecryptError, exitCodeOf, kindOf, messageOf } from './errors.js';
import { OutputFolder } from './output.js';
import { progress } from './progress.js';
import { askHidden } from './prompt.js';
import { printFindings, printGuarantees, printSummary, printUsers } from './report.js';
import { readPassphraseFile, readSecretFile, unlockWith } from './secrets.js';
import { folderSource } from './source.js';
import { verifyFiles, writeFiles } from './work.js';

/** Put in by the build. */
/* global PACKAGE_VERSION */

/**
 * The command.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit code
 */
export async function run (args, env) {
  try {
    const options = parseArgs(args);
    if (options.help) {
      process.stdout.write(HELP);
      return 0;
    }
    if (options.version) {
      process.stdout.write(`${version()}\n`);
      return 0;
    }
    return await work(options, env);
  } catch (error) {
    process.stderr.write(`${kindOf(error) === 'interrupted' ? '' : 'error: '}${messageOf(error)}\n`);
    return exitCodeOf(error);
  }
}

/**
 * @param {import('./args.js').Options} options
 * @param {NodeJS.ProcessEnv} env
 */
async function work (options, env) {
  const dir = options.dir ?? defaultFolder();
  if (options.out !== undefined) refuseInside(dir, options.out);
  const archive = await openArchive(folderSource(dir), {
    engine: options.engine,
    user: options.user,
    expectId: options.expectId,
    unlock: unlockWith({ ...givenSecrets(options, env), ask: askHidden }),
  });
  try {
    printGuarantees(archive);
    if (options.list) {
      printUsers(archive);
      return printFindings(archive.findings.filter(({ code }) => code !== 'no-inventory')) > 0 ? 4 : 0;
    }
    const shown = progress(archive);
    const outcome = options.verify
      ? await verifyFiles(archive, shown)
      : await decrypt(archive, options, shown);
    shown.end();
    return printSummary(archive, outcome) ? 0 : 4;
  } finally {
    archive.close();
  }
}

/**
 * @param {import('./archive.js').Archive} archive
 * @param {import('./args.js').Options} options
 * @param {ReturnType<typeof progress>} shown
 */
async function decrypt (archive, options, shown) {
  const output = new OutputFolder(options.out ?? '', { force: options.force, together: options.strict });
  const stop = (/** @type {number} */ code) => () => {
    output.abandon();
    process.stderr.write('\ninterrupted\n');
    process.exit(code);
  };
  const [onInterrupt, onTerminate] = [stop(130), stop(143)];
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  try {
    return await writeFiles(archive, output, options, shown);
  } catch (error) {
    output.abandon();
    throw error;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
    process.removeListener('SIGTERM', onTerminate);
  }
}

/**
 * @param {import('./args.js').Options} options
 * @param {NodeJS.ProcessEnv} env
 */
function givenSecrets (options, env) {
  return {
    privateKey: options.privateKey === undefined ? undefined : readSecretFile(options.privateKey, 'private key'),
    privateKeyPassphrase: options.privateKeyPassphrase ?? env.PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE,
    passphrase: options.passphraseFile === undefined
      ? options.passphrase ?? (env.PRYV_BACKUP_PASSPHRASE || undefined)
      : readPassphraseFile(options.passphraseFile),
  };
}

/** The current folder when it looks like a backup, else the one that the script is in: it travels inside backups. */
function defaultFolder () {
  const own = dirname(fileURLToPath(import.meta.url));
  return existsSync('manifest.json') || !existsSync(join(own, 'manifest.json')) ? '.' : own;
}

/**
 * An output inside the backup would change the backup.
 * @param {string} dir
 * @param {string} out
 */
function refuseInside (dir, out) {
  const [from, to] = [resolve(dir), resolve(out)];
  if (to === from || to.startsWith(join(from, '/'))) {
    throw new DecryptError('usage', `--out ${out} is inside the backup: choose a folder outside it`);
  }
}

function version () {
  // @ts-ignore defined by the build
  return typeof PACKAGE_VERSION === 'string' ? PACKAGE_VERSION : 'unbuilt';
}
