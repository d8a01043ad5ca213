// Changes and cuts files of a good archive at places spread over all of them, and prints those that the library does not notice.
// Usage: node flips.mjs ARCHIVE PRIVATE_KEY ENGINE
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openArchive, unlockWith } from '../../npm/dist/index.mjs';

const [root, keyFile, engine] = process.argv.slice(2);
const NOT_SEALED = ['encryption.json', 'SHA256SUMS'];
const SIGNATURE = 'manifest.json.minisig';
const FLIPS = 8;
const HEADER = 67;
const FRAME = 4 + 65536 + 16;

const files = new Map(readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => statSync(join(root, path)).isFile())
  .map((path) => [path, readFileSync(join(root, path))]));

/** @param {Map<string, Buffer>} content */
function source (content) {
  return {
    name: 'archive',
    async list () { return [...content].map(([path, bytes]) => /** @type {[string, number]} */ ([path, bytes.length])).sort(); },
    async open (/** @type {string} */ path) { return (async function * () { yield content.get(path) ?? Buffer.alloc(0); })(); },
  };
}

/**
 * Whether reading everything shows that something is wrong.
 * @param {Map<string, Buffer>} content
 */
async function noticed (content) {
  let archive;
  try {
    archive = await openArchive(source(content), { engine, unlock: unlockWith({ privateKey: readFileSync(keyFile) }) });
    if (archive.findings.some(({ severity }) => severity === 'error')) return true;
    for (const file of archive.files) for await (const _ of archive.stream(file, { gunzip: true, hash: false }));
    return false;
  } catch (error) {
    if (error.kind !== 'damaged') throw error;
    return true;
  } finally {
    archive?.close();
  }
}

let tried = 0;
const missed = [];
/**
 * @param {string} what
 * @param {string} path
 * @param {Buffer} changed
 */
async function attempt (what, path, changed) {
  tried++;
  if (!await noticed(new Map([...files, [path, changed]]))) missed.push(`${path}: ${what}`);
}

if (await noticed(files)) throw new Error('the archive itself is not good');
let seed = 1;
const next = (/** @type {number} */ below) => (seed = (seed * 48271) % 2147483647) % below;
for (const [path, bytes] of files) {
  if (NOT_SEALED.includes(path)) continue;
  // Nobody signs the first line of a signature, and it need not be ended.
  const [from, to] = path === SIGNATURE ? [bytes.indexOf(10), bytes.length - 1] : [0, bytes.length];
  for (let i = 0; i < FLIPS; i++) {
    const at = from + next(to - from);
    const changed = Buffer.from(bytes);
    changed[at] ^= 1 << next(8);
    await attempt(`bit flipped at ${at}`, path, changed);
  }
  const cuts = new Set([0, HEADER, HEADER + FRAME, HEADER + 2 * FRAME, next(bytes.length), next(bytes.length), to - 1]);
  for (const at of cuts) if (at < to) await attempt(`cut at ${at}`, path, bytes.subarray(0, at));
}
console.log(JSON.stringify({ tried, missed }));
