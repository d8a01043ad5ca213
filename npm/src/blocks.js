// Small files of volumes, many at once, wherever the core runs.

/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Members} Members */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Opened} Opened */
/** @typedef {Pick<typeof import('../../.build/wasm/decryptor_wasm.js'), 'SmallReader'>} Core */

/**
 * Small files that lie near each other in a volume: `size` are their stored bytes together, `places` are theirs in the plan, and `order` says what
 * each should be. It can cross to another thread.
 * @typedef {{ path: string, offset: number, length: number, size: number, places: Uint32Array, order: Uint8Array }} Block
 */

/**
 * The users of the files of a block, in their order, and how many files are of each; an empty id for those of none.
 * @typedef {{ users: string[], counts: Uint32Array }} Shares
 */

/**
 * The outcome for the files of a block: how many bytes of content they have together, and then the number of records of each; -1: the file is
 * to be read by itself.
 * @typedef {Float64Array} Checked
 */

/** Files of which the blocks are made at once. */
const WINDOW = 2048;

/**
 * The blocks of the files of an archive by itself. The places of files that are in none are added to `others`. `shares`: with the users.
 * @param {Opened} opened
 * @param {Members} members
 * @param {number} files how many there are
 * @param {number[]} others
 * @param {boolean} [shares]
 * @returns {Generator<Block & Partial<Shares>, void>}
 */
export function * blocksOf (opened, members, files, others, shares = false) {
  for (let from = 0; from < files; from += WINDOW) {
    const blocks = opened.blocks(members, from, WINDOW);
    for (const place of blocks.others()) others.push(place);
    for (let block = blocks.next(); block !== undefined; block = blocks.next()) {
      const { path, offset, length, size, places, order } = block;
      const of = shares ? { users: block.users, counts: block.counts } : {};
      block.free();
      yield { path, offset, length, size, places, order, ...of };
    }
    blocks.free();
  }
}

/**
 * What checks the files of blocks: all that can be checked of each. `free` lets go of its memory.
 * @param {Core} core
 * @param {{ source: import('./volumes.js').WithVolumes, keys: Map<number, import('./opening.js').DataKey>, engine: any,
 *   decrypted: boolean }} access
 */
export function blockChecker ({ SmallReader }, { source, keys, engine, decrypted }) {
  const key = keys.get(1);
  const reader = key === undefined ? SmallReader.cleartext() : SmallReader.sealed(key, typeof engine === 'function' ? engine : undefined);
  return {
    /**
     * @param {Block} block
     * @returns {Promise<Checked>}
     */
    async check ({ path, offset, length, order }) {
      // What cannot be read is read file by file, and said then.
      const piece = await source.piece(path, offset, length).catch(() => new Uint8Array());
      return reader.check(order, piece, decrypted);
    },
    free () { reader.free(); },
  };
}

/**
 * The places of the files of a block that are to be read by themselves.
 * @param {Block} block
 * @param {Checked} checked
 */
export function leftOf ({ places }, checked) {
  return [...places].filter((_, i) => checked[i + 1] < 0);
}

/**
 * Adds up the outcome for the files of a block. The places of files that are to be read by themselves are added to `others`.
 * @param {Block} block
 * @param {Checked} checked
 * @param {{ files: number, bytes: number, records: number }} outcome
 * @param {number[]} others
 */
export function addBlock (block, checked, outcome, others) {
  outcome.bytes += checked[0];
  others.push(...leftOf(block, checked));
  for (const records of checked.subarray(1)) {
    if (records < 0) continue;
    outcome.files++;
    outcome.records += records;
  }
}
