// Every archive of the fixtures, opened in the page from file://, its verdict, and what it saves against decrypt-backup.mjs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { KEY_PASSPHRASE, PASSPHRASE, archive, closeBrowser, download, key, open, openPageAgain, repository, unzip, verdict, withFixtures } from './browser.mjs';

const script = join(repository, 'npm/dist/decrypt-backup.mjs');
const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-page-'));
after(async () => {
  await closeBrowser();
  rmSync(scratch, { recursive: true, force: true });
});

const RSA = { privateKey: key('recipient.key.pem') };
/** @type {Array<[string, object, string[]]>} name of the archive, what the page is given, what the script is given */
const CASES = [
  ['plain-pg', {}, []],
  ['plain-sqlite', {}, []],
  ['nocompress-pg', {}, []],
  ['small-chunk', {}, []],
  ['single-user', {}, []],
  ['small-plain', {}, []],
  ['series-pg', {}, []],
  ['hybrid-pg', RSA, ['--private-key', key('recipient.key.pem')]],
  ['small-hybrid-nocompress', { privateKey: key('recipient.key.pkcs1.pem') }, ['--private-key', key('recipient.key.pkcs1.pem')]],
  ['passphrase-pg', { passphrase: PASSPHRASE }, ['--passphrase', PASSPHRASE]],
];

for (const [name, given, args] of CASES) {
  test(`${name}: the ZIP holds what decrypt-backup.mjs writes, byte for byte`, withFixtures, async () => {
    const { tab, requests, complaints, close } = await openPageAgain();
    assert.equal(await open(tab, { folder: archive(name), ...given }), undefined);
    assert.equal(await verdict(tab), 'partly', 'an archive without inventory cannot be called complete');
    await tab.click('text=Save everything');
    const zip = join(scratch, `${name}.zip`);
    await download(tab, '[data-save=zip]', zip);
    await tab.waitForSelector('[data-saved=whole]');
    unzip(zip, join(scratch, name));
    const out = join(scratch, `${name}-script`);
    const { status, stderr } = spawnSync(process.execPath, [script, archive(name), ...args, '--out', out], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    same(tree(out), tree(join(scratch, name)));
    assert.deepEqual(complaints, []);
    assert.deepEqual(requests.filter((url) => !url.startsWith('blob:') && !url.startsWith('data:')).length, 1, requests.join('\n'));
    await close();
  });
}

/** @type {Array<[string, object, string, RegExp]>} */
const REFUSED = [
  ['a wrong key', { folder: archive('hybrid-pg'), privateKey: key('wrong.key.pem') }, 'key', /key/],
  ['a smaller wrong key', { folder: archive('hybrid-pg'), privateKey: key('wrong2048.key.pem') }, 'key', /key/],
  ['a public key', { folder: archive('hybrid-pg'), privateKey: key('recipient.pub.pem') }, 'key', /public key/],
  ['a wrong passphrase', { folder: archive('passphrase-pg'), passphrase: 'wrong' }, 'key', /passphrase/],
  ['a wrong passphrase of the key', { folder: archive('hybrid-pg'), privateKey: key('recipient.key.enc.pem'), passphrase: 'wrong' }, 'key', /passphrase/],
  ['a locked key without its passphrase', { folder: archive('hybrid-pg'), privateKey: key('recipient.key.enc.pem') }, 'key', /protected by a passphrase/],
  ['another archive than expected', { folder: archive('hybrid-pg'), ...RSA, expectId: '0'.repeat(64) }, 'damaged', /not the archive that you expect/],
  ['a folder that is no backup', { folder: join(archive('hybrid-pg'), 'platform') }, 'usage', /is not a backup/],
];

for (const [what, given, kind, sentence] of REFUSED) {
  test(`${what} is refused in a sentence`, withFixtures, async () => {
    const { tab, close } = await openPageAgain();
    const error = await open(tab, given);
    assert.equal(error?.kind, kind);
    assert.match(error?.message ?? '', sentence);
    assert.doesNotMatch(error?.message ?? '', /--[a-z]|PRYV_|\bat .*:\d+/, 'no option of a command, no stack trace');
    await close();
  });
}

for (const name of ['recipient.key.enc.pem', 'recipient.key.enc-pkcs1.pem']) {
  test(`${name} opens with its passphrase`, withFixtures, async () => {
    const { tab, close } = await openPageAgain();
    assert.equal(await open(tab, { folder: archive('small-hybrid-nocompress'), privateKey: key(name), passphrase: KEY_PASSPHRASE }), undefined);
    assert.equal(await verdict(tab), 'partly');
    await close();
  });
}

test('a pasted key opens', withFixtures, async () => {
  const { tab, close } = await openPageAgain();
  assert.equal(await open(tab, { folder: archive('small-hybrid-nocompress'), keyText: readFileSync(key('recipient.key.pem'), 'utf8') }), undefined);
  await close();
});

test('Lock forgets the archive and the key', withFixtures, async () => {
  const { tab, close } = await openPageAgain();
  await open(tab, { folder: archive('small-hybrid-nocompress'), ...RSA });
  const workers = tab.workers().length;
  await tab.click('text=Lock');
  await tab.waitForSelector('.open');
  assert.equal(await tab.locator('[data-verdict]').count(), 0);
  assert.equal(await tab.locator('[data-chosen]').count(), 0);
  assert.ok(tab.workers().length <= workers, 'the worker that held the key has ended');
  await tab.goBack().catch(() => {});
  assert.equal(await tab.locator('[data-verdict]').count(), 0, 'going back shows nothing');
  await close();
});

/** @param {Map<string, Buffer>} due @param {Map<string, Buffer>} seen */
function same (due, seen) {
  assert.deepEqual([...seen.keys()], [...due.keys()]);
  for (const [path, content] of due) assert.ok(content.equals(/** @type {Buffer} */ (seen.get(path))), `${path} differs`);
}

/** @param {string} folder */
function tree (folder) {
  /** @type {Map<string, Buffer>} */
  const found = new Map();
  const walk = (/** @type {string} */ at) => {
    for (const name of readdirSync(at).sort()) {
      const path = join(at, name);
      if (statSync(path).isDirectory()) walk(path);
      else found.set(relative(folder, path), readFileSync(path));
    }
  };
  walk(folder);
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
