import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openArchive } from './archive.js';
import { HELP, parseArgs } from './args.js';
import { DecryptError, exitCodeOf, kindOf, withAdvice } from './errors.js';
import { checkOrDecrypt } from './run-threads.js';
import { progress } from './progress.js';
import { askHidden } from './prompt.js';
import { findingsOf, printFindings, printGuarantees, printSummary, printUsers, printable } from './report.js';
import { openerWith, passphraseOfVariable, readPassphraseFile, readSecretFile } from './secrets.js';
import { expectedSigners } from './signers.js';
import { diskSource } from './source.js';

/** Put in by the build. */
/* global PACKAGE_VERSION */

/** Values of a variable that is a switch with which it is as if it were not there. */
const NOT_SET = new Set(['', '0', 'n', 'no', 'f', 'false', 'off']);

/**
 * The command.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {string} script the file that is run, for worker threads to run it too
 * @returns {Promise<number>} exit code
 */
export async function run (args, env, script) {
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
    return await openAndDecrypt(options, env, script);
  } catch (error) {
    process.stderr.write(`${kindOf(error) === 'interrupted' ? '' : 'error: '}${printable(withAdvice(error))}\n`);
    return exitCodeOf(error);
  }
}

/**
 * @param {import('./args.js').Options} options
 * @param {NodeJS.ProcessEnv} env
 * @param {string} script
 */
async function openAndDecrypt (options, env, script) {
  const dir = options.dir ?? defaultFolder();
  if (options.out !== undefined) {
    refuseInside(dir, options.out);
    if (!options.createParents) requireParent(options.out);
  }
  /** @type {import('./secrets.js').Chosen|undefined} */
  let secrets;
  const given = givenSecrets(options, env);
  const open = openerWith({ ...given, ask: askHidden });
  /** @type {Set<string>} */
  const notes = new Set();
  const archive = await openArchive(diskSource(dir), {
    engine: options.engine,
    user: options.user,
    at: options.at,
    expectId: options.expectId,
    ...trustOf(options, env),
    secretGiven: [options.privateKey, options.passphrase, options.passphraseFile, env.PRYV_BACKUP_PASSPHRASE].some((one) => one !== undefined),
    unlock: async (envelope) => {
      const { key, chosen } = await open(envelope);
      if (key.note !== undefined) notes.add(key.note);
      secrets = chosen;
      return key;
    },
  });
  try {
    for (const note of notes) process.stderr.write(`note: ${note}\n`);
    printGuarantees(archive);
    if (options.list) {
      printUsers(archive);
      return printFindings(findingsOf(archive));
    }
    const shown = progress(archive);
    const outcome = await checkOrDecrypt(archive, { options, folder: dir, secrets, script, shown });
    shown.end();
    return printSummary(archive, outcome);
  } finally {
    archive.close();
  }
}

/**
 * @param {import('./args.js').Options} options
 * @param {NodeJS.ProcessEnv} env
 */
function givenSecrets (options, env) {
  return {
    privateKey: options.privateKey?.map((path) => readSecretFile(path, 'private key')),
    privateKeyPassphrase: () => options.privateKeyPassphrase ?? passphraseOfVariable(env, 'PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE'),
    passphrase: () => options.passphraseFile?.map(readPassphraseFile) ?? options.passphrase ?? passphraseOfVariable(env, 'PRYV_BACKUP_PASSPHRASE'),
  };
}

/**
 * The demands on an archive that the options make: its signer, its age, and whether it is encrypted.
 * @param {import('./args.js').Options} options
 * @param {NodeJS.ProcessEnv} env
 * @returns {import('./opening.js').Trust}
 */
function trustOf (options, env) {
  const { expectSource, maxAge, acceptUnsigned, allowPlaintext } = options;
  const requireEncrypted = options.requireEncrypted || !NOT_SET.has((env.PRYV_BACKUP_REQUIRE_ENCRYPTED ?? '').toLowerCase());
  if (allowPlaintext && requireEncrypted) {
    throw new DecryptError('usage', '--allow-plaintext excludes --require-encrypted and PRYV_BACKUP_REQUIRE_ENCRYPTED');
  }
  return { signers: expectedSigners(options.signer, env), expectSource, maxAge, acceptUnsigned, allowPlaintext, requireEncrypted };
}

/** The current folder when it looks like a backup, else the one that the script is in: it travels inside backups. */
function defaultFolder () {
  const own = dirname(fileURLToPath(import.meta.url));
  return existsSync('manifest.json') || !existsSync(join(own, 'manifest.json')) ? '.' : own;
}

/**
 * Refuses an output whose parent folder is missing: it would lie on another disk than the one that is meant.
 * @param {string} out
 */
function requireParent (out) {
  const parent = dirname(resolve(out));
  // A folder that is there may be all that --permission of Node.js allows.
  if (!existsSync(out) && !existsSync(parent)) {
    throw new DecryptError('usage', `--out ${out}: ${parent} is not there; is a disk not mounted? Make it, or give --create-parents`);
  }
}

/**
 * An output inside the backup would change the backup.
 * @param {string} dir
 * @param {string} out
 */
function refuseInside (dir, out) {
  const [from, to] = [realPath(resolve(dir)), realPath(resolve(out))];
  if (to === from || to.startsWith(from.endsWith(sep) ? from : from + sep)) {
    throw new DecryptError('usage', `--out ${out} is inside the backup: choose a folder outside it`);
  }
}

/**
 * A path without symbolic links; of a path that does not exist yet, the nearest folder that exists is resolved.
 * @param {string} path absolute
 * @returns {string}
 */
function realPath (path) {
  try {
    return realpathSync.native(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realPath(above), basename(path));
  }
}

function version () {
  // @ts-ignore defined by the build
  return typeof PACKAGE_VERSION === 'string' ? PACKAGE_VERSION : 'unbuilt';
}
