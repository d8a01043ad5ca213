import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { Opening, loadCore } from './core.js';
import { DecryptError, messageOf } from './errors.js';

/**
 * Signers whom all users of this machine expect, one a line, or whole minisign `.pub` files one after the other; empty lines, and those that
 * begin with `#`, count for nothing.
 */
const MACHINE = '/etc/pryv-backup/signers';
const VARIABLE = 'PRYV_BACKUP_SIGNER';
const NO_SIGNER = /^$|^#|^untrusted comment:/;

/**
 * The signers whom the command expects: those that are given, else those of the environment, else those of the machine.
 * @param {string[]|undefined} given each a key or a file with one, or several with commas between them
 * @param {NodeJS.ProcessEnv} env
 * @param {string} [machine]
 * @returns {string[]}
 */
export function expectedSigners (given, env, machine = MACHINE) {
  loadCore();
  const named = given ?? (env[VARIABLE] === undefined ? undefined : [env[VARIABLE]]);
  return named === undefined ? ofMachine(machine) : named.flatMap((list) => list.split(',')).map(keyOf);
}

/**
 * A key as it was given, or the content of the file of that name.
 * @param {string} given
 */
function keyOf (given) {
  if (given === '') throw new DecryptError('usage', `no key is named; where none is to be, unset ${VARIABLE}`);
  const wrong = wrongWith(given);
  if (wrong === undefined) return given;
  let file;
  try {
    file = readFileSync(given, 'utf8');
  } catch {
    throw new DecryptError('usage', `${given}: ${wrong}`);
  }
  const inside = wrongWith(file);
  if (inside !== undefined) throw new DecryptError('usage', `${given}: ${inside}`);
  return file;
}

/** @param {string} path */
function ofMachine (path) {
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readRegular(path));
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ENOENT') return [];
    if (code === 'ERR_ACCESS_DENIED') {
      console.error(`note: the signers in ${path} are not looked at: Node.js may read it only with --allow-fs-read=${path}`);
      return [];
    }
    throw new DecryptError('failed', `cannot read ${path}: ${messageOf(error)}`);
  }
  const lines = text.split('\n').map((line, at) => ({ line: line.replace(/^[ \t\r\f]+|[ \t\r\f]+$/g, ''), number: at + 1 })).filter(({ line }) => !NO_SIGNER.test(line));
  for (const { line, number } of lines) {
    const wrong = wrongWith(line);
    if (wrong !== undefined) throw new DecryptError('failed', `${path}, line ${number}: ${wrong}`);
  }
  return lines.map(({ line }) => line);
}

/**
 * The content of a regular file; a pipe is refused, since nobody may ever write into it.
 * @param {string} path
 */
function readRegular (path) {
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!fstatSync(fd).isFile()) throw new Error('it is no regular file but something else of that name (a folder, pipe, socket or device)');
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Why a text is no key of a signer; undefined when it is one.
 * @param {string} text
 */
function wrongWith (text) {
  try {
    new Opening(JSON.stringify({ signers: [text] })).free();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
