// Keys and signatures of minisign, made with Node's own cryptography.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export class SigningKey {
  #number = randomBytes(8);
  #pair = generateKeyPairSync('ed25519');

  /** The line of the public key. */
  get signer () {
    const key = Buffer.from(/** @type {string} */ (this.#pair.publicKey.export({ format: 'jwk' }).x), 'base64url');
    return Buffer.concat([Buffer.from('Ed'), this.#number, key]).toString('base64');
  }

  /**
   * The signature file of what is stored, prehashed.
   * @param {Buffer} stored
   * @param {string} comment the trusted one
   * @param {string} [untrusted]
   */
  sign (stored, comment, untrusted = 'signature') {
    const own = sign(null, createHash('blake2b512').update(stored).digest(), this.#pair.privateKey);
    const all = sign(null, Buffer.concat([own, Buffer.from(comment)]), this.#pair.privateKey);
    const line = Buffer.concat([Buffer.from('ED'), this.#number, own]).toString('base64');
    return `untrusted comment: ${untrusted}\n${line}\ntrusted comment: ${comment}\n${all.toString('base64')}\n`;
  }
}

/**
 * The signed statement of a run (docs/format.md, "Signatures").
 * @param {any} manifest
 * @param {Buffer} stored
 * @param {Array<{ path: string, sha256: string }>} files
 */
export function statement ({ chain, backupType, createdAt, source, lossCount }, stored, files) {
  const id = createHash('sha256').update(stored).digest('hex');
  const digest = createHash('sha256');
  for (const { path, sha256 } of [...files].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))) digest.update(`${sha256}  ${path}\n`);
  return `pryv-backup-run-v1 id=${id} base=${chain?.base ?? id} parent=${chain?.parent ?? '-'} run=${chain?.run ?? 1} kind=${backupType} ` +
    `created=${createdAt} source=${source} losses=${lossCount} files=${digest.digest('hex')}`;
}
