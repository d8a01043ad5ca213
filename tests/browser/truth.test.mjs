// Claims of the page and values that it keeps: the evidence report by its outcome, the expected id, errors in the language of the reader, numbers,
// and going back and forth.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { closeBrowser, download, errorOf, evidenceOf, hasChromium, inBrowser, open, openPage, verdict } from './browser.mjs';
import { Draft } from './draft.mjs';
import { sample } from './sample.mjs';

/** @typedef {import('playwright-core').Page} Page */

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-truth-'));
/** @type {Draft} */
let draft;
/** @type {Draft} */
let other;
let [damaged, lacking, id] = ['', '', ''];

before(() => {
  if (!hasChromium) return;
  draft = sample(join(scratch, 'archive'));
  other = new Draft(join(scratch, 'other'));
  other.finish();
  id = createHash('sha256').update(readFileSync(join(draft.folder, 'manifest.json'))).digest('hex');
  damaged = copyOf('damaged');
  const victim = join(damaged, 'users/u1/attachments/file0');
  const bytes = readFileSync(victim);
  bytes[1000] ^= 1;
  writeFileSync(victim, bytes);
  lacking = copyOf('lacking');
  rmSync(join(lacking, 'users/u1/attachments/file0'));
});
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

function copyOf (/** @type {string} */ name) {
  cpSync(draft.folder, join(scratch, name), { recursive: true });
  return join(scratch, name);
}

const proofs = async (/** @type {Page} */ tab) => Object.fromEntries(await tab.locator('[data-proof]').evaluateAll((all) => all.map((one) => [one.getAttribute('data-proof'), one.getAttribute('data-result')])));

/** Files are slow to read: there is time to look at a check that is under way. */
async function slowFiles (/** @type {Page} */ tab) {
  await tab.evaluate(() => {
    const { postMessage } = Worker.prototype;
    const held = /** @type {Array<() => void>} */ ([]);
    Reflect.set(window, 'release', () => { Reflect.set(window, 'held', undefined); for (const go of held.splice(0)) go(); });
    Reflect.set(window, 'held', held);
    Worker.prototype.postMessage = function (message, /** @type {any} */ transfer) {
      const go = () => postMessage.call(this, message, transfer);
      if (message?.name === 'verify' && Reflect.get(window, 'held') !== undefined) held.push(go);
      else go();
    };
  });
}

describe('the evidence report says what the check has shown', () => {
  test('of a damaged archive', inBrowser, async () => {
    const { tab, close } = await openPage();
    await open(tab, { folder: damaged, privateKey: draft.privateKey });
    assert.equal(await verdict(tab), 'bad');
    assert.deepEqual(await proofs(tab), { blocks: 'failed', structure: 'failed', complete: 'failed', signature: 'passed' });
    const report = await evidenceOf(tab, scratch);
    assert.equal(report.verification.exitCode, 4);
    assert.deepEqual(report.verification.checked.map((/** @type {any} */ one) => one.result), ['failed', 'failed', 'failed', 'passed']);
    await tab.click('text="Evidence report"');
    assert.doesNotMatch(await tab.innerText('main'), /Every sealed block is authentic|No file is missing/);
    await close();
  });

  test('of an archive from which a file is missing', inBrowser, async () => {
    const { tab, close } = await openPage();
    await open(tab, { folder: lacking, privateKey: draft.privateKey });
    assert.equal(await verdict(tab), 'bad');
    assert.deepEqual(await proofs(tab), { blocks: 'passed', structure: 'passed', complete: 'failed', signature: 'passed' });
    await close();
  });

  test('while the check is under way, and when it ends', inBrowser, async () => {
    const { tab, close } = await openPage();
    await slowFiles(tab);
    await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
    await tab.click('text="Evidence report"');
    assert.deepEqual(await proofs(tab), { blocks: 'open', structure: 'open', complete: 'open', signature: 'passed' });
    assert.equal(await tab.locator('.report button.primary').isDisabled(), true);
    assert.equal(await tab.locator('[data-report=json]').isDisabled(), true);
    assert.equal(await tab.locator('.report progress').count(), 1);
    await tab.click('.crumbs button');
    assert.equal(await tab.locator('.verdict progress').count(), 1, 'the progress is where the reader is');
    await tab.goForward();
    await tab.evaluate(() => Reflect.get(window, 'release')());
    await tab.waitForSelector('[data-proof=complete][data-result=passed]');
    assert.equal(await tab.locator('[data-report=json]').isDisabled(), false);
    await close();
  });

  test('of a check that was stopped', inBrowser, async () => {
    const { tab, close } = await openPage({ locale: 'de' });
    await slowFiles(tab);
    await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
    await tab.evaluate(() => {
      Reflect.get(window, 'release')();
      /** @type {HTMLElement} */ (document.querySelector('.verdict .task button')).click();
    });
    assert.equal(await verdict(tab), 'stopped');
    assert.deepEqual(await proofs(tab), { blocks: 'open', structure: 'open', complete: 'open', signature: 'passed' });
    assert.doesNotMatch(await tab.innerText('.verdict'), /interrupted/);
    await tab.click('text="Prüfbericht"');
    const file = join(scratch, 'stopped.json');
    await download(tab, '[data-report=json]', file);
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).verification.exitCode, 1);
    await close();
  });

  test('of one user: verdict, findings and counts are of that user', inBrowser, async () => {
    const { tab, close } = await openPage();
    await open(tab, { folder: damaged, privateKey: draft.privateKey });
    await verdict(tab);
    await tab.click('tr[data-user] th button');
    await tab.click('[data-report-user]');
    const file = join(scratch, 'user.json');
    await download(tab, '[data-report=json]', file);
    const { scope, verification, findings } = JSON.parse(readFileSync(file, 'utf8'));
    assert.equal(scope, 'user');
    assert.equal(verification.verdict, 'bad');
    assert.equal(verification.exitCode, 4);
    assert.deepEqual(findings.map((/** @type {any} */ one) => one.severity), ['error', 'note'], 'what is damaged, and who signed');
    assert.deepEqual(verification.wholeArchive, { verdict: 'bad', errors: 1 });
    await close();
  });
});

describe('the expected archive id', () => {
  test('stays when the key is chosen afterwards, and after a failure', inBrowser, async () => {
    const { tab, close } = await openPage();
    await tab.setInputFiles('[data-input=folder]', draft.folder);
    await tab.click('.key-card details:has([name=expect]) summary');
    await tab.fill('[name=expect]', '0'.repeat(64));
    await tab.setInputFiles('[data-input=key]', other.privateKey);
    await tab.waitForSelector('.key-card button[type=submit]');
    assert.equal(await tab.inputValue('[name=expect]'), '0'.repeat(64));
    await tab.click('.key-card button[type=submit]');
    await tab.waitForSelector('.notice.error');
    assert.equal(await tab.getAttribute('.notice.error', 'data-problem'), 'other-archive');
    assert.ok(await tab.isVisible('[name=expect]'));
    assert.equal(await tab.inputValue('[name=expect]'), '0'.repeat(64));
    await tab.fill('[name=expect]', ` ${id.toUpperCase()} `);
    await tab.click('text=Another key');
    await tab.setInputFiles('[data-input=key]', draft.privateKey);
    await tab.waitForSelector('.key-card button[type=submit]');
    await tab.click('.key-card button[type=submit]');
    assert.equal(await verdict(tab), 'good');
    assert.equal((await proofs(tab)).id, 'passed');
    await close();
  });

  test('that is none is said to be so, also when its field was folded away', inBrowser, async () => {
    const { tab, close } = await openPage();
    await tab.setInputFiles('[data-input=folder]', draft.folder);
    await tab.setInputFiles('[data-input=key]', draft.privateKey);
    await tab.waitForSelector('.key-card button[type=submit]');
    const fold = '.key-card details:has([name=expect]) summary';
    await tab.click(fold);
    await tab.fill('[name=expect]', 'abc');
    await tab.click(fold);
    await tab.click('.key-card button[type=submit]');
    await tab.waitForSelector('.field-error', { timeout: 3000 });
    assert.match(await tab.innerText('.field-error'), /64 characters.*you gave 3/);
    assert.equal(await tab.evaluate(() => document.activeElement?.getAttribute('name')), 'expect');
    await close();
  });
});

describe('over the page', () => {
  for (const [how, leave] of /** @type {Array<[string, (tab: Page) => Promise<unknown>]>} */ ([
    ['Lock', (tab) => tab.evaluate(() => /** @type {HTMLElement} */ (document.querySelector('.lock')).click())],
    ['leaving', (tab) => tab.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })))],
    ['Back', (tab) => tab.goBack()],
  ])) {
    test(`no record stays open after ${how}`, inBrowser, async () => {
      const { tab, close } = await openPage();
      await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
      await verdict(tab);
      await tab.click('tr[data-user] th button');
      await tab.waitForSelector('[data-count="32"]');
      await tab.click('.v-row[data-row="0"]');
      await tab.waitForSelector('dialog .json');
      await leave(tab);
      await tab.waitForSelector('dialog', { state: 'detached', timeout: 3000 });
      assert.equal(await tab.locator('.json').count(), 0);
      await close();
    });
  }
});

describe('errors', () => {
  test('are in sight, headline and all', inBrowser, async () => {
    for (const viewport of [{ width: 1280, height: 720 }, { width: 1280, height: 660 }, { width: 800, height: 600 }, { width: 360, height: 640 }]) {
      const { tab, close } = await openPage({ viewport, locale: 'fr' });
      await open(tab, { folder: draft.folder, privateKey: draft.privateKey, expectId: '0'.repeat(64) });
      const [top, header] = await tab.evaluate(() => [document.querySelector('.error strong')?.getBoundingClientRect().top ?? 0, Math.max(0, document.querySelector('.top')?.getBoundingClientRect().bottom ?? 0)]);
      assert.ok(top >= header, `${viewport.width} x ${viewport.height}: the headline begins at ${top}, the header ends at ${header}`);
      await close();
    }
  });

  /** @type {Array<[string, Parameters<typeof open>[1], RegExp, RegExp]>} */
  const cases = () => [
    ['key-public', { folder: draft.folder, keyText: '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----' }, /clé publique/, /öffentliche Schlüssel/],
    ['key-unreadable', { folder: draft.folder, keyText: '{"no": "key"}' }, /pas une clé privée/, /kein privater Schlüssel/],
    ['key-other', { folder: draft.folder, privateKey: other.privateKey }, /n’est pas celle de cette sauvegarde/, /gehört nicht zu dieser Sicherung/],
    ['other-archive', { folder: draft.folder, privateKey: draft.privateKey, expectId: '0'.repeat(64) }, /pas la sauvegarde que vous attendez/, /andere Sicherung/],
    ['no-backup', { folder: join(draft.folder, 'users/u1/events') }, /pas le dossier d’une sauvegarde/, /nicht der Ordner einer Sicherung/],
    ['manifest', { folder: cutManifest(), privateKey: draft.privateKey }, /manifest\.json de cette sauvegarde est endommagé/, /manifest\.json dieser Sicherung ist beschädigt/],
  ];
  const cutManifest = () => {
    const folder = copyOf(`cut-${Math.random()}`);
    writeFileSync(join(folder, 'manifest.json'), readFileSync(join(draft.folder, 'manifest.json')).subarray(0, 200));
    return folder;
  };
  for (const [at, locale] of /** @type {const} */ (['fr', 'de']).entries()) {
    test(`are said in the language of the reader: ${locale}`, inBrowser, async () => {
      for (const [name, given, ...words] of cases()) {
        const { tab, close } = await openPage({ locale });
        if (given.keyText === undefined) await open(tab, given);
        else {
          await tab.setInputFiles('[data-input=folder]', /** @type {string} */ (given.folder));
          await tab.click('.key-card details:has(textarea) summary');
          await tab.fill('[data-input=key-text]', given.keyText);
          await tab.click('.key-card details:has(textarea) button');
          await tab.waitForSelector('.notice.error');
          assert.equal(await tab.locator('.key-card button[type=submit]').count(), 0, 'it is not called ready');
        }
        assert.equal(await tab.getAttribute('.notice.error', 'data-problem'), name);
        assert.match(await tab.innerText('.notice.error strong'), words[at]);
        assert.doesNotMatch(await tab.innerText('.notice.error p >> nth=0'), /\{n\}|problem\./);
        await close();
      }
    });
  }

  test('a folder or a large file dropped as a key is refused in a sentence; what misses its place does nothing', inBrowser, async () => {
    const { tab, context, complaints, close } = await openPage();
    await tab.setInputFiles('[data-input=folder]', draft.folder);
    await tab.waitForSelector('.key-card');
    const session = await context.newCDPSession(tab);
    const drop = async (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ file) => {
      for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop'])) await session.send('Input.dispatchDragEvent', { type, x, y, data: { items: [], files: [file], dragOperationsMask: 1 } });
    };
    const large = join(scratch, 'large.pem');
    writeFileSync(large, Buffer.alloc(2 << 20, 'x'));
    for (const [file, words] of /** @type {const} */ ([[draft.folder, /not a folder/], [large, /too large/]])) {
      await tab.locator('.key-card').scrollIntoViewIfNeeded();
      const box = await tab.locator('.key-card').boundingBox();
      assert.ok(box);
      await drop(box.x + 30, box.y + 20, file);
      await tab.waitForSelector('.notice.error');
      assert.match((await errorOf(tab))?.message ?? '', words);
    }
    await drop(5, 300, draft.privateKey);
    await tab.waitForTimeout(300);
    assert.equal(context.pages().length, 1);
    assert.equal(await tab.locator('.key-card').count(), 1);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a large folder is seen to be read', inBrowser, async () => {
    const { tab, close } = await openPage();
    await tab.evaluate(() => {
      const file = (/** @type {string} */ name) => ({ kind: 'file', getFile: async () => { await new Promise((resolve) => setTimeout(resolve, 20)); return new File(['x'], name); } });
      Reflect.set(window, 'showDirectoryPicker', async () => ({ name: 'big', kind: 'directory', entries: async function * () { for (let i = 0; i < 2000; i++) yield [`f${i}`, file(`f${i}`)]; } }));
    });
    const started = Date.now();
    await tab.click('.card.drop .row button');
    await tab.waitForSelector('.card.drop [role=status]:has-text("so far")');
    await tab.waitForSelector('.notice.error');
    assert.ok(Date.now() - started < 20 * 2000 / 4, 'several files are asked for at once');
    await close();
  });
});

test('Back keeps the backup open: Forward and a button lead to it again', inBrowser, async () => {
  const { tab, close } = await openPage();
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  await tab.goBack();
  await tab.waitForSelector('.open');
  await tab.goForward();
  await tab.waitForSelector('[data-verdict=good]', { timeout: 3000 });
  await tab.goBack();
  await tab.click('[data-resume]');
  await tab.waitForSelector('[data-verdict=good]');
  await tab.click('.lock');
  await tab.waitForSelector('.open');
  assert.equal(await tab.evaluate(() => document.activeElement?.tagName), 'H1');
  await tab.goForward().catch(() => {});
  assert.equal(await tab.locator('[data-verdict], [data-resume]').count(), 0);
  await close();
});

test('filter and tab stay behind the summary and when the language changes; nothing is read again', inBrowser, async () => {
  const { tab, close } = await openPage();
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="32"]');
  await tab.selectOption('[name=type]', { label: 'mass/kg (30)' });
  await tab.waitForSelector('[data-count="30"]');
  await tab.evaluate(() => {
    const { postMessage } = Worker.prototype;
    const calls = /** @type {string[]} */ ([]);
    Reflect.set(window, 'calls', calls);
    Worker.prototype.postMessage = function (message, /** @type {any} */ transfer) { calls.push(message?.name); return postMessage.call(this, message, transfer); };
  });
  await tab.click('text=Printable summary');
  await tab.waitForSelector('.report');
  await tab.click('.crumbs button');
  await tab.waitForSelector('[data-count="30"]');
  await tab.selectOption('header select', 'de');
  await tab.waitForSelector('[data-tab=events]:has-text("Ereignisse")');
  await tab.waitForSelector('[data-count="30"]');
  assert.equal(await tab.inputValue('[name=type]'), await tab.locator('[name=type] option', { hasText: 'mass/kg (30)' }).getAttribute('value'));
  await tab.click('[data-tab=account]');
  await tab.selectOption('header select', 'fr');
  assert.equal(await tab.getAttribute('[aria-selected=true]', 'data-tab'), 'account');
  const calls = await tab.evaluate(() => Reflect.get(window, 'calls'));
  assert.ok(!calls.some((/** @type {string} */ name) => name === 'user.open' || name === 'user.index'), calls.join());
  await close();
});

test('numbers: each event counts once, current ones only; charts take every stream of an event and name their values', inBrowser, async () => {
  const { tab, complaints, close } = await openPage();
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="32"]');
  const options = await tab.locator('[name=type] option').allInnerTexts();
  assert.ok(options.includes('mass/kg (30)'), options.join());
  assert.match((await tab.locator('[name=stream] option').allInnerTexts()).join(), /A \(32\)/);
  await tab.click('[data-tab=streams]');
  await tab.click('[data-stream=a]');
  assert.match(await tab.innerText('.stream-detail'), /Events in it and below\s+32/);
  await tab.click('text=Show its events');
  await tab.waitForSelector('[data-count="32"]');
  await tab.click('[data-tab=charts]');
  await tab.waitForSelector('[data-points="30"]');
  assert.deepEqual((await tab.locator('[data-charts] option').allInnerTexts()).filter((label) => label.includes('mass/kg')).sort(), ['B · mass/kg (30)', 'C · mass/kg (30)']);
  await tab.selectOption('[data-charts]', { label: 'C · mass/kg (30)' });
  await tab.waitForTimeout(300);
  const box = await tab.locator('.line-chart').boundingBox();
  assert.ok(box);
  await tab.mouse.move(box.x + box.width - 9, box.y + 100);
  await tab.waitForFunction(() => /: 99$/.test(document.querySelector('[data-value]')?.textContent ?? ''), undefined, { timeout: 3000 });
  await tab.mouse.move(0, 0);
  await tab.focus('.plot');
  await tab.keyboard.press('Shift+ArrowLeft');
  assert.match(await tab.innerText('[data-value]'), /: 84$/);
  await tab.click('[data-tab=accesses]');
  assert.match(await tab.innerText('[data-expired]'), /Expired accesses 1\s+Insurance/);
  assert.match(await tab.innerText('[role=tabpanel]'), /Active accesses 1[\s\S]*May not delete itself/);
  await tab.click('[data-tab=audit]');
  await tab.waitForSelector('.v-row[data-row="0"]:has-text("Clinic")');
  await tab.click('text=Printable summary');
  const summary = await tab.innerText('main');
  assert.match(summary, /Active accesses\s+Clinic[\s\S]*Expired accesses\s+Insurance[\s\S]*expired 13 Sept 2020/);
  assert.match(summary, /mass\/kg\s+30\b/);
  assert.match(summary, /UTC/);
  assert.deepEqual(complaints, []);
  await close();
});

test('full text looks at values, and what is saved has every digit', inBrowser, async () => {
  const { tab, close } = await openPage({ locale: 'de' });
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="32"]');
  for (const [text, due] of /** @type {const} */ ([['time', 0], ['PLAIN', 1], ['content', 0], ['9007199254740993', 1], ['mass/', 30]])) {
    await tab.fill('[name=text]', text);
    await tab.press('[name=text]', 'Enter');
    await tab.waitForSelector(`[data-count="${due}"]`, { timeout: 3000 }).catch(async () => assert.fail(`${text}: ${await tab.getAttribute('[data-count]', 'data-count')} found, not ${due}`));
  }
  await tab.click('text=Zurücksetzen');
  await tab.waitForSelector('[data-count="32"]');
  const file = join(scratch, 'digits.csv');
  await download(tab, '[data-export=csv]', file);
  assert.match(readFileSync(file, 'utf8'), /,9007199254740993,/);
  await download(tab, '[data-export="csv;"]', file);
  assert.match(readFileSync(file, 'utf8'), /;9007199254740993;/);
  await close();
});

test('long names fit 360 px', inBrowser, async () => {
  const long = new Draft(join(scratch, 'long'));
  const names = Array.from({ length: 8 }, (_, i) => ({ id: `s${i}`, name: `Untersuchungsergebnisse der Abteilung ${i} Donaudampfschifffahrtsgesellschaft`, parentId: i === 0 ? null : `s${i - 1}` }));
  long.records('streams', names);
  long.records('events/events-0001', Array.from({ length: 20 }, (_, i) => ({ id: `e${i}`, streamIds: ['s7'], time: 1_700_000_000 + i * 3600, type: 'mass/kg', content: i })));
  long.finish();
  const { tab, close } = await openPage({ locale: 'de', viewport: { width: 360, height: 740 } });
  const fits = async (/** @type {string} */ what) => assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), what);
  /** Pairs of these whose boxes overlap. */
  const overlaps = (/** @type {string} */ selector) => tab.locator(selector).evaluateAll((all) => {
    const boxes = all.map((one) => one.getBoundingClientRect());
    return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)).length;
  });
  await tab.setInputFiles('[data-input=folder]', long.folder);
  const key = join(scratch, 'privater-schluessel-der-sicherungen-des-universitaetsspitals-2026.pem');
  cpSync(long.privateKey, key);
  await tab.setInputFiles('[data-input=key]', key);
  await tab.waitForSelector('.key-card .chosen');
  const width = await tab.evaluate(() => document.querySelector('.key-card .chosen span')?.getBoundingClientRect().width ?? 0);
  assert.ok(width > 140, `the name of the key file has ${width} px`);
  await fits('the key');
  await tab.click('.key-card button[type=submit]');
  await verdict(tab);
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count="20"]');
  await tab.click('[data-tab=streams]');
  assert.equal(await overlaps('.tree .link, .tree .count'), 0, 'names and counts do not overlap');
  assert.equal(await tab.locator('.tree .link').count(), 8);
  await fits('the streams');
  await tab.click('[data-tab=charts]');
  await tab.waitForSelector('[data-points="20"]');
  assert.equal(await overlaps('.line-chart text:has(tspan)'), 0, 'labels do not overlap');
  await fits('the chart');
  await close();
});

/** Small files that hold more than one call of the core inflates are read one by one, and counted once all the same. */
test('the progress of a check never passes its end', inBrowser, async () => {
  const folder = join(scratch, 'inflated');
  inflated(folder);
  const { tab, complaints, close } = await openPage();
  await open(tab, { folder });
  assert.equal(await verdict(tab), 'partly');
  const { verification } = await evidenceOf(tab, scratch);
  assert.equal(verification.recordsChecked, 13 * 7000);
  assert.deepEqual(complaints, []);
  await close();
});

/** An archive of Pryv's own tool in a volume, whose small files are large once they are inflated. @param {string} folder */
function inflated (folder) {
  mkdirSync(folder);
  const lines = gzipSync(`{"id":"${'a'.repeat(1000)}"}\n`.repeat(7000), { level: 9 });
  const names = Array.from({ length: 13 }, (_, i) => `events-${String(i + 1).padStart(4, '0')}.jsonl.gz`);
  const user = { userId: 'u1', username: 'alice', backupTimestamp: 1, stats: {}, chunks: { events: names, audit: [] } };
  const manifest = { formatVersion: 1, config: {}, backupType: 'full', backupTimestamp: 1, compressed: true, users: [user] };
  /** @type {Array<[string, Buffer]>} */
  const files = [
    ...['account', 'accesses', 'profile', 'streams', 'webhooks'].map((name) => /** @type {[string, Buffer]} */ ([`${name}.jsonl.gz`, gzipSync('')])),
    ...names.map((name) => /** @type {[string, Buffer]} */ ([`events/${name}`, lines])),
    ['user-manifest.json', Buffer.from(JSON.stringify(user))],
  ];
  /** @type {Buffer[]} */
  const parts = [];
  let [at, index] = [0, ''];
  const add = (/** @type {string} */ path, /** @type {Buffer} */ content) => {
    index += `${at} ${content.length} ${path}\n`;
    parts.push(header(path, content.length), content, Buffer.alloc((512 - content.length % 512) % 512));
    at = parts.reduce((sum, { length }) => sum + length, 0);
  };
  for (const [name, content] of files) add(`users/u1/${name}`, content);
  const place = at;
  add('volume-0001.index', Buffer.from(`${index}${place} volume-0001.index\n`));
  parts.push(Buffer.alloc(1024));
  writeFileSync(join(folder, 'volume-0001.tar'), Buffer.concat(parts));
  const volumes = [{ name: 'volume-0001.tar', size: at + 1024, index: place, members: files.length }];
  writeFileSync(join(folder, 'volumes.json'), JSON.stringify({ v: 1, volumes }));
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

/** The header of a file in a volume, as docs/format.md says. @param {string} path @param {number} size */
function header (path, size) {
  const block = Buffer.alloc(512);
  block.write(path, 0);
  for (const [place, text] of /** @type {Array<[number, string]>} */ ([[100, '0000600'], [108, '0000000'], [116, '0000000'], [136, '00000000000'], [156, '0'], [257, 'ustar'], [263, '00']])) block.write(text, place);
  block.write(size.toString(8).padStart(11, '0'), 124);
  block.fill(' ', 148, 156);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
