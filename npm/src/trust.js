// Whose archives are taken, and in which shape, wherever the core runs.
import { DecryptError } from './errors.js';

/**
 * What is asked of an archive, beside its being whole.
 * @typedef {object} Trust
 * @property {string[]} [signers] who may have signed it, each the line of a public key or the text of a minisign `.pub` file; an archive of
 *   anybody else is refused. Default: anybody
 * @property {string} [expectSource] which platform it must be of: the 32 hex digits that the report of a backup prints as its source
 * @property {string} [maxAge] how old it may be: `30d`, `12h`, `90m` or `2w`
 * @property {boolean} [acceptUnsigned] take one that nobody signed although `signers` are given: of Pryv's own tool, or decrypted before
 * @property {boolean} [secretGiven] whether a key or passphrase was given, so that an archive that is not encrypted is refused
 * @property {boolean} [allowPlaintext] take one that is not encrypted all the same
 * @property {boolean} [requireEncrypted] refuse one that is not encrypted
 */

/** Name of a run's signature, beside its manifest.json. */
export const SIGNATURE = 'manifest.json.minisig';
/** No signature has as many bytes; of what has, no more is read. */
export const SMALL = 64 * 1024;

/** The codes of the findings that say who signed an archive. */
export const SIGNER_CODES = ['signer', 'pinned-signer', 'unsigned'];

/**
 * Throws unless an archive is the one whose id was noted. The error has `unexpected`: it says nothing of what is in the archive.
 * @param {(id: string, noted: string|undefined) => void} requireId
 * @param {string} id
 * @param {string|undefined} noted
 */
export function expectArchive (requireId, id, noted) {
  try {
    requireId(id, noted);
  } catch (error) {
    throw Object.assign(/** @type {object} */ (error), { unexpected: true });
  }
}

/**
 * What is asked of an archive for the core, which must be let go of again.
 * @template {{ pin (signer: string): void, expectSource (source: string): void, limitAge (text: string): void, acceptUnsigned (): void,
 *   expectEncrypted (given: boolean, allowed: boolean, required: boolean): void, free (): void }} D
 * @param {new (now: number) => D} Demands
 * @param {Trust} trust
 * @returns {D}
 */
export function demandsOf (Demands, { signers = [], expectSource, maxAge, acceptUnsigned, secretGiven, allowPlaintext, requireEncrypted }) {
  if (expectSource !== undefined && !/^[0-9a-f]{32}$/i.test(expectSource)) {
    throw new DecryptError('usage', `a source has 32 hex digits, and ${JSON.stringify(expectSource)} has not`);
  }
  const demands = new Demands(Date.now());
  try {
    for (const signer of signers) demands.pin(signer);
    if (expectSource !== undefined) demands.expectSource(expectSource.toLowerCase());
    if (maxAge !== undefined) demands.limitAge(maxAge);
    if (acceptUnsigned) demands.acceptUnsigned();
    demands.expectEncrypted(secretGiven === true, allowPlaintext === true, requireEncrypted === true);
    return demands;
  } catch (error) {
    demands.free();
    throw error;
  }
}
