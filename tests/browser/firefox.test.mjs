// The page in Firefox, driven by WebDriver BiDi: no directory picker for writing, another WebCrypto, another CSP.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { browserAt, page, require, unzip } from './browser.mjs';
import { need } from '../need/need.mjs';
import { Draft } from './draft.mjs';

const FIREFOX = browserAt('FIREFOX', ['firefox-esr', 'firefox']);
const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-firefox-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

test('opens, verifies, shows and saves in Firefox', { timeout: 180_000, ...need('firefox', FIREFOX !== undefined) }, async () => {
  const draft = new Draft(join(scratch, 'archive'));
  draft.records('events/events-0001', Array.from({ length: 500 }, (_, i) => ({ id: `e${i}`, streamIds: ['s'], time: i, type: 'mass/kg', content: i })));
  draft.attachment('big', Buffer.alloc(3_000_000, 'pryv'));
  draft.finish();
  const puppeteer = require('puppeteer-core');
  const browser = await puppeteer.launch({
    browser: 'firefox', executablePath: FIREFOX, headless: true,
    extraPrefsFirefox: { 'browser.download.dir': scratch, 'browser.download.folderList': 2, 'browser.download.useDownloadDir': true, 'browser.helperApps.neverAsk.saveToDisk': 'application/zip' },
  });
  try {
    const tab = await browser.newPage();
    /** @type {string[]} */
    const requests = [];
    tab.on('request', (/** @type {any} */ request) => requests.push(request.url()));
    await tab.goto(pathToFileURL(page).href);
    // WebDriver gives a folder to no input: the packed archive it is.
    const packed = join(scratch, 'archive.tar');
    require('node:child_process').execFileSync('tar', ['-cf', packed, '-C', scratch, 'archive']);
    await (await tab.waitForSelector('[data-input=packed]')).uploadFile(packed);
    await (await tab.waitForSelector('[data-input=key]', { timeout: 60_000 })).uploadFile(draft.privateKey);
    await (await tab.waitForSelector('.key-card button[type=submit]')).click();
    await tab.waitForSelector('[data-verdict]:not([data-verdict=running])', { timeout: 60_000 });
    assert.equal(await tab.$eval('[data-verdict]', (/** @type {HTMLElement} */ element) => element.dataset.verdict), 'good');
    await tab.click('tr[data-user] th button');
    await tab.waitForSelector('[data-count="500"]', { timeout: 60_000 });
    await tab.click('[data-save-user]');
    await (await tab.waitForSelector('[data-save=zip]')).click();
    await tab.waitForSelector('[data-saved=whole]', { timeout: 60_000 });
    let zip;
    for (let turn = 0; turn < 100 && zip === undefined; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const names = readdirSync(scratch);
      if (!names.some((name) => name.endsWith('.part'))) zip = names.find((name) => name.endsWith('.zip'));
    }
    unzip(join(scratch, zip ?? ''), join(scratch, 'out'));
    assert.ok(readFileSync(join(scratch, 'out/users/u1/attachments/big')).equals(Buffer.alloc(3_000_000, 'pryv')));
    assert.deepEqual(requests.filter((url) => !/^(file|blob|data):/.test(url)), []);
  } finally {
    await browser.close();
  }
});
