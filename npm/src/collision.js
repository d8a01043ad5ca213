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
