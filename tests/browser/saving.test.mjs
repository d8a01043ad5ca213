// Saves that go on, end early, or belong to another backup: what the page says of them, and what is there afterwards.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { closeBrowser, evidenceOf, hasChromium, inBrowser, open, openPage, servePage, verdict } from './browser.mjs';
import { Draft } from './draft.mjs';
import { sample } from './sample.mjs';

/** @typedef {import('playwright-core').Page} Page */

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-saving-'));
/** @type {Draft} */
let draft;
/** @type {Draft} */
let other;

before(() => {
  if (!hasChromium) return;
  draft = sample(join(scratch, 'archive'));
  other = new Draft(join(scratch, 'other'));
  other.finish();
});
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

describe('a save', () => {
  let url = '';
  let unserve = () => {};
  before(async () => { ({ url, unserve } = await servePage()); });
  after(() => unserve());

  /** At the point of saving into the browser's private folder, each write of which takes a while. */
  async function atSlowSave (ms = 300) {
    const { tab, close } = await openPage({ pickers: true, url });
    await tab.evaluate((ms) => {
      Reflect.set(window, 'showDirectoryPicker', () => navigator.storage.getDirectory());
      const { write } = FileSystemWritableFileStream.prototype;
      FileSystemWritableFileStream.prototype.write = async function (data) {
        await new Promise((resolve) => setTimeout(resolve, ms));
        return write.call(this, data);
      };
    }, ms);
    await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
    await verdict(tab);
    await tab.click('text=Save everything');
    return { tab, close };
  }
  const count = (/** @type {Page} */ tab) => tab.evaluate(async () => {
    let files = 0;
    const walk = async (/** @type {any} */ folder) => {
      for await (const handle of folder.values()) {
        if (handle.kind === 'directory') await walk(handle);
        else files++;
      }
    };
    await walk(await navigator.storage.getDirectory());
    return files;
  });

  test('into a folder that is stopped names the decrypted files that are there, on the page and in the report', inBrowser, async () => {
    const { tab, close } = await atSlowSave();
    await tab.click('[data-save=folder]');
    while (await count(tab) < 4) await tab.waitForTimeout(100);
    await tab.click('.save-result .task button');
    await tab.waitForSelector('.save-result .notice.partly');
    const there = await count(tab);
    assert.match(await tab.innerText('.save-result'), new RegExp(`${there} files are already there, decrypted`));
    assert.doesNotMatch(await tab.innerText('.save-result'), /Nothing/);
    await tab.click('.crumbs button');
    const { exported } = await evidenceOf(tab, scratch);
    assert.equal(exported.length, 1);
    assert.equal(exported[0].complete, false);
    assert.equal(exported[0].files.length, there);
    await close();
  });

  test('goes on in sight of the reader wherever they go, and there is one at a time', inBrowser, async () => {
    const { tab, close } = await atSlowSave(150);
    await tab.click('[data-save=folder]');
    await tab.waitForSelector('.save-result progress');
    const asks = () => tab.evaluate(() => {
      const event = new Event('beforeunload', { cancelable: true });
      dispatchEvent(event);
      return event.defaultPrevented;
    });
    await tab.click('.crumbs button');
    assert.ok(await tab.isVisible('.save-result progress'));
    assert.equal(await asks(), true, 'the browser asks before it leaves');
    await tab.click('.top-actions >> text=About');
    assert.ok(await tab.isVisible('.save-result progress'));
    await tab.selectOption('header select', 'de');
    assert.match(await tab.innerText('.save-result'), /Wird entschlüsselt und gespeichert/);
    await tab.click('.crumbs button');
    await tab.click('text=Alles speichern');
    assert.equal(await tab.locator('[data-save=zip]').isDisabled(), true);
    await tab.waitForSelector('[data-saved=whole]', { timeout: 60_000 });
    assert.equal(await asks(), false);
    await close();
  });

  test('as a ZIP that is stopped says that there is none, and leaves none', inBrowser, async () => {
    const { tab, close } = await atSlowSave();
    await tab.evaluate(() => { Reflect.set(window, 'showSaveFilePicker', async () => (await navigator.storage.getDirectory()).getFileHandle('backup.zip', { create: true })); });
    await tab.click('[data-save=zip]');
    await tab.click('.save-result .task button');
    await tab.waitForSelector('.save-result .notice.partly');
    assert.match(await tab.innerText('.save-result'), /Stopped\. No complete ZIP file was written/);
    assert.equal(await count(tab), 0);
    await close();
  });

  test('is told aloud now and then, not at each step', inBrowser, async () => {
    const { tab, close } = await atSlowSave(150);
    await tab.evaluate(() => {
      Reflect.set(window, 'spoken', 0);
      new MutationObserver((changes) => {
        const heard = changes.filter(({ target }) => /** @type {Element} */ (target.nodeType === 1 ? target : target.parentElement)?.closest('[role=status], [aria-live]'));
        Reflect.set(window, 'spoken', Reflect.get(window, 'spoken') + heard.length);
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await tab.click('[data-save=folder]');
    await tab.waitForSelector('[data-saved=whole]', { timeout: 60_000 });
    const spoken = await tab.evaluate(() => Reflect.get(window, 'spoken'));
    assert.ok(spoken >= 1 && spoken <= 4, `${spoken} times`);
    assert.equal(await tab.title(), 'Save everything, decrypted – Pryv backup');
    await close();
  });

  test('that the lock stops tells so, without a name', inBrowser, async () => {
    const { tab, close } = await atSlowSave();
    await tab.click('[data-save=folder]');
    while (await count(tab) < 4) await tab.waitForTimeout(100);
    await tab.click('.lock');
    await tab.waitForSelector('.save-result .notice.partly');
    assert.match(await tab.innerText('.save-result'), /decrypted files? lies? already in the folder/);
    await close();
  });
});

test('what is saved of one backup is no part of the report about the next', inBrowser, async () => {
  const { tab, close } = await openPage();
  await tab.evaluate(() => {
    const slow = { write: () => new Promise((resolve) => setTimeout(resolve, 1500)), close: async () => {}, abort: async () => {} };
    Reflect.set(window, 'showSaveFilePicker', async () => ({ name: 'slow.zip', getFile: async () => new File(['x'], 'slow.zip'), createWritable: async () => slow }));
  });
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  await tab.click('text=Save everything');
  await tab.click('[data-save=zip]');
  await tab.waitForSelector('.save-result progress');
  await tab.goBack();
  await tab.goBack();
  await tab.waitForSelector('.open');
  await open(tab, { folder: other.folder, privateKey: other.privateKey });
  assert.equal(await verdict(tab), 'good');
  await tab.waitForSelector('[data-saved=whole]', { timeout: 30_000 });
  await tab.evaluate(() => Reflect.deleteProperty(window, 'showSaveFilePicker'));
  assert.deepEqual((await evidenceOf(tab, scratch)).exported, []);
  await close();
});
