import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { KEY_PASSPHRASE, PASSPHRASE, archive, copyOf, decrypt, key, scratch, tree, withFixtures } from './helpers.js';

const RECIPIENT = ['--private-key', key('recipient.key.pem')];

/** Manifests tell the time of the run; account, platform and all records do not. */
const isManifest = (/** @type {string} */ path) => path.endsWith('manifest.json');

/**
 * The lines of a record file in an order that does not depend on the database's.
 * @param {Buffer} content
 */
const sortedLines = (content) => content.toString().split('\n').sort();

/** @type {Array<[string, string[], string|undefined]>} name, arguments, plain twin */
const SEALED = [
  ['hybrid-pg', RECIPIENT, 'plain-pg'],
  ['passphrase-pg', ['--passphrase', PASSPHRASE], 'plain-pg'],
  ['small-hybrid-nocompress', RECIPIENT, 'small-plain'],
];

for (const [name, secret, twin] of SEALED) {
  test(`${name}: both engines give the plain twin`, withFixtures, (t) => {
    const trees = ['host', 'wasm'].map((engine) => {
      const out = join(scratch(t), 'out');
      const run = decrypt([archive(name), ...secret, '--engine', engine, '--gunzip', '--out', out]);
      assert.equal(run.status, 0, run.stderr);
      return tree(out);
    });
    assert.deepEqual(trees[0], trees[1]);
    const plain = tree(archive(/** @type {string} */ (twin)));
    assert.deepEqual([...trees[0].keys()], [...plain.keys()].map((path) => path.replace(/\.gz$/, '')).sort(byPath));
    for (const [path, content] of plain) {
      if (isManifest(path)) continue;
      const ours = /** @type {Buffer} */ (trees[0].get(path.replace(/\.gz$/, '')));
      if (path.includes('.jsonl')) {
        const expected = path.endsWith('.gz') ? gunzipSync(content) : content;
        assert.deepEqual(sortedLines(ours), sortedLines(expected), path);
      } else {
        assert.ok(ours.equals(content), path);
      }
    }
  });

  test(`${name}: verifies, lists, and says what cannot be checked`, withFixtures, () => {
    const verified = decrypt([archive(name), ...secret, '--verify']);
    assert.equal(verified.status, 0, verified.stderr);
    assert.match(verified.stderr, /has no inventory/);
    const listed = decrypt([archive(name), ...secret, '--list']);
    assert.equal(listed.status, 0, listed.stderr);
    assert.match(listed.stdout, /events \d+/);
  });
}

const byPath = (/** @type {string} */ a, /** @type {string} */ b) => (a.split('/') < b.split('/') ? -1 : 1);

for (const name of ['plain-pg', 'nocompress-pg', 'small-chunk', 'single-user', 'small-plain', 'plain-sqlite', 'series-pg']) {
  test(`${name}: a plain archive verifies and is inflated`, withFixtures, (t) => {
    const verified = decrypt([archive(name), '--verify']);
    assert.equal(verified.status, 0, verified.stderr);
    const out = join(scratch(t), 'out');
    assert.equal(decrypt([archive(name), '--gunzip', '--out', out]).status, 0);
    assert.equal(JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')).compressed, false);
    assert.ok(![...tree(out).keys()].some((path) => path.endsWith('.gz')));
  });
}

test('each form of the private key opens the archive', withFixtures, () => {
  for (const name of readdirSync(key('.')).filter((name) => /^recipient\.key.*\.pem$/.test(name))) {
    const run = decrypt([archive('small-hybrid-nocompress'), '--private-key', key(name), '--verify'],
      { PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE: KEY_PASSPHRASE });
    assert.equal(run.status, 0, `${name}: ${run.stderr}`);
  }
});

test('wrong and missing keys: exit 3 and one sentence', withFixtures, () => {
  const hybrid = archive('small-hybrid-nocompress');
  const wrong = readdirSync(key('.')).find((name) => /^wrong.*key.*pem$|^wrong\.pem$/.test(name)) ?? 'wrong.key.pem';
  /** @type {Array<[string[], RegExp]>} */
  const cases = [
    [[hybrid, '--verify'], /a private key is needed/],
    [[hybrid, '--verify', '--passphrase', 'x'], /opens with a private key, not with a passphrase/],
    [[hybrid, '--verify', '--private-key', key(wrong)], /key/],
    [[hybrid, '--verify', '--private-key', key('recipient.pub.pem')], /public key/],
    [[hybrid, '--verify', '--private-key', key('nowhere.pem')], /cannot read the private key/],
    [[archive('passphrase-pg'), '--verify'], /a passphrase is needed/],
    [[archive('passphrase-pg'), '--verify', '--passphrase', 'wrong'], /passphrase is wrong, or manifest.json is damaged/],
    [[archive('passphrase-pg'), '--verify', ...RECIPIENT], /opens with a passphrase, not with a private key/],
  ];
  for (const [args, message] of cases) {
    const run = decrypt(args);
    assert.match(run.stderr, message);
    assert.equal(run.status, 3, run.stderr);
    assert.equal(run.stderr.trim().split('\n').length, 1);
  }
});

test('folders that are no archive: exit 2', withFixtures, (t) => {
  const empty = scratch(t);
  assert.match(decrypt([empty, '--list']).stderr, /is empty/);
  writeFileSync(join(empty, 'x'), '');
  const run = decrypt([empty, '--list']);
  assert.equal(run.status, 2);
  assert.match(run.stderr, /is not a backup/);
});

test('an output above which a folder is missing is refused without --create-parents', withFixtures, (t) => {
  const out = join(scratch(t), 'disk', 'opened');
  const refused = decrypt([archive('small-plain'), '--out', out]);
  assert.equal(refused.status, 2, refused.stderr);
  assert.match(refused.stderr, /is a disk not mounted\? Make it, or give --create-parents/);
  assert.equal(decrypt([archive('small-plain'), '--out', out, '--create-parents']).status, 0);
});

test('a non-empty output is refused without --force', withFixtures, (t) => {
  const out = scratch(t);
  writeFileSync(join(out, 'mine'), '');
  const refused = decrypt([archive('small-plain'), '--out', out]);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /is not empty/);
  assert.equal(decrypt([archive('small-plain'), '--out', out, '--force']).status, 0);
  assert.ok(existsSync(join(out, 'mine')));
});

test('damage: the file is named, the good ones are written; --strict leaves nothing; --salvage keeps the start', withFixtures, (t) => {
  const folder = copyOf(t, 'hybrid-pg');
  const path = [...tree(folder)].find(([path, content]) => path.includes('/attachments/') && content.length > 300_000)?.[0] ?? '';
  const onDisk = join(folder, path);
  const bytes = readFileSync(onDisk);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(onDisk, bytes);

  const out = join(scratch(t), 'out');
  const run = decrypt([folder, ...RECIPIENT, '--out', out]);
  assert.equal(run.status, 4);
  assert.ok(run.stderr.includes(path), run.stderr);
  assert.ok(!existsSync(join(out, path)));
  assert.ok(existsSync(join(out, 'manifest.json')));

  const strict = join(scratch(t), 'out');
  assert.equal(decrypt([folder, ...RECIPIENT, '--out', strict, '--strict']).status, 4);
  assert.ok(!existsSync(strict));

  const salvaged = join(scratch(t), 'out');
  assert.equal(decrypt([folder, ...RECIPIENT, '--out', salvaged, '--salvage']).status, 4);
  const kept = readFileSync(join(salvaged, path + '.salvaged'));
  const whole = readFileSync(join(archive('plain-pg'), path));
  assert.ok(kept.length > 0 && kept.length < whole.length && kept.equals(whole.subarray(0, kept.length)));
});

test('a missing and a foreign file are found without an inventory too', withFixtures, (t) => {
  const folder = copyOf(t, 'small-hybrid-nocompress');
  const user = readdirSync(join(folder, 'users'))[0];
  renameSync(join(folder, 'users', user, 'streams.jsonl'), join(folder, 'users', user, 'events', 'events-0999.jsonl'));
  const run = decrypt([folder, ...RECIPIENT, '--verify']);
  assert.equal(run.status, 4);
  assert.match(run.stderr, /streams\.jsonl/);
  assert.match(run.stderr, /events-0999\.jsonl/);
});

test('--expect-id pins an archive', withFixtures, () => {
  const id = decrypt([archive('small-plain'), '--list']).stdout.match(/[0-9a-f]{64}/)?.[0] ?? '';
  assert.equal(decrypt([archive('small-plain'), '--list', '--expect-id', id]).status, 0);
  assert.equal(decrypt([archive('small-plain'), '--list', '--expect-id', '0'.repeat(64)]).status, 4);
});

test('--user leaves out the others; an unknown one is a usage error', withFixtures, (t) => {
  const [user] = JSON.parse(readFileSync(join(archive('plain-pg'), 'manifest.json'), 'utf8')).users;
  const out = join(scratch(t), 'out');
  assert.equal(decrypt([archive('plain-pg'), '--user', user.username, '--out', out]).status, 0);
  assert.deepEqual(readdirSync(join(out, 'users')), [user.userId]);
  rmSync(out, { recursive: true });
  assert.equal(decrypt([archive('plain-pg'), '--user', 'nobody', '--out', out]).status, 2);
});
