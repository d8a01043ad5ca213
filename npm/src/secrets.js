import { readFileSync } from 'node:fs';
import { errorOf, fillRandom, passphraseOfFile, privateKeyNeedsPassphrase } from './core.js';
import { DecryptError, aboutOf, kindOf, messageOf } from './errors.js';

/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Envelope} Envelope */

/**
 * The secrets that the holder of the key gives: one of each, or several, since a chain may have changed its recipients on the way. `ask` is called
 * for a secret that is needed and missing; it gives undefined when nobody can be asked. Passphrases may be given as a function,
 * which is called when the first of them is needed.
 * @typedef {{ privateKey?: Uint8Array|Uint8Array[], privateKeyPassphrase?: Lazy<string|string[]|undefined>,
 *   passphrase?: Lazy<string|string[]|undefined>, ask?: (question: string) => Promise<string|undefined> }} Secrets
 */

/**
 * @template T
 * @typedef {T | (() => T)} Lazy
 */

/**
 * The secret that opens an envelope, with its own passphrase where it has one.
 * @typedef {{ passphrase: string } | { privateKey: Uint8Array, privateKeyPassphrase: string|undefined }} Chosen
 */

/** @typedef {{ key: import('../../.build/wasm/decryptor_wasm.js').DataKey, chosen: Chosen }} Opened */

/**
 * An `unlock` for openArchive.
 * @param {Secrets} secrets
 * @returns {(envelope: Envelope) => Promise<import('../../.build/wasm/decryptor_wasm.js').DataKey>}
 */
export function unlockWith (secrets) {
  const open = openerWith(secrets);
  return async (envelope) => (await open(envelope)).key;
}

/**
 * Tries each secret on an envelope; what has to be asked for is asked for once, however many runs a chain has.
 * @param {Secrets} secrets
 * @returns {(envelope: Envelope) => Promise<Opened>}
 */
export function openerWith (secrets) {
  const ask = secrets.ask ?? (async () => undefined);
  const files = listOf(secrets.privateKey);
  /** @type {string[]|undefined} */
  let passphrases;
  const given = () => (passphrases ??= listOf(valueOf(secrets.passphrase)));
  /** @type {Map<Uint8Array, string[]>} */
  const asked = new Map();

  return async (envelope) => {
    if (envelope.mode === 'hybrid') return withPrivateKey(envelope);
    if (given().length === 0) given().push(...listOf(await ask('Passphrase of the backup: ')));
    const opened = await first(given(), 'passphrases', (passphrase) => opening(envelope, { passphrase }));
    if (opened !== undefined) return opened;
    throw errorOf(files.length > 0 ? 'opens-with-passphrase' : 'passphrase-needed', {});
  };

  /** @param {Envelope} envelope */
  async function withPrivateKey (envelope) {
    const opened = await first(files, 'private keys', async (privateKey) => {
      const tried = await first(await passphrasesOf(privateKey), 'passphrases of private keys',
        (privateKeyPassphrase) => opening(envelope, { privateKey, privateKeyPassphrase }));
      if (tried !== undefined) return tried;
      throw errorOf('private-key-locked', {});
    });
    if (opened !== undefined) return opened;
    throw errorOf(given().length > 0 ? 'opens-with-private-key' : 'private-key-needed', {});
  }

  /**
   * @param {Uint8Array} file
   * @returns {Promise<Array<string|undefined>>}
   */
  async function passphrasesOf (file) {
    if (!privateKeyNeedsPassphrase(file)) return [undefined];
    const given = listOf(valueOf(secrets.privateKeyPassphrase));
    if (given.length > 0) return given;
    const known = asked.get(file) ?? listOf(await ask(files.length === 1
      ? 'Passphrase of the private key: '
      : `Passphrase of the private key ${files.indexOf(file) + 1} of ${files.length}: `));
    asked.set(file, known);
    return known;
  }
}

/**
 * The first that opens; undefined where there is nothing to try.
 * @template T
 * @param {T[]} list
 * @param {string} what
 * @param {(one: T) => Promise<Opened>} open
 * @returns {Promise<Opened|undefined>}
 */
async function first (list, what, open) {
  let last;
  for (const one of list) {
    try {
      return await open(one);
    } catch (error) {
      if (kindOf(error) !== 'key') throw error;
      last = error;
      // The key file is open then: another passphrase is none for it.
      if (aboutOf(error).code === 'wrong-private-key' && what !== 'private keys') throw error;
    }
  }
  if (last === undefined) return undefined;
  if (list.length === 1) throw last;
  throw errorOf('none-opens', { number: list.length, found: what, detail: messageOf(last) });
}

/**
 * @param {Envelope} envelope
 * @param {Chosen} chosen
 * @returns {Promise<Opened>}
 */
async function opening (envelope, chosen) {
  const key = openEnvelope(envelope, chosen);
  const { form } = key;
  if (form === undefined || !('passphrase' in chosen)) return { key, chosen };
  // The next attempt takes the form that is known to fit.
  return { key, chosen: { passphrase: chosen.passphrase.normalize(form) } };
}

/**
 * @template T
 * @param {Lazy<T>} lazy
 * @returns {T}
 */
function valueOf (lazy) {
  return typeof lazy === 'function' ? /** @type {() => T} */ (lazy)() : lazy;
}

/**
 * @template T
 * @param {T|T[]|undefined} given
 * @returns {T[]}
 */
function listOf (given) {
  if (given === undefined) return [];
  return Array.isArray(given) ? [...given] : [given];
}

/**
 * @param {Envelope} envelope
 * @param {Chosen} chosen
 */
export function openEnvelope (envelope, chosen) {
  return 'passphrase' in chosen
    ? envelope.unlockWithPassphrase(chosen.passphrase)
    : envelope.unlockWithPrivateKey(chosen.privateKey, chosen.privateKeyPassphrase, fillRandom);
}

/**
 * @param {string} path of a file that the user named
 * @param {string} what it is, for the message
 */
export function readSecretFile (path, what) {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    throw new DecryptError('key', `cannot read the ${what} ${path}: ${code === 'ENOENT' ? 'there is no such file' : message}`);
  }
}

/**
 * The passphrase in a file: its first line.
 * @param {string} path
 */
export function readPassphraseFile (path) {
  return passphraseOfFile(readSecretFile(path, 'passphrase file'), `the passphrase file ${path}`);
}

/**
 * The passphrase in a variable, if it is there: one that cannot be used is an error.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 */
export function passphraseOfVariable (env, name) {
  const value = env[name];
  // Node.js puts U+FFFD for what is not UTF-8.
  const wrong = value === '' ? 'empty' : value?.includes('\ufffd') ? 'not UTF-8 text' : undefined;
  if (wrong === undefined) return value;
  throw new DecryptError('usage', `${name} is set, but ${wrong}: give it the passphrase, or unset it`);
}
