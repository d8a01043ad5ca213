// A storage that changes or fails under the page: what its worker makes of it. The worker's own modules, run here, for no browser
// lets a file change once it was chosen.
import assert from 'node:assert/strict';
import { createHash, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { repository, require } from './browser.mjs';
import { Draft } from './draft.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-storage-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** @type {any} */
let page;
/** @type {Draft} */
let draft;
before(async () => {
  globalThis.crypto ??= /** @type {any} */ (webcrypto);
  const entry = `export * from './archive.js'; export { loadCore, fillRandom } from './core.js'; export { DecryptError } from '../../../npm/src/errors.js';`;
  const { outputFiles } = await require('esbuild').build({
    stdin: { contents: entry, resolveDir: join(repository, 'web/src/worker'), loader: 'ts' }, bundle: true, write: false, format: 'esm', platform: 'node', logLevel: 'silent',
  });
  writeFileSync(join(scratch, 'page.mjs'), outputFiles[0].text);
  page = await import(pathToFileURL(join(scratch, 'page.mjs')).href);
  page.loadCore(readFileSync(join(repository, '.build/wasm/decryptor_wasm_bg.wasm')));
  draft = made('archive');
});

/** @param {string} name */
function made (name) {
  const draft = new Draft(join(scratch, name));
  draft.records('events/events-0001', [{ id: 'e', streamIds: ['s'], time: 1, type: 'note/txt', content: name }]);
  return draft.finish();
}

/**
 * @param {string} folder
 * @param {(path: string, turn: number) => Buffer|undefined} [instead] what a path gives when it is read again and again
 */
function source (folder, instead = () => undefined) {
  /** @type {Map<string, number>} */
  const turns = new Map();
  return page.stored({
    name: 'backup',
    list: () => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name))).map((path) => [path, statSync(join(folder, path)).size]).sort(([a], [b]) => (a < b ? -1 : 1)),
    read (/** @type {string} */ path) {
      const turn = (turns.get(path) ?? 0) + 1;
      turns.set(path, turn);
      return (async function * () { yield instead(path, turn) ?? readFileSync(join(folder, path)); })();
    },
  });
}

const unlockWith = (/** @type {string} */ key) => (/** @type {any} */ envelope) => envelope.unlockWithPrivateKey(readFileSync(key), undefined, page.fillRandom);

for (const engine of ['host', 'wasm']) {
  test(`${engine}: the archive that was expected is the one that opens, whatever a second read gives`, async () => {
    const stored = readFileSync(join(draft.folder, 'manifest.json'));
    const id = createHash('sha256').update(stored).digest('hex');
    const torn = Buffer.from(stored);
    torn[torn.length - 1] ^= 1;
    const opened = await page.openArchive(source(draft.folder, (path, turn) => (path === 'manifest.json' && turn > 1 ? torn : undefined)), { engine, unlock: unlockWith(draft.privateKey), expectId: id });
    assert.equal(opened.id, id);
    await assert.rejects(
      page.openArchive(source(draft.folder, (path) => (path === 'manifest.json' ? torn : undefined)), { engine, unlock: unlockWith(draft.privateKey), expectId: id }),
      (/** @type {any} */ error) => error.kind === 'damaged' && /not the archive that you expect/.test(error.message));
  });

  test(`${engine}: a manifest that cannot be read is no damage`, async () => {
    const failing = source(draft.folder, (path) => {
      if (path.endsWith('user-manifest.json')) throw new page.DecryptError('failed', `cannot read ${path}: the disk is gone`);
      return undefined;
    });
    await assert.rejects(page.openArchive(failing, { engine, unlock: unlockWith(draft.privateKey) }), (/** @type {any} */ error) => error.kind === 'failed' && /the disk is gone/.test(error.message));
  });
}
