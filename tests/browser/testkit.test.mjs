// The test kit opened in the page: each archive must get the verdict that the other decryptors give, and save the same files.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, test } from 'node:test';
import { closeBrowser, download, evidenceOf, inBrowser, open, openPageAgain, repository, unzip, verdict } from './browser.mjs';

/**
 * Messages that the page does not have: options that only a command has (it does not cut a save short, and does not keep half a file), and
 * what cannot be left out here (it asks for a key and opens nothing without).
 */
const NOT_SAID = ['nothing was written (--strict)', 'holds what could be read, and is not proved', 'a private key is needed', 'this backup opens with a private key, not with a passphrase', 'opens with a private key, not with a passphrase'];
/** Messages that the page words differently. */
const SAID_AS = new Map([
  ['all good', 'The backup is complete and undamaged'],
  ['no damage found, as far as it can be checked', 'No damage found, as far as it can be checked'],
  ['This archive has no inventory', 'This backup has no inventory'],
  ['nothing tells whether one was changed', 'Nothing tells whether a file was changed'],
  ['Not encrypted', 'The backup is not encrypted'],
  ['1 problem, ', '1 problem was found'],
  ...['this backup is not encrypted, though you gave a key: it may have been replaced', 'this backup is not encrypted, and an encrypted one is required: it may have been replaced', 'and an encrypted one is required']
    .map((text) => /** @type {[string, string]} */ ([text, 'If you expect it to be encrypted, it may have been replaced'])),
  ['no damage found, but 1 file of the archive left out', '1 file of this backup is of a kind that this version does not know'],
  ['archive is compressed (gzip): unpack it first', 'archive is a compressed .tar.gz: unpack it first'],
  ['archive is empty: give the folder of the backup', 'is empty: give the folder of the backup'],
]);
const IMPOSSIBLE = new Map([
  ['chain-increment-alone', 'the page opens no run without its chain'],
  ['chain-key-and-passphrase', 'the page takes one key or passphrase'],
  ['chain-two-keys', 'the page takes one key'],
  ['chain-two-passphrases', 'the page takes one passphrase'],
  ['chain-two-wrong-keys', 'the page takes one key'],
  ...['two-lines', 'blank-line', 'mark', 'utf16', 'empty', 'latin'].map((form) => /** @type {[string, string]} */ ([`passphrase-file-${form}`, 'the page takes no file with a passphrase'])),
  ['passphrase-variable-empty', 'a page has no variables'],
  ['signed-two-pins', 'the page takes one signer'],
  ['missing-envelope', 'the page asks first whether a backup that is not encrypted is to be opened'],
  ['chain-index-lost-at-1', 'runs are chosen from a list, which is not there'],
]);

/** Cases about inputs that the page does not have. */
const NOT_ASKED = ['--expect-source', '--max-age', '--accept-unsigned'];

/** Why a case cannot be tried in the page; undefined when it can. @param {string} name @param {any} due */
function impossible (name, due) {
  const option = NOT_ASKED.find((option) => due.args.includes(option));
  return IMPOSSIBLE.get(name) ?? (option && `the page has no ${option}`);
}

/** Cases that a page meets in another way than a command: what is asserted instead. @type {Record<string, (due: any) => Promise<void>>} */
const OTHERWISE = {
  // A file that is not there cannot be chosen: without a key the backup cannot be asked to open.
  'missing-key-file': async (due) => {
    const { tab, close } = await openPageAgain();
    const error = await open(tab, { folder: join(kit, 'missing-key-file', 'archive') });
    assert.equal(EXIT[/** @type {keyof EXIT} */ (error?.kind)], due.exit);
    assert.equal(await tab.locator('.key-card button[type=submit]').count(), 0);
    await close();
  },
  // Runs and users are chosen from lists.
  'chain-no-such-run': async (due) => {
    const { tab, close } = await openPageAgain();
    await tab.setInputFiles('[data-input=folder]', join(kit, 'chain-no-such-run', 'archive'));
    await tab.waitForSelector('.key-card [data-runs]');
    assert.deepEqual(await tab.locator('[data-runs] option').evaluateAll((all) => all.map((one) => /** @type {HTMLOptionElement} */ (one).value)), ['3', '2', '1']);
    assert.ok(!['3', '2', '1'].includes(due.args.at(-1)));
    await close();
  },
  'unknown-user': async (due) => {
    const { tab, close } = await openPageAgain();
    await open(tab, { folder: join(kit, 'unknown-user', 'archive'), privateKey: keyOf(due) });
    await verdict(tab);
    assert.ok(await tab.locator('tr[data-user]').count() > 0);
    assert.ok(!(await tab.innerText('main')).includes(due.args.at(-1)));
    await close();
  },
  // In a folder, browsers leave links out before the page could see them; in a tar it does.
  ...Object.fromEntries(['link', 'forged-link-to-a-run', 'forged-link-to-a-user', 'forged-link-to-runs'].map((name) => [name, (/** @type {any} */ due) => linked(name, due)])),
  // The page saves files compressed as they are: the two keep their names.
  'two-files-one-name': async (due) => {
    const { tab, close } = await openPageAgain();
    await open(tab, { folder: join(kit, 'two-files-one-name', 'archive'), privateKey: keyOf(due) });
    await verdict(tab);
    const files = Object.keys(await saved(tab, 'two-files-one-name', undefined));
    for (const name of ['streams.jsonl', 'streams.jsonl.gz']) assert.ok(files.includes(`users/u1/${name}`), files.join());
    await close();
  },
};

/** @param {string} name @param {any} due */
async function linked (name, due) {
  const packed = join(scratch, `${name}.tar`);
  execFileSync('tar', ['-cf', packed, '-C', join(kit, name), 'archive']);
  const { tab, close } = await openPageAgain();
  const error = await open(tab, { packed });
  assert.equal(EXIT[/** @type {keyof EXIT} */ (error?.kind)], due.exit);
  for (const text of due.says) assert.ok(error?.message.includes(text), error?.message);
  await close();
}

const EXIT = { usage: 2, choice: 2, key: 3, damaged: 4, unsupported: 1, failed: 1 };

const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-kit-'));
const kit = process.env.TESTKIT ?? join(scratch, 'kit');
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

if (inBrowser.skip !== undefined) test('the test kit', inBrowser, () => {});
else {
  makeKit();
  describe('the test kit', { concurrency: 2 }, () => cases());
}

function makeKit () {
  if (existsSync(join(kit, 'keys'))) return;
  const made = spawnSync('cargo', ['run', '--quiet', '--package', 'pryv-backup-tests', '--bin', 'testkit', '--', kit], { cwd: repository, encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr ?? String(made.error));
}

function cases () {
  const names = readdirSync(kit).filter((name) => existsSync(join(kit, name, 'case.json'))).sort();
  assert.ok(names.length > 60, `only ${names.length} cases`);
  test('the states of a chain are looked at one after the other', runs);
  test('of a damaged archive, the report about a user who is untouched says so', untouched);
  test('a file of a raw dump is saved by itself', () => oneFile('raw-dump', 'raw/users/a/account.sqlite', 5));
  test('a file of a capsule is saved by itself', () => oneFile('capsule', 'capsule/ca/ca.key', 3));
  for (const locale of ['fr', 'de']) test(`what goes wrong is said in the language of the reader: ${locale}`, () => inWords(locale));
  for (const name of names) {
    const due = JSON.parse(readFileSync(join(kit, name, 'case.json'), 'utf8'));
    test(`${name}: ${due.line}`, { skip: impossible(name, due) }, () => (OTHERWISE[name] ?? ((/** @type {any} */ one) => run(name, one)))(due));
  }
}

/** @param {any} due */
function keyOf (due) {
  return due.args[due.args.indexOf('--private-key') + 1].replace('{keys}', join(kit, 'keys'));
}

/** A sentence of a command as the page says it, without the advice of flags. @param {string} text */
function withoutOptions (text) {
  return text.replace(/^(error|damaged): /, '').replace('{archive}', 'archive').replace(/(?:^|[;:,] (?:(?:or|give|with|say (?:which is yours )?with) )?)--[a-z].*$/, '');
}

/** The runs of a chain, one after the other, opened once. */
async function runs () {
  const due = (/** @type {string} */ name) => JSON.parse(readFileSync(join(kit, name, 'case.json'), 'utf8'));
  const privateKey = due('chain').args[due('chain').args.indexOf('--private-key') + 1].replace('{keys}', join(kit, 'keys'));
  const { tab, complaints, close } = await openPageAgain({ viewport: { width: 360, height: 800 } });
  const fits = async () => assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'wider than the window');
  await tab.setInputFiles('[data-input=folder]', join(kit, 'chain', 'archive'));
  await tab.waitForSelector('.key-card [data-runs]');
  await fits();
  const expectId = createHash('sha256').update(readFileSync(join(kit, 'chain/archive/increments/0003/manifest.json'))).digest('hex');
  await open(tab, { folder: join(kit, 'chain', 'archive'), privateKey, expectId });
  for (const [run, name] of /** @type {const} */ ([[3, 'chain'], [1, 'chain-at-1'], [2, 'chain-at-2']])) {
    if (run !== 3) await tab.selectOption('[data-runs]', String(run));
    await tab.waitForSelector(`[data-runs="${run}"]`);
    assert.equal(await verdict(tab), 'good');
    await fits();
    assert.match(await tab.innerText('.facts'), new RegExp(`run ${run} of 3`));
    assert.equal(await tab.locator('[data-otherid]').count(), run === 3 ? 0 : 1, 'that the expected id is that of another state is said');
    const { archive } = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
    assert.equal(archive.chain.run, run);
    assert.equal(archive.id, archive.chain.runs[run - 1].archiveId);
    assert.deepEqual(await saved(tab, `runs-${run}`, undefined), due(name).out);
    assert.equal(archive.idExpected, run === 3 ? expectId : null);
    await tab.click('.crumbs button');
    await tab.waitForSelector('[data-verdict]');
  }
  await tab.selectOption('[data-runs]', '3');
  await tab.waitForSelector('[data-proof=id][data-result=passed]', { state: 'attached' });
  assert.deepEqual(complaints, []);
  await close();
}

async function untouched () {
  const { tab, close } = await openPageAgain();
  await open(tab, { folder: join(kit, 'flipped-bit', 'archive'), privateKey: keyOf(JSON.parse(readFileSync(join(kit, 'flipped-bit', 'case.json'), 'utf8'))) });
  assert.equal(await verdict(tab), 'bad');
  const whole = await evidenceOf(tab, mkdtempSync(join(scratch, 'report-')));
  await tab.click('tr[data-user=u2] th button');
  await tab.click('[data-report-user]');
  assert.equal(await tab.getAttribute('[data-scope=user]', 'class'), 'tag good');
  assert.equal(await tab.getAttribute('[data-scope=archive]', 'class'), 'tag bad');
  const file = join(scratch, 'untouched.json');
  await download(tab, '[data-report=json]', file);
  const { verification, findings, users } = JSON.parse(readFileSync(file, 'utf8'));
  assert.equal(verification.verdict, 'good');
  assert.equal(verification.exitCode, 0);
  assert.deepEqual(findings.map((/** @type {any} */ one) => one.code), ['signer']);
  assert.deepEqual(verification.wholeArchive, { verdict: 'bad', errors: 1 });
  assert.ok(verification.filesChecked > 5 && verification.filesChecked < whole.verification.filesChecked);
  assert.ok(verification.recordsChecked > 0 && verification.recordsChecked < whole.verification.recordsChecked);
  assert.deepEqual(users.map((/** @type {any} */ one) => one.userId), ['u2']);
  await close();
}

/** @param {string} name @param {string} path @param {number} files how many are listed */
async function oneFile (name, path, files) {
  const due = JSON.parse(readFileSync(join(kit, name, 'case.json'), 'utf8'));
  const { tab, close } = await openPageAgain();
  await open(tab, given(name, due));
  await tab.waitForSelector(`[data-file="${path}"]`);
  assert.equal(await tab.locator('[data-file]').count(), files);
  const to = join(scratch, `one-file-of-${name}`);
  assert.equal(await download(tab, `[data-file="${path}"] button`, to), path.split('/').at(-1));
  assert.equal(createHash('sha256').update(readFileSync(to)).digest('hex'), due.out[path]);
  await close();
}

/** @param {string} locale */
async function inWords (locale) {
  for (const [name, problem] of Object.entries({
    'key-locked-wrong': 'key-passphrase', 'key-locked': 'key-locked', 'public-key': 'key-public', 'certificate': 'key-public', 'key-cut': 'key-unreadable', 'wrong-key': 'key-other', 'wrong-passphrase': 'passphrase', 'expect-another': 'other-archive',
    'not-an-archive': 'no-backup', 'missing-manifest': 'unfinished', 'chain-missing': 'run', 'chain-index-and-runs-lost': 'index-lost', 'damaged-manifest': 'manifest', 'damaged-envelope': 'envelope', 'pryv-passphrase-damaged-manifest': 'passphrase-or-damage',
  })) {
    const { tab, close } = await openPageAgain({ locale });
    await open(tab, given(name, JSON.parse(readFileSync(join(kit, name, 'case.json'), 'utf8'))));
    assert.equal(await tab.getAttribute('.notice.error', 'data-problem'), problem, name);
    const [headline, advice] = [await tab.innerText('.notice.error strong'), await tab.innerText('.notice.error p >> nth=0')];
    assert.doesNotMatch(headline + advice, /\{|problem\.|\b(the|of|is)\b/, name);
    if (name === 'chain-missing') assert.match(advice, /\b1\b/);
    await close();
  }
}

/** The inputs of the page in a case. @param {string} name @param {any} due */
function given (name, due) {
  const value = (/** @type {string} */ flag) => {
    const at = due.args.indexOf(flag);
    return at === -1 ? undefined : due.args[at + 1].replace('{keys}', join(kit, 'keys'));
  };
  const signer = value('--signer') ?? due.env.PRYV_BACKUP_SIGNER;
  const archive = join(kit, name, 'archive');
  return {
    [statSync(archive).isFile() ? 'packed' : 'folder']: archive,
    privateKey: value('--private-key'),
    passphrase: value('--private-key-passphrase') ?? value('--passphrase') ?? due.env.PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE ?? due.env.PRYV_BACKUP_PASSPHRASE,
    expectId: value('--expect-id'),
    signer: signer !== undefined && existsSync(signer) ? readFileSync(signer, 'utf8').trim().split('\n').at(-1) : signer,
    // Whoever gives no key, and does not ask for encryption, knows that there is none.
    confirm: due.args.includes('--allow-plaintext') ||
      !['--private-key', '--passphrase', '--require-encrypted'].some((flag) => due.args.includes(flag)) && due.env.PRYV_BACKUP_REQUIRE_ENCRYPTED === undefined,
    at: value('--at'),
    user: value('--user'),
  };
}

/** @param {string} name @param {any} due */
async function run (name, due) {
  const { user, ...what } = given(name, due);
  const { tab, complaints, close } = await openPageAgain();
  try {
    const error = await open(tab, what);
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
    for (const text of [...due.says, ...due.exactly.filter((/** @type {string} */ line) => /^(error|damaged): /.test(line))]) {
      const plain = withoutOptions(text);
      if (NOT_SAID.includes(text) || NOT_SAID.includes(plain)) continue;
      const words = SAID_AS.get(text) ?? SAID_AS.get(plain) ?? plain.replace(/^warning: /, 'Warning ');
      assert.ok(said.includes(words), `does not say ${JSON.stringify(words)}, but:\n${said}`);
    }
    for (const text of due.never) assert.ok(!said.includes(text), `says ${JSON.stringify(text)}`);
    assert.deepEqual(complaints, []);
  } finally {
    await close();
  }
}

/**
 * The files in the ZIP, by digest.
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
