// The independent reader against archives that Pryv's own tool made. Run: node --test tests/independent-reader
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { fixtures, needFixtures } from '../need/need.mjs';
import { open, verified } from './read.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const options = needFixtures();

const archive = (name) => path.join(fixtures, 'archives', name);
const recipient = ['--private-key', path.join(fixtures, 'keys/recipient.key.pem')];

function scratch (t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'independent-reader-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  return dir;
}
function read (from, to, key) {
  return spawnSync(process.execPath, [path.join(here, 'read.mjs'), from, to, ...key], { encoding: 'utf8' });
}
function tree (root) {
  return fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((f) => f.isFile())
    .map((f) => path.relative(root, path.join(f.parentPath ?? f.path, f.name))).sort();
}

/** The twins were made by two runs: manifests carry the times of their run, the rest is the same but for the order of gzip's bytes. */
function assertTwins (got, plain) {
  assert.deepEqual(tree(got), tree(plain));
  let compared = 0;
  for (const name of tree(plain)) {
    const [a, b] = [got, plain].map((root) => fs.readFileSync(path.join(root, name)));
    if (name.endsWith('manifest.json')) {
      const [x, y] = [a, b].map((bytes) => JSON.parse(bytes));
      assert.deepEqual(x.stats ?? x.users.map((u) => [u.userId, u.stats]), y.stats ?? y.users.map((u) => [u.userId, u.stats]), name);
    } else {
      const [x, y] = name.endsWith('.gz') ? [zlib.gunzipSync(a), zlib.gunzipSync(b)] : [a, b];
      assert.ok(x.equals(y), `${name} differs`);
      compared++;
    }
  }
  assert.ok(compared > 0);
}

const VECTOR = Buffer.from('50525956424b4531000000337b2276223a312c2273616c74223a22416749434167494341674943416749434167494341673d3d222c226368756e6b223a387d' +
  '00000018b8dfc0948508e722ec9a7582606937e314c61f7cbe64a1d8000000145edcc8c58c657a3ae4216dc1853a2c93438bf57a', 'hex');
const opened = (file) => open(file, Buffer.alloc(32, 1), 'vector').plain.toString();

test('the published vector opens', () => {
  assert.equal(opened(VECTOR), 'hello world\n');
});

test('its header has one spelling', () => {
  const header = VECTOR.toString('latin1', 12, 63);
  const spelled = (json) => {
    const start = Buffer.alloc(12);
    start.write('PRYVBKE1');
    start.writeUInt32BE(json.length, 8);
    return Buffer.concat([start, Buffer.from(json), VECTOR.subarray(63)]);
  };
  assert.equal(opened(spelled(header)), 'hello world\n');
  for (const other of [`${header} `, header.replace(':', ': '), header.replace('Ag==', 'Ah=='), header.replace('8}', '8.0}'), header.replace('8}', '08}')]) {
    assert.notEqual(other, header);
    assert.throws(() => opened(spelled(other)), { code: 4 }, other);
  }
});

test('a flipped bit or a cut of the vector is noticed', () => {
  const boundaries = [];
  for (let at = 0; at < VECTOR.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bad = Buffer.from(VECTOR);
      bad[at] ^= 1 << bit;
      assert.throws(() => opened(bad), { code: 4 }, `byte ${at}, bit ${bit}`);
    }
    try {
      opened(VECTOR.subarray(0, at));
      boundaries.push(at);
    } catch (error) {
      assert.equal(error.code, 4, `cut at ${at}`);
    }
  }
  assert.deepEqual(boundaries, [63, 91], 'where whole frames remain, only an inventory can tell');
});

const SIGNER = 'RWTc3fJ9mnVaZRHahf/MYMx0y2+we9SJKodZ8wESfShmc38CDc0l/Q+K';
/** The published one, read from the document itself. */
const MINISIG = Buffer.from(/```\n(untrusted comment: signature[^`]+)```/.exec(fs.readFileSync(path.resolve(here, '../../docs/format.md'), 'utf8'))[1]);

test('the published signature holds', () => {
  const content = Buffer.from('{}\n');
  assert.match(verified(SIGNER, content, MINISIG), /^pryv-backup-run-v1 id=ca3d163bab05.* files=79c9cd187eec794d931fd815dcec6b9b1a7d737840c818f76e52991da7aeb42c$/);
  assert.equal(verified(SIGNER, Buffer.from('{}'), MINISIG), null);
  // The first line is signed by nobody.
  for (let at = MINISIG.indexOf('\n'); at < MINISIG.length - 1; at++) {
    const bad = Buffer.from(MINISIG);
    bad[at] ^= 1;
    assert.equal(verified(SIGNER, content, bad), null, `byte ${at}`);
  }
});

for (const [sealed, plain, key] of [
  ['hybrid-pg', 'plain-pg', recipient],
  ['passphrase-pg', 'plain-pg', ['--passphrase', 'correct horse bättery 🔋 staple']],
  ['small-hybrid-nocompress', 'small-plain', recipient]
]) {
  test(`${sealed} holds what ${plain} holds`, options, (t) => {
    const out = path.join(scratch(t), 'out');
    const done = read(archive(sealed), out, key);
    assert.equal(done.status, 0, done.stderr);
    assertTwins(out, plain === 'small-plain' ? uncompressed(t, archive(plain)) : archive(plain));
  });
}

/** A copy of a compressed archive as it would be without compression. */
function uncompressed (t, root) {
  const copy = scratch(t);
  for (const name of tree(root)) {
    const bytes = fs.readFileSync(path.join(root, name));
    const to = path.join(copy, name.replace(/\.gz$/, ''));
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.writeFileSync(to, name.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes);
  }
  return copy;
}

test('a flipped byte is damage, another key is a wrong key', options, (t) => {
  const dir = scratch(t);
  const copy = path.join(dir, 'archive');
  fs.cpSync(archive('small-hybrid-nocompress'), copy, { recursive: true });
  const wrong = read(copy, path.join(dir, 'wrong'), ['--private-key', path.join(fixtures, 'keys/wrong.key.pem')]);
  assert.equal(wrong.status, 3, wrong.stderr);
  const victim = path.join(copy, tree(copy).find((name) => name.includes('/events/')));
  const bytes = fs.readFileSync(victim);
  bytes[bytes.length >> 1] ^= 1;
  fs.writeFileSync(victim, bytes);
  const flipped = read(copy, path.join(dir, 'flipped'), recipient);
  assert.equal(flipped.status, 4, flipped.stderr);
});
