// Who made a backup, and in which shape it is expected: what the page says, asks and refuses.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { closeBrowser, evidenceOf, errorOf, inBrowser, open, openPageAgain, require, shoot, verdict } from './browser.mjs';
import { Draft, SOURCE, chained } from './draft.mjs';
import { SigningKey } from './minisign.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-trust-'));
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

const [ours, theirs] = [new SigningKey(), new SigningKey()];
/** @type {Draft} */
let sealed;
/** @type {Draft} */
let clear;
before(() => {
  [sealed, clear] = [true, false].map((sealed) => {
    const draft = new Draft(join(scratch, sealed ? 'sealed' : 'clear'), { sealed, signing: ours, untrusted: 'signed by the bank' });
    draft.records('events/events-0001', [{ id: 'e', streamIds: ['s'], time: 1, type: 'note/txt', content: 'text' }]);
    return draft.finish();
  });
});

/** Nothing stands in the way of who cannot see or use a mouse. @param {import('playwright-core').Page} tab */
async function barriers (tab) {
  await tab.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const found = await tab.evaluate(async () => (await Reflect.get(window, 'axe').run(document, { resultTypes: ['violations'] })).violations.map((/** @type {any} */ one) => one.id));
  assert.deepEqual(found, []);
}

/** @param {import('playwright-core').Page} tab */
const problem = (tab) => tab.getAttribute('.notice.error', 'data-problem');

describe('the signer', () => {
  test('that is compared with nothing is said to be so, in the verdict, the report and its data', inBrowser, async () => {
    const { tab, complaints, close } = await openPageAgain();
    assert.equal(await open(tab, { folder: sealed.folder, privateKey: sealed.privateKey }), undefined);
    assert.equal(await verdict(tab), 'good');
    assert.equal(await tab.getAttribute('[data-signed]', 'data-signed'), 'unknown');
    assert.equal(await tab.innerText('[data-signer]'), ours.signer);
    assert.match(await tab.innerText('[data-signed]'), /not compared with any/);
    assert.match(await tab.innerText('.facts'), new RegExp(`${ours.signer.replaceAll('+', '\\+')}[^]*${SOURCE}`));
    await shoot(tab, 'signer');
    await barriers(tab);
    const { archive, verification, findings } = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
    assert.deepEqual([archive.signer, archive.signerExpected, archive.source, archive.made], [ours.signer, false, SOURCE, new Date(sealed.made).toISOString()]);
    assert.ok(verification.checked.some(({ what, result }) => /signature/.test(what) && result === 'passed'));
    assert.ok(verification.notProven.some((text) => /who made the archive/.test(text)));
    assert.deepEqual(findings.map(({ code }) => code), ['signer']);
    assert.doesNotMatch(await tab.innerText('body'), /bank/);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('that is expected is said to be so, and anybody else is refused', inBrowser, async () => {
    const { tab, close } = await openPageAgain();
    const refused = await open(tab, { folder: sealed.folder, privateKey: sealed.privateKey, signer: theirs.signer });
    assert.equal(refused?.kind, 'damaged');
    assert.equal(await problem(tab), 'other-signer');
    assert.ok(refused?.message.includes(ours.signer));
    assert.doesNotMatch(refused?.message ?? '', /--/);
    assert.equal(await tab.inputValue('[name=signer]'), theirs.signer, 'what was typed stays');
    await tab.fill('[name=signer]', `untrusted comment: minisign public key ${ours.signer}`);
    await tab.click('.key-card [type=submit]');
    assert.equal(await verdict(tab), 'good');
    assert.equal(await tab.getAttribute('[data-signed]', 'data-signed'), 'expected');
    await tab.waitForSelector('[data-proof=signer][data-result=passed]', { state: 'attached' });
    const { archive, verification } = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
    assert.equal(archive.signerExpected, true);
    assert.ok(!verification.notProven.some((text) => /who made the archive/.test(text)));
    await tab.click('.lock');
    assert.equal(await tab.locator('[name=signer]').count(), 0);
    await close();
  });

  test('that is none is said to be none', inBrowser, async () => {
    const { tab, close } = await openPageAgain();
    await tab.setInputFiles('[data-input=folder]', sealed.folder);
    await tab.waitForSelector('.key-card');
    await tab.setInputFiles('[data-input=key]', sealed.privateKey);
    await tab.click('.key-card details:has([name=signer]) summary');
    await tab.fill('[name=signer]', ours.signer.slice(1));
    await tab.click('.key-card [type=submit]');
    await tab.waitForSelector('[name=signer][aria-invalid=true]');
    assert.match(await tab.innerText('.field-error'), /55/);
    assert.equal(await tab.evaluate(() => document.activeElement?.getAttribute('name')), 'signer');
    await close();
  });

  test('whose signature does not hold is refused', inBrowser, async () => {
    for (const [name, change] of /** @type {Array<[string, (folder: string) => void]>} */ ([
      ['gone', (folder) => rmSync(join(folder, 'manifest.json.minisig'))],
      ['cut', (folder) => writeFileSync(join(folder, 'manifest.json.minisig'), readFileSync(join(folder, 'manifest.json.minisig')).subarray(0, 150))],
      ['long', (folder) => writeFileSync(join(folder, 'manifest.json.minisig'), Buffer.alloc(9_000_000, 'a'))],
    ])) {
      const folder = join(scratch, name);
      cpSync(sealed.folder, folder, { recursive: true });
      change(folder);
      const { tab, close } = await openPageAgain();
      const error = await open(tab, { folder, privateKey: sealed.privateKey });
      assert.equal(error?.kind, 'damaged', name);
      assert.equal(await problem(tab), 'signature', name);
      await close();
    }
  });
});

describe('a backup that is not encrypted', () => {
  test('opens when the reader has confirmed it, and not before', inBrowser, async () => {
    const { tab, complaints, close } = await openPageAgain();
    await tab.setInputFiles('[data-input=folder]', clear.folder);
    await tab.waitForSelector('[data-cleartext]');
    assert.match(await tab.innerText('[data-cleartext]'), /not encrypted: anybody who had it in hands can have read it\. Whether it was changed, only its signer shows.*may have been replaced/s);
    await shoot(tab, 'cleartext');
    await barriers(tab);
    await tab.click('.key-card [type=submit]');
    await tab.waitForSelector('[name=cleartext][aria-invalid=true]');
    assert.equal(await tab.evaluate(() => document.activeElement?.getAttribute('name')), 'cleartext');
    assert.equal(await tab.innerText('.field-error'), 'Confirm this first.');
    assert.equal(await tab.locator('[data-verdict]').count(), 0);
    await tab.check('[name=cleartext]');
    assert.equal(await tab.locator('[name=cleartext][aria-invalid=true]').count(), 0);
    await tab.click('.key-card [type=submit]');
    assert.equal(await verdict(tab), 'good');
    assert.match(await tab.innerText('.verdict'), /The backup is not encrypted: whoever changed a file could have changed the inventory too/);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('is asked about again when it is another one', inBrowser, async () => {
    const { tab, close } = await openPageAgain();
    await tab.setInputFiles('[data-input=folder]', clear.folder);
    await tab.check('[name=cleartext]');
    await tab.setInputFiles('[data-input=folder]', sealed.folder);
    await tab.waitForSelector('[data-input=key]', { state: 'attached' });
    await tab.setInputFiles('[data-input=folder]', clear.folder);
    await tab.waitForSelector('[data-cleartext]');
    assert.equal(await tab.isChecked('[name=cleartext]'), false);
    await close();
  });

  test('and is signed by whom the reader expects is as good as its signature', inBrowser, async () => {
    const { tab, close } = await openPageAgain();
    await open(tab, { folder: clear.folder, signer: ours.signer });
    assert.equal(await verdict(tab), 'good');
    assert.match(await tab.innerText('.verdict'), /exactly what was signed when the backup was made/);
    const { verification } = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
    assert.ok(!verification.notProven.some((text) => /nobody changed it/.test(text)));
    await close();
  });

  test('and that nobody signed says so, and is refused where a signer is expected', inBrowser, async () => {
    const folder = join(scratch, 'unsigned');
    cpSync(clear.folder, folder, { recursive: true });
    rmSync(join(folder, 'manifest.json.minisig'));
    const { inventory: _, ...manifest } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    const { tab, close } = await openPageAgain();
    const refused = await open(tab, { folder, signer: ours.signer });
    assert.equal(refused?.kind, 'damaged');
    assert.equal(await problem(tab), 'unsigned');
    await tab.fill('[name=signer]', '');
    await tab.click('.key-card [type=submit]');
    await verdict(tab);
    assert.equal(await tab.getAttribute('[data-signed]', 'data-signed'), 'nobody');
    assert.match(await tab.innerText('[data-signed]'), /Nobody signed this backup/);
    await close();
  });

  test('in part is refused as soon as it is chosen', inBrowser, async () => {
    const folder = join(scratch, 'mixed');
    cpSync(sealed.folder, folder, { recursive: true });
    cpSync(clear.folder, join(folder, 'increments/0002'), { recursive: true });
    const { tab, close } = await openPageAgain();
    const error = await open(tab, { folder });
    assert.equal(error?.kind, 'damaged');
    assert.equal(await problem(tab), 'mixed');
    assert.equal(await tab.locator('.key-card').count(), 0);
    await close();
  });
});

describe('a chain of which readers do not choose the state', () => {
  /** @type {Array<[string, string, Array<{ signing: SigningKey, parent?: number }>]>} */
  const CHAINS = [
    ['two-signers', 'its runs have different signers', [{ signing: ours }, { signing: theirs }]],
    ['fork', 'two runs follow one', [{ signing: ours }, { signing: ours }, { signing: ours, parent: 1 }]],
  ];
  for (const [name, why, runs] of CHAINS) {
    test(`lets it be chosen: ${why}`, inBrowser, async () => {
      const { folder, privateKey } = chained(join(scratch, name), runs);
      const { tab, complaints, close } = await openPageAgain({ viewport: { width: 360, height: 800 } });
      const asked = await open(tab, { folder, privateKey });
      assert.equal(asked?.kind, 'choice');
      assert.equal(await problem(tab), name);
      assert.doesNotMatch(asked?.message ?? '', /--/);
      assert.equal(await tab.locator('[data-runs]').count(), 1, 'one list to choose from');
      assert.equal(await tab.isDisabled('[data-choose]'), true, 'nothing is chosen for the reader');
      await shoot(tab, `choice-${name}`);
      assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the window');
      await barriers(tab);
      await tab.selectOption('.error [data-runs]', '2');
      await tab.click('[data-choose]');
      assert.equal(await verdict(tab), 'good', 'the key need not be given again');
      assert.match(await tab.innerText('.facts'), new RegExp(`run 2 of ${runs.length}`));
      await tab.selectOption('[data-runs]', '1');
      await tab.waitForSelector('[data-runs="1"]');
      assert.equal(await verdict(tab), 'good');
      assert.deepEqual(complaints, []);
      await close();
    });
  }

  test('opens at once for who knows the signer', inBrowser, async () => {
    const { folder, privateKey } = chained(join(scratch, 'known'), [{ signing: ours }, { signing: theirs }]);
    const { tab, close } = await openPageAgain();
    assert.equal(await open(tab, { folder, privateKey, signer: theirs.signer }), undefined);
    assert.match(await tab.innerText('.facts'), /run 2 of 2/);
    await tab.click('.lock');
    const refused = await open(tab, { folder, privateKey, signer: ours.signer });
    assert.equal(refused?.kind, 'damaged');
    assert.match(refused?.message ?? '', /state of run 1 can still be opened/);
    await tab.selectOption('[data-runs]', '1');
    await tab.click('.key-card [type=submit]');
    assert.equal(await verdict(tab), 'good');
    assert.equal(await tab.innerText('[data-signer]'), ours.signer);
    await close();
  });
});

for (const locale of ['fr', 'de']) {
  test(`all of it is said in the language of the reader: ${locale}`, inBrowser, async () => {
    const { folder, privateKey } = chained(join(scratch, `chain-${locale}`), [{ signing: ours }, { signing: theirs }]);
    const { tab, close } = await openPageAgain({ locale });
    const own = async (/** @type {string} */ selector) => assert.doesNotMatch(await tab.innerText(selector), /\{|\b(the|is|of)\b|(signer|open|problem)\.\w/i, selector);
    await tab.setInputFiles('[data-input=folder]', clear.folder);
    await tab.waitForSelector('[data-cleartext]');
    await own('[data-cleartext]');
    await tab.click('.key-card details summary');
    await own('.key-card');
    await tab.fill('[name=signer]', 'x');
    await tab.click('.key-card [type=submit]');
    await tab.waitForSelector('.field-error');
    await own('.key-card');
    await tab.fill('[name=signer]', '');
    await tab.check('[name=cleartext]');
    await tab.click('.key-card [type=submit]');
    await verdict(tab);
    await own('[data-signed]');
    await tab.click('.verdict details summary');
    await own('.proofs');
    await tab.click('.lock');
    await open(tab, { folder, privateKey });
    assert.equal((await errorOf(tab))?.kind, 'choice');
    await own('.error strong');
    await own('.error p >> nth=0');
    await own('[data-choose]');
    await close();
  });
}
