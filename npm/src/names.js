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
  const leadsOut = () => new DecryptError('damaged', `${name} leads out of the folder`, { path: name });
  if (parts.includes('..')) throw leadsOut();
  if (system.sep === '\\') {
    const bad = parts.find((part) => RESERVED.test(part) || FORBIDDEN.test(part));
    if (bad !== undefined) throw new DecryptError('failed', `cannot write ${name}: Windows has no file named ${bad}`, { path: name });
  }
  const top = system.resolve(root);
  const place = system.resolve(top, ...parts);
  if (!place.startsWith(top.endsWith(system.sep) ? top : top + system.sep)) throw leadsOut();
  return place;
}
