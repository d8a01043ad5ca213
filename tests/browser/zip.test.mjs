// ZIP files at the edges of their format: what the page's worker reads of them. Its own module, run here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { closeBrowser, inBrowser, open, openPage, repository, require } from './browser.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-zip-'));
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

const FULL_32 = 2 ** 32;
/** @type {(file: any) => Promise<Map<string, { size: number, read (): AsyncIterable<Uint8Array> }>>} */
let readZip;
before(async () => {
  const { outputFiles } = await require('esbuild').build({
    entryPoints: [join(repository, 'web/src/worker/source/zip.ts')], bundle: true, write: false, format: 'esm', platform: 'node', logLevel: 'silent',
  });
  writeFileSync(join(scratch, 'zip.mjs'), outputFiles[0].text);
  ({ readZip } = await import(pathToFileURL(join(scratch, 'zip.mjs')).href));
});

/** @param {Array<Uint8Array|string>} parts */
const zipFile = (parts) => Object.assign(new Blob(parts), { name: 'backup.zip' });

/** Numbers of 16 and 32 bits, one after the other. @param {Array<[16|32, number]>} fields */
function fields (...fields) {
  const bytes = Buffer.alloc(fields.reduce((sum, [bits]) => sum + bits / 8, 0));
  let at = 0;
  for (const [bits, value] of fields) at = bits === 16 ? bytes.writeUInt16LE(value % 2 ** 16, at) : bytes.writeUInt32LE(value % FULL_32, at);
  return bytes;
}

const TEXT = Buffer.from('{"a":1}');
/** A stored file. @param {string} name */
const local = (name) => Buffer.concat([fields([32, 0x04034b50], [16, 20], [16, 0], [16, 0], [32, 0], [32, 0], [32, TEXT.length], [32, TEXT.length], [16, name.length], [16, 0]), Buffer.from(name), TEXT]);
/** Its entry in the table of contents. @param {string} name @param {number} offset */
const central = (name, offset) => Buffer.concat([fields([32, 0x02014b50], [16, 20], [16, 20], [16, 0], [16, 0], [32, 0], [32, 0], [32, TEXT.length], [32, TEXT.length], [16, name.length], [16, 0], [16, 0], [16, 0], [16, 0], [32, 0], [32, offset]), Buffer.from(name)]);
/** The record at the end, as one writes it that knows no ZIP64. @param {number} count @param {number} size @param {number} start */
const end = (count, size, start, comment = '') => Buffer.concat([fields([32, 0x06054b50], [16, 0], [16, 0], [16, count], [16, count], [32, size], [32, start], [16, comment.length]), Buffer.from(comment, 'latin1')]);

/** @param {Map<string, { read (): AsyncIterable<Uint8Array> }>} entries @param {string} name */
async function content (entries, name) {
  const parts = [];
  for await (const part of entries.get(name)?.read() ?? []) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString();
}

test('a comment may hold anything, also what looks like the end', async () => {
  const [file, entry] = [local('a.json'), central('a.json', 0)];
  const fake = end(3, 100, 7).toString('latin1');
  const whole = end(1, entry.length, file.length).toString('latin1');
  for (const comment of ['', 'made on Monday', fake, `${fake}and more`, `before ${fake}`, whole, `${whole}${fake}`, '\x50\x4b\x05\x06']) {
    const entries = await readZip(zipFile([file, entry, end(1, entry.length, file.length, comment)]));
    assert.deepEqual([...entries.keys()], ['a.json'], JSON.stringify(comment));
    assert.equal(await content(entries, 'a.json'), TEXT.toString());
  }
});

test('damage stays damage', async () => {
  const [file, entry] = [local('a.json'), central('a.json', 0)];
  const good = [file, entry, end(1, entry.length, file.length)];
  for (const parts of [[file], [file, entry], [file.subarray(3), ...good.slice(1)], [file, entry.subarray(1), good[2]], [file, entry, end(1, entry.length, 1)]]) {
    await assert.rejects(readZip(zipFile(parts)), { kind: 'damaged', message: /^backup\.zip (was cut short|has a damaged table of contents): use another copy$/ });
  }
});

/** More files than 16 bits count, all of them the same. @param {number} count */
function many (count) {
  const file = local('a.json');
  const table = Buffer.concat(Array.from({ length: count }, (_, i) => central(`${i}.json`, 0)));
  return [file, table, end(count, table.length, file.length)];
}

test('as many files as 16 bits count are read, and more without ZIP64 are named', async () => {
  assert.equal((await readZip(zipFile(many(65535)))).size, 65535);
  for (const count of [65536, 65537, 2 * 65536 + 3]) {
    await assert.rejects(readZip(zipFile(many(count))), { kind: 'usage', message: /was packed without ZIP64/ });
  }
});

test('more than 65,535 files with ZIP64 are read', async () => {
  const path = join(scratch, 'many.zip');
  execFileSync('python3', ['-c', 'import sys,zipfile\nwith zipfile.ZipFile(sys.argv[1],"w") as z:\n  for i in range(65600): z.writestr(f"{i}.json", "x")', path]);
  const entries = await readZip(zipFile([readFileSync(path)]));
  assert.equal(entries.size, 65600);
  assert.equal(await content(entries, '65599.json'), 'x');
});

test('more than 4 GiB without ZIP64 are named', async () => {
  const path = join(scratch, 'large.zip');
  for (const start of [FULL_32 + 1000, 2 * FULL_32 + 5]) {
    const entry = central('a.json', start - 500);
    writeFileSync(path, local('a.json'));
    truncateSync(path, start); // nothing but holes
    appendFileSync(path, Buffer.concat([entry, end(1, entry.length, start)]));
    const fd = openSync(path, 'r');
    const { size } = statSync(path);
    // A blob of Node.js holds less.
    const slice = (/** @type {number} */ from, /** @type {number} */ to) => {
      const bytes = Buffer.alloc(Math.max(0, Math.min(to, size) - from));
      return new Blob([bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from))]);
    };
    await assert.rejects(readZip({ name: 'large.zip', size, slice }), { kind: 'usage', message: /^large\.zip was packed without ZIP64/ });
    closeSync(fd);
    rmSync(path);
  }
});

test('the page names a file that was packed without ZIP64', inBrowser, async () => {
  const packed = join(scratch, 'page.zip');
  writeFileSync(packed, Buffer.concat(many(65540)));
  const { tab, close } = await openPage();
  const error = await open(tab, { packed });
  assert.equal(error?.kind, 'usage');
  assert.match(error?.message ?? '', /page\.zip was packed without ZIP64, which more than 65,535 files or 4 GiB need: unpack it first/);
  assert.equal(await tab.getAttribute('.notice.error', 'data-problem'), 'packed');
  await close();
});
