// The test kit opened in the page: each archive must get the verdict that the other decryptors give, and save the same files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, test } from 'node:test';
import { closeBrowser, download, evidenceOf, hasChromium, open, openPage, repository, unzip, verdict } from './browser.mjs';

/** What the page has no words for, because it is about options that only a command has. */
const NOT_SAID = [
  'a private key is needed: give --private-key FILE', 'opens with a passphrase, not with a private key', 'opens with a private key, not with a passphrase',
  'nothing was written (--strict)', 'holds what stands before the damage',
];
/** What the page says in its own words. */
const SAID_AS = new Map([
  ['all good', 'The backup is complete and undamaged'],
  ['no damage found, as far as it can be checked', 'No damage found, as far as it can be checked'],
  ['This archive has no inventory', 'This backup has no inventory'],
  ['nothing tells whether one was changed', 'Nothing tells whether a file was changed'],
  ['Not encrypted', 'The backup is not encrypted'],
  ['1 problem, ', '1 problem was found'],
]);
const IMPOSSIBLE = new Map([
  ['missing-key-file', 'a file that is not there cannot be chosen'],
  ['chain-no-such-run', 'runs are chosen from a list'],
  ['chain-index-and-runs-lost', 'the page does not look into SHA256SUMS'],
  ['chain-key-and-passphrase', 'the page takes a key or a passphrase'],
  ['chain-two-keys', 'the page takes one key'],
  ['chain-two-passphrases', 'the page takes one passphrase'],
  ['chain-two-wrong-keys', 'the page takes one key'],
  ['chain-index-lost-at-1', 'runs are chosen from a list, which is not there'],
  ['unknown-user', 'users are chosen from a list'],
  ['link', 'browsers follow or leave out links; a page cannot see them'],
  ['two-files-one-name', 'the page saves files compressed as they are, so that the two keep their names'],
]);
const EXIT = { usage: 2, key: 3, damaged: 4, unsupported: 1, failed: 1 };

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-kit-'));
const kit = process.env.TESTKIT ?? join(scratch, 'kit');
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

const missing = !hasChromium ? 'SKIPPED: no Chromium (make setup, or CHROMIUM=path)' : makeKit();
if (missing !== undefined) test('the test kit', { skip: missing }, () => {});
else describe('the test kit', { concurrency: 2 }, () => cases());

function makeKit () {
  if (existsSync(join(kit, 'keys'))) return undefined;
  const made = spawnSync('cargo', ['run', '--quiet', '--package', 'pryv-backup-tests', '--bin', 'testkit', '--', kit], { cwd: repository, encoding: 'utf8' });
  if (made.error !== undefined) return 'SKIPPED: no cargo';
  assert.equal(made.status, 0, made.stderr);
  return undefined;
}

function cases () {
  const names = readdirSync(kit).filter((name) => existsSync(join(kit, name, 'case.json'))).sort();
  assert.ok(names.length > 60, `only ${names.length} cases`);
  test('the states of a chain are looked at one after the other', runs);
  for (const name of names) {
    const impossible = IMPOSSIBLE.get(name);
    const due = JSON.parse(readFileSync(join(kit, name, 'case.json'), 'utf8'));
    test(`${name}: ${due.line}`, impossible === undefined ? {} : { skip: `SKIPPED: ${impossible}` }, () => run(name, due));
  }
}

/** The runs of a chain, one after the other, opened once. */
async function runs () {
  const due = (/** @type {string} */ name) => JSON.parse(readFileSync(join(kit, name, 'case.json'), 'utf8'));
  const privateKey = due('chain').args[due('chain').args.indexOf('--private-key') + 1].replace('{keys}', join(kit, 'keys'));
  const { tab, complaints, close } = await openPage({ viewport: { width: 360, height: 800 } });
  const fits = async () => assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the window');
  await tab.setInputFiles('[data-input=folder]', join(kit, 'chain', 'archive'));
  await tab.waitForSelector('.key-card [data-runs]');
  await fits();
  await open(tab, { folder: join(kit, 'chain', 'archive'), privateKey });
  for (const [run, name] of /** @type {const} */ ([[3, 'chain'], [1, 'chain-at-1'], [2, 'chain-at-2']])) {
    if (run !== 3) await tab.selectOption('[data-runs]', String(run));
    await tab.waitForSelector(`[data-runs="${run}"]`);
    assert.equal(await verdict(tab), 'good');
    await fits();
    assert.match(await tab.innerText('.facts'), new RegExp(`run ${run} of 3`));
    const { archive } = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
    assert.equal(archive.chain.run, run);
    assert.equal(archive.id, archive.chain.runs[run - 1].archiveId);
    assert.deepEqual(await saved(tab, `runs-${run}`, undefined), due(name).out);
    await tab.click('.crumbs button');
    await tab.waitForSelector('[data-verdict]');
  }
  assert.deepEqual(complaints, []);
  await close();
}

/** @param {string} name @param {any} due */
async function run (name, due) {
  const value = (/** @type {string} */ flag) => {
    const at = due.args.indexOf(flag);
    return at === -1 ? undefined : due.args[at + 1].replace('{keys}', join(kit, 'keys'));
  };
  const { tab, complaints, close } = await openPage();
  const user = value('--user');
  try {
    const error = await open(tab, {
      folder: join(kit, name, 'archive'),
      privateKey: value('--private-key'),
      passphrase: value('--private-key-passphrase') ?? value('--passphrase') ?? due.env.PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE ?? due.env.PRYV_BACKUP_PASSPHRASE,
      expectId: value('--expect-id'),
      at: value('--at'),
    });
    let said = '';
    let exit;
    if (error !== undefined) {
      exit = EXIT[/** @type {keyof EXIT} */ (error.kind)];
      said = error.message;
      assert.equal(due.out, null, 'files should come out');
    } else {
      await verdict(tab);
      const report = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
      exit = report.verification.exitCode;
      said = `${await tab.innerText('main')}\n${JSON.stringify(report)}\n${report.findings.map((/** @type {any} */ one) => one.sentence).join('\n')}\n${report.users.map((/** @type {any} */ one) => `${one.username}  ${one.userId}`).join('\n')}`;
      if (due.out !== null && !due.args.includes('--salvage')) assert.deepEqual(await saved(tab, name, user), due.out);
    }
    assert.equal(exit, due.exit, said);
    for (const text of due.says) {
      if (NOT_SAID.includes(text)) continue;
      const words = SAID_AS.get(text) ?? text.replace(/^warning: /, 'Warning ').replace(/^damaged: /, '').replace(/--at (\d+) for the state before/, 'choose the state of run $1');
      assert.ok(said.includes(words), `does not say ${JSON.stringify(words)}, but:\n${said}`);
    }
    assert.deepEqual(complaints, []);
  } finally {
    await close();
  }
}

/**
 * What the ZIP holds, by digest.
 * @param {import('playwright-core').Page} tab
 * @param {string} name
 * @param {string|undefined} user
 */
async function saved (tab, name, user) {
  if (user === undefined) await tab.click('text=Save everything');
  else {
    await tab.click(`tr[data-user="${user}"] .act button`);
    await tab.check('[name=manifest]');
  }
  const zip = join(scratch, `${name}.zip`);
  await download(tab, '[data-save=zip]', zip);
  await tab.waitForSelector('[data-saved]');
  const out = join(scratch, `${name}-out`);
  unzip(zip, out);
  /** @type {Record<string, string>} */
  const found = {};
  const walk = (/** @type {string} */ at) => {
    for (const entry of readdirSync(at)) {
      const path = join(at, entry);
      if (statSync(path).isDirectory()) walk(path);
      else found[relative(out, path)] = createHash('sha256').update(readFileSync(path)).digest('hex');
    }
  };
  walk(out);
  return found;
}
