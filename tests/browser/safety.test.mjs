// Hostile content stays text, nothing leaves the page, and everybody can use it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { closeBrowser, download, hasChromium, inBrowser, open, openPage, require, shoot, verdict } from './browser.mjs';
import { Draft } from './draft.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-safety-'));
const EVIL = '<img src="https://evil.example/x.png" onerror="window.pwned=1"><script>window.pwned=1</script><form action="https://evil.example"><input name=a></form>';
const BIDI = 'invoice\u202Efdp.exe';
/** @type {Draft} */
let hostile;

before(() => {
  if (!hasChromium) return;
  hostile = new Draft(join(scratch, 'hostile'), { username: `al\u202Eice${EVIL}` });
  hostile.records('streams', [{ id: EVIL, name: EVIL, parentId: null }, { id: 'loop', name: 'loop', parentId: 'loop' }, { id: 'a', name: 'A', parentId: 'b' }, { id: 'b', name: 'B', parentId: 'a' }, { id: '__proto__', name: '__proto__', parentId: 'constructor' }]);
  hostile.records('accesses', [{ id: 'x', name: EVIL, type: EVIL, token: 'secret-token-1', deviceName: EVIL, permissions: [{ streamId: EVIL, level: EVIL }, { feature: EVIL, setting: EVIL }, null] }]);
  hostile.records('profile', [{ id: EVIL, data: { [EVIL]: EVIL } }]);
  hostile.records('account', [{ passwords: [{ hash: 'secret-hash-1' }], storeKeyValues: [{ key: EVIL, value: EVIL }], accountFields: [{ field: EVIL, value: EVIL, time: 1 }, null, { field: '__proto__', value: {} }] }]);
  hostile.records('events/events-0001', [
    { id: 'e1', streamIds: [EVIL], time: 1, type: EVIL, content: EVIL, description: BIDI, attachments: [{ id: 'svg', fileName: `${BIDI}.svg`, type: 'image/svg+xml', size: 1 }, { id: 'html', fileName: '../../con.html', type: 'text/html', size: 1 }] },
    { id: 'e2', streamIds: ['loop'], time: 2, type: 'note/txt', content: '=HYPERLINK("https://evil.example";"x")', description: '+1+1' },
    { id: 'e3', streamIds: ['loop'], time: 1e300, type: 'note/txt', content: '\t@SUM(1)' },
    { id: 'e4', streamIds: 'no list', time: 'no number', type: 7, content: { toString: 1, __proto__: { polluted: true } }, attachments: [null, { id: {} }] },
    { id: 'e5', streamIds: ['loop'], time: -1e9, type: 'mass/kg', content: -5 },
    { id: 'e6', streamIds: ['loop'], time: 3, type: 'note/txt', content: `zero\u200Bwidth \u0007 ${'x'.repeat(300_000)}` },
    '{"id":"e7","streamIds":["loop"],"time":4,"type":"count/generic","content":12345678901234567890.5}',
  ]);
  hostile.records('series/series', [{ measurement: EVIL, points: [{ time: 0, [EVIL]: 1 }, { time: 'x', value: 2 }, null] }, { measurement: 'event.e5', namespace: EVIL, points: [{ time: 0, value: 1 }, { time: 1000, value: 2 }] }]
    .map((line) => ({ ...line, points: line.points.filter((point) => point !== null) })));
  hostile.records('audit/audit-0001', [{ eventid: EVIL, stream_ids: `access-${EVIL} action-events.get ..`, time: 5, type: EVIL, content: JSON.stringify({ action: EVIL, source: { name: EVIL, ip: BIDI }, query: { [EVIL]: EVIL } }) }, { content: 'no json', time: null }]);
  hostile.attachment('svg', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="parent.pwned=1"><script>parent.pwned=1</script><image href="https://evil.example/y.png"/></svg>'));
  hostile.attachment('html', Buffer.from(`<html><body>${EVIL}</body></html>`));
  hostile.finish();
});
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

test('a hostile archive is shown as text, and no request leaves the page', inBrowser, async () => {
  const { tab, requests, complaints, close } = await openPage();
  await open(tab, { folder: hostile.folder, privateKey: hostile.privateKey });
  assert.equal(await verdict(tab), 'good');
  assert.ok((await tab.innerText('main')).includes('U+202E'), 'a direction override is made visible');
  assert.doesNotMatch(await tab.title() + tab.url(), /alice|u1|evil/);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="7"]');
  for (let row = 0; row < 7; row++) {
    await tab.click(`.v-row[data-row="${row}"]`);
    await tab.waitForSelector('dialog .json');
    for (const preview of await tab.locator('[data-preview]').all()) {
      await preview.click();
      await tab.waitForTimeout(200);
    }
    await tab.keyboard.press('Escape');
  }
  for (const name of ['charts', 'streams', 'accesses', 'audit', 'account']) {
    await tab.click(`[data-tab=${name}]`);
    await tab.waitForTimeout(300);
    assert.doesNotMatch(await tab.innerText('main'), /secret-(token|hash)-1/, 'tokens and hashes are not shown');
  }
  await tab.click('text=Printable summary');
  await tab.click('.crumbs button');
  await tab.waitForSelector('[role=tablist]');
  const state = await tab.evaluate(() => ({ pwned: Reflect.get(window, 'pwned'), images: document.images.length, forms: document.querySelectorAll('form[action]').length, polluted: Reflect.get({}, 'polluted'),
    stored: localStorage.length + sessionStorage.length, history: JSON.stringify(history.state) }));
  assert.deepEqual({ ...state, history: undefined }, { pwned: undefined, images: 0, forms: 0, polluted: undefined, stored: 0, history: undefined });
  assert.doesNotMatch(state.history, /[a-z]{3}/, 'the history holds no private data');
  assert.deepEqual(requests.filter((url) => !/^(file|blob|data):/.test(url)), []);
  assert.deepEqual(complaints, []);
  await close();
});

test('CSV is safe for spreadsheets, JSON keeps every digit, file names are made safe', inBrowser, async () => {
  const { tab, close } = await openPage();
  await open(tab, { folder: hostile.folder, privateKey: hostile.privateKey });
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="7"]');
  const csv = join(scratch, 'events.csv');
  const name = await download(tab, '[data-export=csv]', csv);
  assert.doesNotMatch(name, /[<>:"/\\|?*\u202e]/);
  const text = readFileSync(csv, 'utf8');
  assert.ok(text.includes(`"'=HYPERLINK(""https://evil.example"";""x"")"`), text);
  assert.ok(text.includes(",'+1+1,"), text);
  assert.ok(text.includes("'\t@SUM(1)"), text);
  assert.match(text, /mass\/kg,loop,-5,/, 'a negative number stays one');
  for (const cell of text.split(/\r\n/).flatMap((line) => line.split(','))) assert.doesNotMatch(cell, /^"?[=@\t]/, cell);
  const json = join(scratch, 'events.json');
  await download(tab, '[data-export=json]', json);
  assert.equal(JSON.parse(readFileSync(json, 'utf8')).length, 7);
  assert.ok(readFileSync(json, 'utf8').includes('12345678901234567890.5'));
  await tab.check('[name=attached]');
  await tab.waitForSelector('[data-count="2"]');
  await tab.click('.v-row:has-text("img src")');
  const saved = await download(tab, '[data-save-attachment=html]', join(scratch, 'attachment'));
  assert.equal(saved, '_.._con.html');
  assert.ok(readFileSync(join(scratch, 'attachment'), 'utf8').startsWith('<html>'));
  await close();
});

test('the policy blocks injected scripts, images, forms, frames and requests', inBrowser, async () => {
  // Somebody listens: what gets through is seen.
  /** @type {string[]} */
  const heard = [];
  const server = createServer((request, response) => { heard.push(request.url ?? ''); response.end('window.pwned = 1'); });
  server.on('upgrade', (request, socket) => { heard.push(`upgrade ${request.url}`); socket.destroy(); });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const evil = `127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  const { tab, close } = await openPage();
  const directives = ['require-trusted-types-for', 'img-src', 'frame-src', 'form-action', 'style-src-elem', 'connect-src'];
  const blocked = await tab.evaluate(async ({ evil, directives }) => {
    /** @type {string[]} */
    const seen = [];
    document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective));
    const attempt = (/** @type {() => unknown} */ action) => { try { return action(); } catch (error) { seen.push(`refused: ${/** @type {Error} */ (error).name}`); } };
    attempt(() => { document.body.innerHTML = '<b>x</b>'; });
    attempt(() => { const script = document.createElement('script'); script.text = 'window.pwned = 1'; document.body.append(script); });
    attempt(() => { const script = document.createElement('script'); script.append('window.pwned = 1'); document.body.append(script); });
    attempt(() => { const image = document.createElement('img'); image.src = `http://${evil}/x.png`; document.body.append(image); });
    attempt(() => { const frame = document.createElement('iframe'); frame.src = `http://${evil}/`; document.body.append(frame); });
    attempt(() => { const form = document.createElement('form'); form.action = `http://${evil}/`; document.body.append(form); form.submit(); });
    attempt(() => { const style = document.createElement('style'); style.append(`body { background: url(http://${evil}/s.png) }`); document.head.append(style); });
    attempt(() => navigator.sendBeacon(`http://${evil}/`, 'x'));
    attempt(() => new WebSocket(`ws://${evil}/`));
    // Later, for what the test itself evaluates is exempt from the policy.
    setTimeout(() => attempt(() => eval('window.pwned = 1')), 0);
    await fetch(`http://${evil}/`).catch(() => {});
    // Refusals are told a little later, forms last on a busy machine.
    for (let turn = 0; turn < 100 && !directives.every((one) => seen.includes(one)); turn++) await new Promise((resolve) => setTimeout(resolve, 100));
    return { seen, pwned: Reflect.get(window, 'pwned') };
  }, { evil, directives });
  assert.equal(blocked.pwned, undefined);
  for (const directive of directives) {
    assert.ok(blocked.seen.includes(directive), `${directive} is not enforced: ${blocked.seen}`);
  }
  assert.ok(blocked.seen.includes('refused: TypeError'), 'markup out of text is refused');
  assert.ok(blocked.seen.includes('refused: EvalError'), 'programs out of text are refused');
  assert.deepEqual(heard, []);
  server.close();
  await close();
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [1280, 360]) {
    test(`accessible and well-formed: ${colorScheme}, ${width} px`, inBrowser, async () => {
      const { tab, close } = await openPage({ colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
      const look = async (/** @type {string} */ name) => {
        await shoot(tab, `${name}-${colorScheme}-${width}`);
        assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than ${width} px`);
        await axe(tab, name);
      };
      await look('1-open');
      await tab.setInputFiles('[data-input=folder]', hostile.folder);
      await tab.waitForSelector('.key-card');
      await look('2-key');
      await open(tab, { folder: hostile.folder, privateKey: hostile.privateKey });
      await verdict(tab);
      await look('3-archive');
      await tab.click('tr[data-user] th button');
      await tab.waitForSelector('[data-count="7"]');
      await look('4-events');
      await tab.click('.v-row[data-row="3"]');
      await tab.waitForSelector('dialog .json');
      await look('5-event');
      await tab.keyboard.press('Escape');
      for (const name of ['charts', 'streams', 'accesses', 'audit', 'account']) {
        await tab.click(`[data-tab=${name}]`);
        await tab.waitForTimeout(400);
        await look(`6-${name}`);
      }
      await tab.click('text=Printable summary');
      await look('7-summary');
      await tab.click('.crumbs button');
      await tab.click('[data-save-user]');
      await look('8-save');
      await download(tab, '[data-save=zip]', join(scratch, `look-${colorScheme}-${width}.zip`));
      await tab.waitForSelector('[data-saved=whole]');
      await look('8-saved');
      await tab.click('.save-result button');
      await look('8-report');
      await tab.click('.top-actions >> text=About');
      await look('9-about');
      await tab.evaluate(() => {
        const slow = { write: () => new Promise((resolve) => setTimeout(resolve, 5000)), close: async () => {}, abort: async () => {} };
        Reflect.set(window, 'showSaveFilePicker', async () => ({ name: 'slow.zip', getFile: async () => new File(['x'], 'slow.zip'), createWritable: async () => slow }));
      });
      await tab.click('.crumbs button');
      await tab.click('.crumbs button');
      await tab.click('[data-save=zip]');
      await tab.click('.crumbs button');
      await tab.waitForSelector('.aside progress');
      await look('8-saving');
      await close();
    });
  }
}

test('everything can be done with the keyboard alone', inBrowser, async () => {
  const { tab, close } = await openPage();
  await open(tab, { folder: hostile.folder, privateKey: hostile.privateKey });
  await verdict(tab);
  const reach = async (/** @type {string} */ selector) => {
    for (let i = 0; i < 60; i++) {
      if (await tab.evaluate((wanted) => document.activeElement?.matches(wanted) === true, selector)) return;
      await tab.keyboard.press('Tab');
    }
    assert.fail(`${selector} cannot be reached`);
  };
  await reach('tr[data-user] th button');
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('[data-count="7"]');
  await reach('.v-table');
  await tab.keyboard.press('ArrowDown');
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('dialog[open] .json');
  await tab.keyboard.press('Escape');
  await tab.waitForSelector('dialog', { state: 'detached' });
  await tab.locator('[data-tab=events]').focus();
  await tab.keyboard.press('ArrowRight');
  assert.equal(await tab.getAttribute('[data-tab=charts]', 'aria-selected'), 'true');
  await close();
});

/**
 * @param {import('playwright-core').Page} tab
 * @param {string} name
 */
async function axe (tab, name) {
  await tab.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const violations = await tab.evaluate(async () => {
    const result = await Reflect.get(window, 'axe').run(document, { resultTypes: ['violations'] });
    return result.violations.map((/** @type {any} */ one) => `${one.id}: ${one.nodes.map((/** @type {any} */ node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
  });
  assert.deepEqual(violations, [], name);
}
