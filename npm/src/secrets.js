import { readFileSync } from 'node:fs';
import { privateKeyNeedsPassphrase, fillRandom } from './core.js';
import { DecryptError } from './errors.js';

/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Envelope} Envelope */

/**
 * What the holder of the key gives. `ask` is called for a secret that is needed and missing; it gives undefined when
 * nobody can be asked.
 * @typedef {{ privateKey?: Uint8Array, privateKeyPassphrase?: string, passphrase?: string,
 *   ask?: (question: string) => Promise<string|undefined> }} Secrets
 */

/**
 * The secrets that fit an envelope, none of them missing.
 * @typedef {{ passphrase: string } | { privateKey: Uint8Array, privateKeyPassphrase: string|undefined }} Chosen
 */

/**
 * An `unlock` for openArchive.
 * @param {Secrets} secrets
 * @returns {(envelope: Envelope) => Promise<import('../../.build/wasm/decryptor_wasm.js').DataKey>}
 */
export function unlockWith (secrets) {
  const choose = chooseOnce(secrets);
  return async (envelope) => openEnvelope(envelope, await choose(envelope));
}

/**
 * Picks what each envelope needs; what has to be asked for is asked for once, however many runs a chain has.
 * @param {Secrets} secrets
 * @returns {(envelope: Envelope) => Promise<Chosen>}
 */
export function chooseOnce (secrets) {
  /** @type {Map<boolean, Chosen>} */
  const chosen = new Map();
  return async (envelope) => {
    const hybrid = envelope.mode === 'hybrid';
    const known = chosen.get(hybrid) ?? await chooseSecrets(envelope, secrets);
    chosen.set(hybrid, known);
    return known;
  };
}

/**
 * Picks what the envelope needs and asks for what is missing.
 * @param {Envelope} envelope
 * @param {Secrets} secrets
 * @returns {Promise<Chosen>}
 */
export async function chooseSecrets (envelope, secrets) {
  const ask = secrets.ask ?? (async () => undefined);
  if (envelope.mode !== 'hybrid') {
    const passphrase = secrets.passphrase ?? await ask('Passphrase of the backup: ');
    if (passphrase !== undefined) return { passphrase };
    throw new DecryptError('key', secrets.privateKey
      ? 'this backup opens with a passphrase, not with a private key: give --passphrase-file or PRYV_BACKUP_PASSPHRASE'
      : 'a passphrase is needed: give --passphrase-file FILE or set PRYV_BACKUP_PASSPHRASE');
  }
  const { privateKey } = secrets;
  if (privateKey === undefined) {
    throw new DecryptError('key', secrets.passphrase !== undefined
      ? 'this backup opens with a private key, not with a passphrase: give --private-key FILE'
      : 'a private key is needed: give --private-key FILE');
  }
  let { privateKeyPassphrase } = secrets;
  if (privateKeyPassphrase === undefined && privateKeyNeedsPassphrase(privateKey)) {
    privateKeyPassphrase = await ask('Passphrase of the private key: ');
    if (privateKeyPassphrase === undefined) {
      throw new DecryptError('key', 'the private key is protected by a passphrase: give --private-key-passphrase ' +
        'or set PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE');
    }
  }
  return { privateKey, privateKeyPassphrase };
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
 * The passphrase in a file: its content without the line ending that editors add.
 * @param {string} path
 */
export function readPassphraseFile (path) {
  return readSecretFile(path, 'passphrase file').toString('utf8').replace(/\r?\n$/, '');
}
