// The files of an archive that lie in volumes, wherever the core runs.
import { DecryptError } from './errors.js';

/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Members} Members */
/** @typedef {Pick<typeof import('../../.build/wasm/decryptor_wasm.js'), 'VolumeReading'|'errorOf'>} Core */

/**
 * Where the bytes of a member are: `start` is the beginning of its content, and what follows it, if anything does, is that part of a stored
 * file.
 * @typedef {{ start: Uint8Array, rest: { path: string, offset: number, length: number }|undefined }} Found
 */

/**
 * Where a member is: which volume, where in it its header begins, how many bytes its content has, and the header that must be there.
 * @typedef {{ volume: string, offset: number, size: number, header: Uint8Array }} MemberPlace
 */

/**
 * A source that may hold volumes, or is a single tar file of `tar` bytes, whose path is empty. `part` gives a part of a stored file, which may
 * end earlier.
 * @typedef {{ name: string, tar?: number, list (): any, part? (path: string, offset: number, length: number): Promise<Uint8Array> }} Stored
 */

/**
 * A source that knows the members of its volumes.
 * @typedef {{ members (scan?: boolean): Promise<Members>, known (): Promise<Members>, place (path: string): Promise<MemberPlace|undefined>,
 *   tell (path: string, place: MemberPlace|undefined): void, find (path: string): Promise<Found|undefined>,
 *   piece (path: string, offset: number, length: number): Promise<Uint8Array> }} WithVolumes
 */

/** Bytes that are read along with a header: most files have no more. */
const ALONG = 64 * 1024;
/** Bytes that are read at once: the files of a user, and those of the next, lie side by side. */
const BLOCK = 1024 * 1024;
/** Blocks that are kept. */
const KEPT = 4;

/**
 * The same source, which knows the members of its volumes: `members` finds all files anew, `known` has those that were found last, `find` says
 * where the bytes of a member are, and `piece` reads a part of a stored file.
 * @template {Stored} Source
 * @param {Core} core
 * @param {Source} source
 * @returns {Source & WithVolumes}
 */
export function withVolumes (core, source) {
  /** @type {Promise<Members>|undefined} */
  let known;
  /** The members as the volumes themselves tell, where an index was found to be wrong. @type {Promise<Members>|undefined} */
  let scanned;
  /** Where a file is, as another thread says. @type {{ path: string, place: MemberPlace|undefined }|undefined} */
  let told;
  /** Paths of the stored files. @type {Set<string>} */
  let stored = new Set();

  let piece = inBlocks(read);

  /** @param {string} path @param {number} offset @param {number} length */
  async function read (path, offset, length) {
    if (source.part === undefined) throw new DecryptError('usage', `${source.name} holds volumes, which this source cannot read in parts`);
    return source.part(path, offset, length);
  }

  /** @param {boolean} scan */
  async function learn (scan) {
    /** @type {Array<[string, number]>} */
    const listing = await source.list();
    stored = new Set(listing.map(([path]) => path));
    const reading = source.tar === undefined
      ? new core.VolumeReading(listing.map(([path]) => path), Float64Array.from(listing, ([, size]) => size), scan)
      : core.VolumeReading.ofTar(source.name, source.tar, scan);
    for (let range = reading.next(); range !== undefined; range = reading.next()) {
      reading.give(await piece(range.path, range.offset, range.length));
      range.free();
    }
    return reading.finish();
  }

  /** Finds all files. `scan`: no index is believed, the volumes are read through. */
  function learned (scan = false) {
    piece = inBlocks(read);
    return (known = learn(scan));
  }

  /** All files, as they were found last. */
  async function all () {
    return known ?? learned();
  }

  /**
   * Where a member is; undefined for a separate file.
   * @param {string} path
   */
  async function place (path) {
    return placeIn(await all(), path);
  }

  /**
   * Takes over from another thread where the file is that is read next: a thread that finds all members itself needs time and memory for it.
   * @param {string} path
   * @param {MemberPlace|undefined} place
   */
  function tell (path, place) {
    told = { path, place };
  }

  /**
   * The bytes of a member; undefined for a separate file.
   * @param {string} path
   * @returns {Promise<Found|undefined>}
   */
  async function find (path) {
    if (told?.path === path) {
      const { place } = told;
      const found = await at(place);
      if (found !== undefined || place === undefined) return found;
    }
    const members = await all();
    const place = placeIn(members, path);
    if (place === undefined) {
      // An index had named it, and the volumes do not hold it; or there is nothing but volumes.
      if (source.tar !== undefined || (scanned !== undefined && !stored.has(path))) throw core.errorOf('volume-member', { path });
      return undefined;
    }
    let found = await at(place);
    if (found === undefined && members.indexed()) {
      // For all who find that the index is wrong, the volumes are read through once.
      scanned ??= learned(true);
      found = await at(placeIn(await scanned, path));
    }
    if (found === undefined) throw core.errorOf('volume-member', { path });
    return found;
  }

  /**
   * The bytes at a place; undefined where another file lies.
   * @param {MemberPlace|undefined} place
   * @returns {Promise<Found|undefined>}
   */
  async function at (place) {
    if (place === undefined) return undefined;
    const { volume, offset, size, header } = place;
    const bytes = await piece(volume, offset, header.length + Math.min(size, ALONG));
    if (header.some((byte, i) => bytes[i] !== byte)) return undefined;
    const start = bytes.subarray(header.length);
    const left = size - start.length;
    const rest = { path: volume, offset: offset + header.length + start.length, length: left };
    return { start, rest: left > 0 ? rest : undefined };
  }

  return Object.assign(/** @type {Source} */ (Object.create(source)), {
    members: learned, known: all, place, tell, find, piece: (/** @type {Parameters<typeof piece>} */ ...part) => piece(...part),
  });
}

/**
 * Where a member is; undefined for a separate file.
 * @param {Members} members
 * @param {string} path
 * @returns {MemberPlace|undefined}
 */
function placeIn (members, path) {
  const place = members.place(path);
  if (place === undefined) return undefined;
  const { volume, offset, size, header } = place;
  place.free();
  return { volume, offset, size, header };
}

/**
 * Reads parts of files block by block, and keeps some of the blocks.
 * @param {(path: string, offset: number, length: number) => Promise<Uint8Array>} read
 */
function inBlocks (read) {
  /** The blocks that were read last; the newest is the last. @type {Map<string, Promise<Uint8Array>>} */
  const blocks = new Map();

  /** @param {string} path @param {number} number */
  function block (path, number) {
    const name = `${number} ${path}`;
    const block = blocks.get(name) ?? read(path, number * BLOCK, BLOCK);
    block.catch(() => blocks.delete(name));
    blocks.delete(name);
    blocks.set(name, block);
    for (const [oldest] of blocks) {
      if (blocks.size <= KEPT) break;
      blocks.delete(oldest);
    }
    return block;
  }

  /**
   * The bytes of a part of a stored file; fewer where it ends.
   * @param {string} path
   * @param {number} offset
   * @param {number} length
   */
  return async function piece (path, offset, length) {
    // Of a part that is about as long as a block, nothing would be left for the next.
    if (length > BLOCK / 2) return read(path, offset, length);
    const first = Math.floor(offset / BLOCK);
    const from = offset - first * BLOCK;
    const start = (await block(path, first)).subarray(from, from + length);
    const left = length - start.length;
    // A block that is not full is the last.
    if (left === 0 || from + start.length < BLOCK) return start;
    const rest = (await block(path, first + 1)).subarray(0, left);
    const both = new Uint8Array(start.length + rest.length);
    both.set(start);
    both.set(rest, start.length);
    return both;
  };
}
