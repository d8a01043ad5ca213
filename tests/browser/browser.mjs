// A real Chromium with the page open from file://, and what the tests do with it.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fixtures, need, needFixtures, needs } from '../need/need.mjs';

const here = dirname(fileURLToPath(import.meta.url));
export const repository = join(here, '../..');
export const require = createRequire(join(repository, 'web/package.json'));
export const page = process.env.PAGE ?? join(repository, 'web/dist/decrypt-backup.html');
export const shots = join(repository, '.build/screenshots');
export const PASSPHRASE = 'correct horse bättery 🔋 staple';
export const KEY_PASSPHRASE = 'peer-key-pass';
export const archive = (/** @type {string} */ name) => join(fixtures, 'archives', name);
export const key = (/** @type {string} */ name) => join(fixtures, 'keys', name);

/**
 * Where a browser is: what the environment says, else the first of these names that is on the PATH.
 * @param {string} variable
 * @param {string[]} names
 */
export function browserAt (variable, names) {
  const given = process.env[variable];
  if (given !== undefined && given !== '') return existsSync(given) ? given : undefined;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((place) => existsSync(place));
}

const CHROMIUM = browserAt('CHROMIUM', ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']);
export const hasChromium = CHROMIUM !== undefined;
/** Options of a test that needs the browser, and of one that needs the fixtures too. */
export const inBrowser = needs(need('chromium', hasChromium), need('python', spawnSync('python3', ['--version']).status === 0));
export const withFixtures = needs(inBrowser, needFixtures());

/** @type {Promise<import('playwright-core').Browser>|undefined} */
let browser;

/** The browser, started once. */
export function chromium () {
  const { chromium } = require('playwright-core');
  browser ??= chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
  return /** @type {Promise<import('playwright-core').Browser>} */ (browser);
}

export async function closeBrowser () {
  await (await browser)?.close();
  browser = undefined;
  free.clear();
}

/**
 * The page, opened from file://. Every request and every complaint of the page is written down.
 * @param {import('playwright-core').BrowserContextOptions & { pickers?: boolean, url?: string }} [options] `pickers`: leave the
 *   browser's own file dialogs in place, which no test can operate
 */
export async function openPage ({ pickers = false, url = pathToFileURL(page).href, ...options } = {}) {
  const context = await (await chromium()).newContext({ locale: 'en-GB', timezoneId: 'UTC', acceptDownloads: true, ...options });
  const tab = await context.newPage();
  if (!pickers) {
    await tab.addInitScript(() => {
      for (const name of ['showDirectoryPicker', 'showSaveFilePicker', 'showOpenFilePicker']) Reflect.deleteProperty(window, name);
    });
  }
  return { ...await visit(tab, url), context, close: () => context.close() };
}

/**
 * Opens the page in a tab, in the place of whatever is there; after `leave` nothing more is written down.
 * @param {import('playwright-core').Page} tab
 * @param {string} url
 */
async function visit (tab, url) {
  /** @type {string[]} */
  const requests = [];
  /** @type {string[]} */
  const complaints = [];
  const onRequest = (/** @type {import('playwright-core').Request} */ request) => { requests.push(request.url()); };
  const onMessage = (/** @type {import('playwright-core').ConsoleMessage} */ message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  };
  const onError = (/** @type {Error} */ error) => { complaints.push(String(error)); };
  tab.context().on('request', onRequest);
  tab.on('console', onMessage).on('pageerror', onError);
  await tab.goto(url);
  await tab.evaluate(() => new MutationObserver((changes) => {
    for (const { target } of changes) {
      const done = /** @type {Element} */ (target).getAttribute('value');
      if (Number(done) > 1) console.error(`the progress is ${done} of 1`);
    }
  }).observe(document, { subtree: true, attributeFilter: ['value'] }));
  await tab.waitForSelector('h1');
  const leave = () => {
    tab.context().off('request', onRequest);
    tab.off('console', onMessage).off('pageerror', onError);
  };
  return { tab, requests, complaints, leave };
}

/** Tabs whose tests have ended, by the options of their contexts. @type {Map<string, import('playwright-core').Page[]>} */
const free = new Map();

/**
 * The same in a tab whose test has ended, where there is one: a new tab costs more than the page and most tests of it, and the page keeps
 * nothing from one load to the next. Not for a test that changes its tab (routes, permissions, sizes).
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function openPageAgain (options = {}) {
  const kind = JSON.stringify(options);
  const left = free.get(kind)?.pop();
  const { tab, requests, complaints, leave } = left === undefined ? await openPage(options) : await visit(left, pathToFileURL(page).href);
  const close = async () => {
    leave();
    free.set(kind, [...free.get(kind) ?? [], tab]);
  };
  return { tab, requests, complaints, close };
}

/**
 * Chooses a backup and gives the key; waits for the archive or for an error.
 * @param {import('playwright-core').Page} tab
 * @param {{ folder?: string, packed?: string, privateKey?: string, keyText?: string, passphrase?: string, expectId?: string, signer?: string,
 *   confirm?: boolean, at?: string }} what `confirm`: that a backup is not encrypted, which is done unless it is false
 * @returns {Promise<{ kind: string, message: string }|undefined>} the error; of a backup that is not encrypted, why it has to be confirmed
 */
export async function open (tab, { folder, packed, privateKey, keyText, passphrase, expectId, signer, confirm = true, at }) {
  if (folder !== undefined) await tab.setInputFiles('[data-input=folder]', folder);
  else await tab.setInputFiles('[data-input=packed]', /** @type {string} */ (packed));
  await tab.waitForSelector('.key-card, .notice.error');
  const early = await errorOf(tab);
  if (early !== undefined) return early;
  if (privateKey !== undefined && await tab.locator('[data-input=key]').count() > 0) {
    await tab.setInputFiles('[data-input=key]', privateKey);
    await tab.waitForSelector('.key-card button[type=submit], .notice.error');
  }
  if (keyText !== undefined) {
    await tab.click('.key-card details:has(textarea) summary');
    await tab.fill('[data-input=key-text]', keyText);
    await tab.click('.key-card details:has(textarea) button');
    await tab.waitForSelector('.key-card button[type=submit], .notice.error');
  }
  if (at !== undefined) await tab.selectOption('.key-card [data-runs]', at);
  const field = tab.locator('[name=passphrase]');
  if (passphrase !== undefined && await field.count() > 0) await field.fill(passphrase);
  for (const [name, value] of Object.entries({ expect: expectId, signer })) {
    if (value === undefined) continue;
    // The card may be made anew meanwhile, with the field folded away again.
    for (let tries = 0, filled = false; !filled; tries += 1) {
      if (!await tab.isVisible(`[name=${name}]`)) await tab.click(`.key-card details:has([name=${name}]) summary`);
      filled = await tab.fill(`[name=${name}]`, value, { timeout: 3000 }).then(() => true, (error) => {
        if (tries === 9) throw error;
        return false;
      });
    }
  }
  if (confirm && await tab.locator('[name=cleartext]').count() > 0) await tab.check('[name=cleartext]');
  const refused = await errorOf(tab);
  if (refused !== undefined) return refused;
  const submit = tab.locator('.key-card button[type=submit]');
  if (await submit.count() === 0) return { kind: 'key', message: 'the page asks for a private key' };
  await submit.click();
  await tab.waitForSelector('[data-verdict], .notice.error, [name=cleartext][aria-invalid=true]');
  if (await tab.locator('[name=cleartext][aria-invalid=true]').count() > 0) return { kind: 'damaged', message: await tab.innerText('[data-cleartext]') };
  return errorOf(tab);
}

/** @param {import('playwright-core').Page} tab */
export async function errorOf (tab) {
  const box = tab.locator('.notice.error');
  if (await box.count() === 0) return undefined;
  return { kind: await box.getAttribute('data-kind') ?? '', message: await box.innerText() };
}

/**
 * The verdict, when the check has ended.
 * @param {import('playwright-core').Page} tab
 */
export async function verdict (tab) {
  await tab.waitForSelector('[data-verdict]:not([data-verdict=running])', { timeout: 120_000 });
  return tab.getAttribute('[data-verdict]', 'data-verdict');
}

/**
 * Clicks something that leads to a download.
 * @param {import('playwright-core').Page} tab
 * @param {string} selector
 * @param {string} to
 */
export async function download (tab, selector, to) {
  const [file] = await Promise.all([tab.waitForEvent('download', { timeout: 120_000 }), tab.click(selector)]);
  await file.saveAs(to);
  return file.suggestedFilename();
}

/** @param {import('playwright-core').Page} tab */
export async function evidenceOf (tab, scratch) {
  await tab.click('text="Evidence report"');
  const file = join(scratch, `report-${Date.now()}.json`);
  await download(tab, '[data-report=json]', file);
  await tab.click('.crumbs button');
  return JSON.parse(readFileSync(file, 'utf8'));
}

/**
 * @param {import('playwright-core').Page} tab
 * @param {string} name
 */
export async function shoot (tab, name) {
  mkdirSync(shots, { recursive: true });
  await tab.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

/**
 * The files of a zip, through Python's reader: not the code that wrote it.
 * @param {string} zip
 * @param {string} to
 */
export function unzip (zip, to) {
  execFileSync('python3', ['-c', 'import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nz.extractall(sys.argv[2])', zip, to]);
}

/** The page from a site; `unserve` ends that. */
export async function servePage () {
  const server = createServer((request, response) => { response.setHeader('content-type', 'text/html'); response.end(readFileSync(page)); });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}/`, unserve: () => { server.close(); } };
}
