// Drives the core's walk over an archive, wherever the core runs: reads what it needs, and asks for the keys.

/** @typedef {typeof import('../../.build/wasm/decryptor_wasm.js')} Core */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').DataKey} DataKey */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Envelope} Envelope */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Need} Need */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Opened} Opened */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Opening} Opening */
/** @typedef {import('./types.js').Summary} Summary */

/**
 * The demands on an archive, beside that it is whole.
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

/**
 * The demands, and a choice: one user only, the id that it must have, and of a chain the run whose state is wanted.
 * @typedef {Trust & { user?: string, expectId?: string, at?: number }} Request
 */

/**
 * Says how a file is read: with which key (undefined: it is not encrypted), whether to inflate it, to check that it is JSON lines, and to hash
 * the stored bytes. `size`: its stored bytes where they are known.
 * @typedef {{ key: DataKey|undefined, gunzip: boolean, lines: boolean, hash: boolean, engine: any, size?: number }} ReadOptions
 */

/**
 * The host of the core: the core itself, and `readStored`, which reads a file piece by piece.
 * @template Source
 * @typedef {object} Host
 * @property {Pick<Core, 'Opening'|'Step'|'VolumeReading'|'errorOf'|'look'>} core
 * @property {(source: Source, path: string, options: ReadOptions) =>
 *   AsyncGenerator<Uint8Array, { summary: Summary, sha256: string|undefined }, void>} readStored
 */

/** The core decides what follows from errors of these kinds. */
const KINDS = ['usage', 'key', 'damaged', 'unsupported', 'failed'];
/** Files that are looked at without a key have no more bytes. */
const MOST = 64 * 1024 * 1024;
const AS_STORED = { key: undefined, gunzip: false, lines: false, engine: undefined };

/**
 * Opens an archive, or the state of a chain.
 * @template {{ name: string, list (): any }} Source
 * @param {Host<Source>} host
 * @param {Source & import('./volumes.js').WithVolumes} source
 * @param {Request} request
 * @param {{ engine: any, unlock: ((envelope: Envelope) => DataKey|Promise<DataKey>)|undefined }} means
 * @returns {Promise<{ opened: Opened, keys: Map<number, DataKey> }>} the opened archive, and the keys of its runs
 */
export async function open (host, source, request, { engine, unlock }) {
  const opening = new host.core.Opening(JSON.stringify({ ...request, name: source.name, now: Date.now() }), typeof engine === 'function' ? engine : undefined);
  /** @type {Map<number, DataKey>} */
  const keys = new Map();
  try {
    await drive(host, opening, source, engine, async (run, envelope) => {
      if (unlock === undefined) throw host.core.errorOf('key-needed', {});
      const key = await unlock(envelope);
      keys.set(run, key);
      return key;
    }, keys);
    return { opened: opening.opened(), keys };
  } catch (error) {
    for (const key of keys.values()) key.free();
    throw error;
  } finally {
    opening.free();
  }
}

/**
 * Looks at an archive without a key.
 * @template {{ name: string, list (): any }} Source
 * @param {Host<Source>} host
 * @param {Source & import('./volumes.js').WithVolumes} source
 */
export async function look (host, source) {
  const members = await source.members();
  const read = async (/** @type {string} */ name) => members.has(name)
    ? (await whole(host.readStored(source, name, { ...AS_STORED, hash: false }), MOST)).content
    : undefined;
  return JSON.parse(host.core.look(source.name, members, await read('encryption.json'), await read('chain.json')));
}

/**
 * Meets one need after the other.
 * @template {{ name: string, list (): any }} Source
 * @param {Host<Source>} host
 * @param {Opening} opening
 * @param {Source & import('./volumes.js').WithVolumes} source
 * @param {any} engine
 * @param {(run: number, envelope: Envelope) => Promise<DataKey>} unlock
 * @param {Map<number, DataKey>} keys
 */
async function drive (host, opening, source, engine, unlock, keys) {
  for (let need = opening.next(); need !== undefined; need = opening.next()) {
    try {
      await meet(need);
    } catch (error) {
      if (!KINDS.includes(/** @type {any} */ (error)?.kind)) throw error;
      opening.refuse(need, error);
    }
  }

  /** @param {Need} need */
  async function meet (need) {
    const { what, path, run, most, size } = need;
    if (what === 'listing') {
      opening.giveMembers(need, await source.members(need.scan));
    } else if (what === 'key') {
      const envelope = /** @type {Envelope} */ (need.envelope());
      try {
        opening.giveKey(need, await unlock(run, envelope));
      } finally {
        envelope.free();
      }
    } else if (what === 'pieces') {
      for await (const piece of host.readStored(source, path, { ...AS_STORED, hash: false })) opening.piece(piece.slice());
      opening.give(need, false, undefined, undefined);
    } else if (what === 'digest') {
      const { sha256 } = await end(host.readStored(source, path, { ...AS_STORED, hash: true }));
      opening.give(need, false, undefined, sha256);
    } else if (what === 'block') {
      opening.push(await source.piece(path, need.offset, size));
      opening.give(need, false, undefined, undefined);
    } else {
      const options = what === 'stored' ? { ...AS_STORED, hash: false } : { ...AS_STORED, key: keys.get(run), engine, hash: true, size };
      const { summary, sha256, tooMany } = await pass(host.readStored(source, path, options), most, (piece) => opening.push(piece));
      opening.give(need, tooMany, summary, sha256);
    }
  }
}

/**
 * The whole of a file; no content where it has more bytes than `most`.
 * @param {AsyncGenerator<Uint8Array, { summary: Summary, sha256: string|undefined }, void>} pieces
 * @param {number} most
 * @returns {Promise<{ content?: Uint8Array, summary?: Summary, sha256?: string }>}
 */
export async function whole (pieces, most) {
  /** @type {Uint8Array[]} */
  const parts = [];
  let length = 0;
  const { summary, sha256, tooMany } = await pass(pieces, most, (piece) => {
    length += piece.length;
    parts.push(piece);
  });
  return tooMany ? {} : { content: joined(parts, length), summary, sha256 };
}

/**
 * Passes on a copy of each piece of a file, until there are more than `most` bytes.
 * @param {AsyncGenerator<Uint8Array, { summary: Summary, sha256: string|undefined }, void>} pieces
 * @param {number} most
 * @param {(piece: Uint8Array) => void} take
 * @returns {Promise<{ summary?: Summary, sha256?: string, tooMany: boolean }>}
 */
async function pass (pieces, most, take) {
  let length = 0;
  try {
    for (;;) {
      const next = await pieces.next();
      if (next.done) return { ...next.value, tooMany: false };
      length += next.value.length;
      if (length > most) return { tooMany: true };
      take(next.value.slice());
    }
  } finally {
    await pieces.return(/** @type {any} */ (undefined));
  }
}

/**
 * @param {Uint8Array[]} parts
 * @param {number} length
 */
function joined (parts, length) {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Runs a generator to its end and returns what it returns; the values that it yields are dropped.
 * @template T
 * @param {AsyncGenerator<unknown, T, void>} pieces
 */
export async function end (pieces) {
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
  }
}
