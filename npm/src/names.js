import path from 'node:path';
import { DecryptError } from './errors.js';

// Device names: Windows takes them for devices in any folder and with any extension.
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])( *\.|$)/i;
const FORBIDDEN = /[<>:"|?*\\\u0000-\u001f]|[. ]$/;

/**
 * Where a path of the archive lies on disk.
 * @param {string} root an absolute folder
 * @param {string} name relative, with `/`
 * @param {path.PlatformPath} [system] whose rules are followed; default: this machine's
 * @returns {string}
 * @throws {DecryptError} `damaged` for a path that leads out of the root, `failed` for one that the system cannot name
 */
export function placeOf (root, name, system = path) {
  const parts = name.split('/');
  const leadsOut = () => new DecryptError('damaged', `${name} leads out of the folder`);
  if (parts.includes('..')) throw leadsOut();
  if (system.sep === '\\') {
    const bad = parts.find((part) => RESERVED.test(part) || FORBIDDEN.test(part));
    if (bad !== undefined) throw new DecryptError('failed', `cannot write ${name}: Windows has no file named ${bad}`);
  }
  const top = system.resolve(root);
  const place = system.resolve(top, ...parts);
  if (!place.startsWith(top.endsWith(system.sep) ? top : top + system.sep)) throw leadsOut();
  return place;
}

/**
 * Two files, or two folders above them, that would be one on disk; undefined when there are none.
 * @param {Iterable<[string, string]>} files the path in the archive and the path it is written to, with `/`
 * @param {boolean} caseless whether the file system takes `A` and `a` for the same
 * @returns {[string, string]|undefined}
 */
export function collisionIn (files, caseless) {
  const fold = (/** @type {string} */ name) => (caseless ? name.normalize('NFC').toUpperCase() : name);
  /** @type {Map<string, string>} */
  const written = new Map();
  /** @type {Map<string, string>} */
  const spelled = new Map();
  for (const [from, to] of files) {
    const twin = written.get(to);
    if (twin !== undefined) return [twin, from];
    written.set(to, from);
    const parts = to.split('/');
    for (let depth = 1; depth <= parts.length; depth++) {
      const above = parts.slice(0, depth).join('/');
      const other = spelled.get(fold(above)) ?? above;
      if (other !== above) return [other, above];
      spelled.set(fold(above), above);
    }
  }
  return undefined;
}
