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
 * An `unlock` for openArchive.
 * @param {Secrets} secrets
 * @returns {(envelope: Envelope) => Promise<import('../../.build/wasm/decryptor_wasm.js').DataKey>}
 */
export function unlockWith (secrets) {
  const ask = secrets.ask ?? (async () => undefined);
  return async (envelope) => {
    if (envelope.mode !== 'hybrid') {
      const passphrase = secrets.passphrase ?? await ask('Passphrase of the backup: ');
      if (passphrase !== undefined) return envelope.unlockWithPassphrase(passphrase);
      throw new DecryptError('key', secrets.privateKey
        ? 'this backup opens with a passphrase, not with a private key: give --passphrase-file or PRYV_BACKUP_PASSPHRASE'
        : 'a passphrase is needed: give --passphrase-file FILE or set PRYV_BACKUP_PASSPHRASE');
    }
    if (secrets.privateKey === undefined) {
      throw new DecryptError('key', secrets.passphrase !== undefined
        ? 'this backup opens with a private key, not with a passphrase: give --private-key FILE'
        : 'a private key is needed: give --private-key FILE');
    }
    let passphrase = secrets.privateKeyPassphrase;
    if (passphrase === undefined && privateKeyNeedsPassphrase(secrets.privateKey)) {
      passphrase = await ask('Passphrase of the private key: ');
      if (passphrase === undefined) {
        throw new DecryptError('key', 'the private key is protected by a passphrase: give --private-key-passphrase ' +
          'or set PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE');
      }
    }
    return envelope.unlockWithPrivateKey(secrets.privateKey, passphrase, fillRandom);
  };
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
