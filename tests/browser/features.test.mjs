// Features of the page beside opening a folder and saving a ZIP.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { closeBrowser, download, evidenceOf, hasChromium, inBrowser, open, openPage, servePage, unzip, verdict } from './browser.mjs';
import { Draft } from './draft.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-features-'));
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const DAY = 86_400;
/** @type {Draft} */
let draft;

before(() => {
  if (!hasChromium) return;
  draft = new Draft(join(scratch, 'archive'));
  draft.records('streams', [{ id: 'body', name: 'Body', parentId: null }, { id: 'weight', name: 'Weight', parentId: 'body' }, { id: 'diary', name: 'Diary', parentId: null }]);
  draft.records('events/events-0001', [
    ...Array.from({ length: 100 }, (_, i) => ({ id: `w${i}`, streamIds: ['weight'], time: 1_700_000_000 + i * DAY, endTime: 1_700_000_000 + i * DAY, type: 'mass/kg', content: 70 + Math.sin(i / 10) })),
    ...Array.from({ length: 50 }, (_, i) => ({ id: `n${i}`, streamIds: ['diary'], time: 1_700_000_000 + i * 2 * DAY, type: 'note/txt', content: `Day ${i}: «Émile» wrote "hello"` })),
    { id: 'h', headId: 'n0', streamIds: ['diary'], time: 1_700_000_000, type: 'note/txt', content: 'first wording' },
    { id: 't', streamIds: ['diary'], time: 1_700_000_000, type: 'note/txt', content: 'in the bin', trashed: true },
    { id: 'd', deleted: 1_700_000_000 },
    { id: 'p', streamIds: ['body'], time: 1_700_000_001, type: 'picture/attached', attachments: [{ id: 'png', fileName: 'dot.png', type: 'image/png', size: PNG.length }] },
    { id: 'hf', streamIds: ['weight'], time: 1_700_000_000, type: 'series:mass/kg', content: {} },
  ]);
  draft.records('series/series', Array.from({ length: 4 }, (_, k) => ({ measurement: 'event.hf', namespace: 'user.alice', points: Array.from({ length: 50_000 }, (_, i) => ({ time: (k * 50_000 + i) * 10, value: Math.sin(i / 500) * 5 + (k === 2 && i === 777 ? 100 : 0) })) })));
  draft.records('audit/audit-0001', [
    { eventid: 'a1', head_id: null, stream_ids: 'access-x action-events.get ..', time: 1_700_000_000, type: 'audit-log/pryv-api', content: { action: 'events.get', source: { name: 'http', ip: '10.0.0.1' }, query: {} } },
    { eventid: 'a2', headId: null, streamIds: 'access-y action-auth.login ..', time: 1_700_000_100, type: 'audit-log/pryv-api', content: '{"action":"auth.login","source":{"name":"http","ip":"10.0.0.2"}}' },
  ]);
  draft.attachment('png', PNG);
  draft.attachment('big', Buffer.alloc(5_000_000, 'pryv'));
  draft.finish();
});
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

const pack = {
  'a zip': (/** @type {string} */ to) => execFileSync('python3', ['-c', 'import shutil,sys\nshutil.make_archive(sys.argv[1],"zip",sys.argv[2],"archive")', to.replace(/\.zip$/, ''), scratch]),
  'a tar': (/** @type {string} */ to) => execFileSync('tar', ['-cf', to, '-C', scratch, 'archive']),
};
for (const [what, make] of Object.entries(pack)) {
  test(`${what} of the folder opens, and a cut one is refused in a sentence`, inBrowser, async () => {
    const file = join(scratch, `packed.${what.slice(2)}`);
    make(file);
    const { tab, close } = await openPage();
    assert.equal(await open(tab, { packed: file, privateKey: draft.privateKey }), undefined);
    assert.equal(await verdict(tab), 'good');
    await tab.click('text=Lock');
    const cut = join(scratch, `cut.${what.slice(2)}`);
    writeFileSync(cut, readFileSync(file).subarray(0, 3_000));
    const error = await open(tab, { packed: cut });
    assert.equal(error?.kind, 'damaged');
    assert.match(error?.message ?? '', /cut short|damaged/);
    await close();
  });
}

for (const [what, dropped] of Object.entries({ folder: () => draft.folder, zip: () => join(scratch, 'packed.zip') })) {
  test(`a ${what} and then a key are dropped onto the page`, inBrowser, async () => {
    const { tab, context, close } = await openPage();
    const session = await context.newCDPSession(tab);
    const drop = async (/** @type {string} */ onto, /** @type {string} */ file) => {
      const box = await tab.locator(onto).boundingBox();
      assert.ok(box);
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop'])) {
        await session.send('Input.dispatchDragEvent', { type, x, y, data: { items: [], files: [file], dragOperationsMask: 1 } });
      }
    };
    if (what === 'zip') pack['a zip'](dropped());
    await drop('.card.drop', dropped());
    await tab.waitForSelector('.key-card');
    await drop('.key-card', draft.privateKey);
    await tab.click('.key-card button[type=submit]');
    assert.equal(await verdict(tab), 'good');
    await close();
  });
}

test('filters, text, versions, dates and the audit log', inBrowser, async () => {
  const { tab, complaints, close } = await openPage();
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  const count = async (/** @type {number} */ due) => {
    await tab.waitForSelector(`[data-count="${due}"]`, { timeout: 5000 }).catch(async () => assert.fail(`${await tab.getAttribute('[data-count]', 'data-count')} found, not ${due}`));
  };
  await count(152);
  await tab.selectOption('[name=stream]', 'body');
  await count(102);
  await tab.selectOption('[name=stream]', 'diary');
  await count(50);
  await tab.check('[name=trashed]');
  await count(51);
  await tab.check('[name=history]');
  await count(52);
  await tab.selectOption('[name=stream]', '');
  await tab.check('[name=deleted]');
  await count(155);
  await tab.click('text=Reset');
  await tab.fill('[name=from]', '2023-11-15');
  await tab.fill('[name=to]', '2023-11-15');
  await count(1);
  await tab.click('text=Reset');
  await tab.fill('[name=text]', 'WROTE "HELLO"');
  await tab.press('[name=text]', 'Enter');
  await count(50);
  await tab.click('text=Newest first');
  await count(50);
  await tab.click('.v-row[data-row="0"]');
  await tab.waitForSelector('dialog .json');
  assert.match(await tab.innerText('dialog'), /1 other version/);
  await tab.keyboard.press('Escape');
  await tab.click('text=Reset');
  await tab.check('[name=attached]');
  await count(1);
  await tab.click('.v-row[data-row="0"]');
  await tab.click('[data-preview=png]');
  await tab.waitForFunction(() => { const image = /** @type {HTMLImageElement|null} */ (document.querySelector('img.preview')); return image?.naturalWidth === 1; });
  await download(tab, '[data-save-attachment=png]', join(scratch, 'dot.png'));
  assert.deepEqual(readFileSync(join(scratch, 'dot.png')), PNG);
  await tab.keyboard.press('Escape');
  await tab.click('[data-tab=charts]');
  await tab.waitForSelector('[data-points="200000"]');
  assert.match(await tab.innerText('.chart'), /least and its greatest/);
  assert.match(await tab.innerText('.chart'), /to 10[0-9.]+\./, 'a single spike among 200,000 points is drawn');
  await tab.click('[aria-label="Zoom in"]');
  await tab.selectOption('[data-charts]', { index: 1 });
  await tab.waitForSelector('[data-points="100"]');
  await tab.click('[data-tab=streams]');
  await tab.click('[data-stream=body]');
  await tab.click('text=Show its events');
  await count(102);
  await tab.click('[data-tab=audit]');
  await tab.waitForSelector('.v-row:has-text("auth.login")');
  assert.match(await tab.innerText('.v-row[data-row="0"]'), /10\.0\.0\.2/);
  assert.deepEqual(complaints, []);
  await close();
});

test('hits of a search show while it goes on; another question ends it', inBrowser, async () => {
  const many = new Draft(join(scratch, 'many'));
  many.records('events/events-0001', Array.from({ length: 120_000 }, (_, i) => ({ id: `e${i}`, streamIds: ['s'], time: i, type: 'note/txt', content: `${i % 3 === 0 ? 'found' : 'other'} ${'words of a diary '.repeat(20)}` })));
  many.finish();
  const { tab, complaints, close } = await openPage();
  await open(tab, { folder: many.folder, privateKey: many.privateKey });
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="120000"]');
  await tab.evaluate(() => {
    new MutationObserver(() => {
      const searching = document.querySelector('.table-card .task') !== null;
      if (searching && document.querySelector('.v-row[data-row="0"]')?.textContent?.includes('found')) Reflect.set(window, 'early', true);
    }).observe(document.body, { childList: true, subtree: true });
  });
  await tab.fill('[name=text]', 'FOUND');
  await tab.press('[name=text]', 'Enter');
  await tab.waitForSelector('[data-count="40000"]');
  assert.equal(await tab.evaluate(() => Reflect.get(window, 'early')), true);
  await tab.fill('[name=text]', 'diary');
  await tab.press('[name=text]', 'Enter');
  await tab.click('text=Reset');
  await tab.waitForSelector('[data-count="120000"]');
  await tab.waitForTimeout(300);
  assert.equal(await tab.getAttribute('[data-count]', 'data-count'), '120000');
  assert.equal(await tab.locator('.table-card .task').count(), 0);
  await tab.evaluate(() => { const list = document.querySelector('.v-table'); if (list !== null) list.scrollTop = list.scrollHeight; });
  await tab.waitForSelector('.v-row[data-row="119999"]:has-text("found")');
  assert.deepEqual(complaints, []);
  await close();
});

test('the evidence report names what was checked and saved, with hashes', inBrowser, async () => {
  const { tab, close } = await openPage();
  const id = createHash('sha256').update(readFileSync(join(draft.folder, 'manifest.json'))).digest('hex');
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey, expectId: id });
  assert.equal(await verdict(tab), 'good');
  await tab.click('tr[data-user] .act button');
  assert.equal(await tab.isChecked('[name=manifest]'), false, "one user's data does not name the others unless asked for");
  const zip = join(scratch, 'user.zip');
  await download(tab, '[data-save=zip]', zip);
  await tab.waitForSelector('[data-saved=whole]');
  await tab.click('.crumbs button');
  const report = await evidenceOf(tab, scratch);
  unzip(zip, join(scratch, 'user'));
  assert.equal(report.archive.id, id);
  assert.equal(report.archive.idExpected, id);
  assert.equal(report.verification.verdict, 'good');
  assert.equal(report.verification.exitCode, 0);
  assert.ok(report.exported[0].files.length >= 10);
  for (const { path, sha256, size } of report.exported[0].files) {
    const content = readFileSync(join(scratch, 'user', path));
    assert.equal(createHash('sha256').update(content).digest('hex'), sha256, path);
    assert.equal(content.length, size, path);
  }
  await close();
});

test('the code inside the page opens the same', inBrowser, async () => {
  const { tab, complaints, close } = await openPage();
  await tab.setInputFiles('[data-input=folder]', draft.folder);
  await tab.waitForSelector('.key-card');
  await tab.click('.top-actions >> text=About');
  assert.equal(await tab.getAttribute('[data-engine]', 'data-engine'), 'host', 'the browser passes the self test');
  await tab.click('[data-engine-switch]');
  await tab.waitForSelector('[data-engine=wasm]');
  await tab.click('.crumbs button');
  assert.equal(await tab.locator('.key-card').count(), 0, 'the files were with the worker that ended');
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  assert.equal(await verdict(tab), 'good');
  await tab.click('text=Save everything');
  await download(tab, '[data-save=zip]', join(scratch, 'wasm.zip'));
  await tab.waitForSelector('[data-saved=whole]');
  unzip(join(scratch, 'wasm.zip'), join(scratch, 'wasm'));
  assert.ok(readFileSync(join(scratch, 'wasm/users/u1/attachments/big')).equals(Buffer.alloc(5_000_000, 'pryv')));
  assert.deepEqual(complaints, []);
  await close();
});

describe('saving into a folder, with the page served from a site', () => {
  let url = '';
  let unserve = () => {};
  before(async () => { ({ url, unserve } = await servePage()); });
  after(() => unserve());

  /** The page at the point of saving. No test can operate the dialog of the picker: what it gives here is a real folder, the browser's private one. */
  async function atSave (folder = draft.folder, privateKey = draft.privateKey) {
    const { tab, complaints, close } = await openPage({ pickers: true, url });
    await tab.evaluate(() => { Reflect.set(window, 'showDirectoryPicker', () => navigator.storage.getDirectory()); });
    await open(tab, { folder, privateKey });
    await verdict(tab);
    await tab.click('text=Save everything');
    return { tab, complaints, close };
  }

  /** @param {import('playwright-core').Page} tab @returns {Promise<Record<string, string>>} digests by path */
  const filesIn = (tab) => tab.evaluate(async () => {
    /** @type {Record<string, string>} */
    const found = {};
    const walk = async (/** @type {any} */ folder, /** @type {string} */ prefix) => {
      for await (const [name, handle] of folder.entries()) {
        if (handle.kind === 'directory') await walk(handle, `${prefix}${name}/`);
        else found[prefix + name] = [...new Uint8Array(await crypto.subtle.digest('SHA-256', await (await handle.getFile()).arrayBuffer()))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      }
    };
    await walk(await navigator.storage.getDirectory(), '');
    return found;
  });
  const big = () => createHash('sha256').update(Buffer.alloc(5_000_000, 'pryv')).digest('hex');

  test('every file comes out, and a second save goes into a folder of its own', inBrowser, async () => {
    const { tab, complaints, close } = await atSave();
    await tab.click('text=Save into a folder');
    await tab.waitForSelector('[data-saved=whole]');
    const first = await filesIn(tab);
    const folder = Object.keys(first)[0].split('/')[0];
    assert.equal(first[`${folder}/users/u1/attachments/big`], big());
    assert.ok(`${folder}/manifest.json` in first && `${folder}/users/u1/events/events-0001.jsonl.gz` in first);
    await tab.click('text=Save into a folder');
    await tab.waitForSelector(`[data-saved=whole]:has-text("${folder}-2")`);
    const second = await filesIn(tab);
    assert.equal(Object.keys(second).length, 2 * Object.keys(first).length);
    for (const [path, digest] of Object.entries(first)) assert.equal(second[path.replace(folder, `${folder}-2`)], digest, path);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a save that stops leaves the files that are whole, and nothing of the one it stopped at', inBrowser, async () => {
    const { tab, close } = await atSave();
    const last = await tab.evaluate(async () => {
      const { getFileHandle } = FileSystemDirectoryHandle.prototype;
      const made = [];
      FileSystemDirectoryHandle.prototype.getFileHandle = function (name, options) {
        if (made.length === 4) throw new DOMException('the disk is full', 'QuotaExceededError');
        made.push(name);
        return getFileHandle.call(this, name, options);
      };
      Reflect.set(window, 'made', made);
      return made;
    });
    assert.deepEqual(last, []);
    await tab.click('text=Save into a folder');
    await tab.waitForSelector('.save-result .error');
    assert.match(await tab.innerText('.save-result'), /the disk is full/);
    assert.match(await tab.innerText('.save-result'), /4 files are already there, decrypted/);
    const made = await tab.evaluate(() => Reflect.get(window, 'made'));
    assert.equal(made.length, 4);
    assert.deepEqual(Object.keys(await filesIn(tab)).map((path) => path.split('/').at(-1)).sort(), made.sort());
    await close();
  });

  test('two files that would be one on the disk do not overwrite each other', inBrowser, async () => {
    const twins = new Draft(join(scratch, 'twins'));
    twins.attachment('Twin', Buffer.from('large'));
    twins.attachment('twin', Buffer.from('small'));
    twins.finish();
    const { tab, close } = await atSave(twins.folder, twins.privateKey);
    await tab.click('text=Save into a folder');
    await tab.waitForSelector('[data-saved=whole]');
    const found = await filesIn(tab);
    assert.equal(Object.keys(found).filter((path) => /twin$/i.test(path)).length, 2, 'this disk tells them apart');
    await tab.evaluate(() => {
      // A disk that does not.
      for (const name of /** @type {const} */ (['getDirectoryHandle', 'getFileHandle'])) {
        const { [name]: get } = /** @type {any} */ (FileSystemDirectoryHandle.prototype);
        Reflect.set(FileSystemDirectoryHandle.prototype, name, function (/** @type {string} */ entry, /** @type {any} */ options) { return get.call(this, entry.toLowerCase(), options); });
      }
    });
    await tab.click('text=Save into a folder');
    await tab.waitForSelector('.save-result .error');
    assert.match(await tab.innerText('.save-result'), /attachments\/Twin and users\/u1\/attachments\/twin would overwrite each other/);
    assert.equal(Object.keys(await filesIn(tab)).length, Object.keys(found).length, 'nothing was written');
    await close();
  });

  test('Cancel stops a save: what is there is whole', inBrowser, async () => {
    const { tab, close } = await atSave();
    await tab.evaluate(() => {
      // A slow disk: there is time to press the button.
      const { write } = FileSystemWritableFileStream.prototype;
      FileSystemWritableFileStream.prototype.write = async function (data) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return write.call(this, data);
      };
    });
    await tab.click('text=Save into a folder');
    await tab.click('.save-result .task button');
    await tab.waitForSelector('.save-result .notice.partly');
    assert.match(await tab.innerText('.save-result'), /Stopped/);
    const found = await filesIn(tab);
    assert.ok(!Object.keys(found).some((path) => path.endsWith('manifest.json') || path.endsWith('/big')), Object.keys(found).join());
    for (const digest of Object.values(found)) assert.notEqual(digest, createHash('sha256').digest('hex'), 'no file is empty');
    await close();
  });
});

test('French and German are complete', inBrowser, async () => {
  for (const [code, title] of [['fr', 'Ouvrir une sauvegarde'], ['de', 'Eine Sicherung öffnen']]) {
    const { tab, close } = await openPage({ locale: code });
    assert.equal(await tab.innerText('h1'), title);
    assert.equal(await tab.getAttribute('html', 'lang'), code);
    const error = await open(tab, { folder: join(draft.folder, 'users/u1/events') });
    assert.equal(error?.kind, 'usage');
    assert.match(error?.message ?? '', code === 'fr' ? /Choisissez le dossier/ : /Wählen Sie den Ordner/, 'what to do is said in the language of the reader');
    await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
    await verdict(tab);
    assert.doesNotMatch(await tab.innerText('main'), /\b(The|of the|users|files)\b/);
    await tab.click('.lock');
    const lacking = join(scratch, `lacking-${code}`);
    cpSync(draft.folder, lacking, { recursive: true });
    rmSync(join(lacking, 'users/u1/attachments/big'));
    await open(tab, { folder: lacking, privateKey: draft.privateKey });
    assert.equal(await verdict(tab), 'bad');
    assert.match(await tab.innerText('.findings'), code === 'fr' ? /big figure dans le manifeste, mais n’est pas là/ : /big steht im Manifest, ist aber nicht da/);
    await close();
  }
});
