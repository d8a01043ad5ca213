import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { collisionIn } from '../src/collision.js';
import { placeOf } from '../src/names.js';
import { OutputFolder } from '../src/output.js';
import { scratch } from './helpers.js';

const { posix, win32 } = path;

test('a path of the archive becomes one of the system', () => {
  assert.equal(placeOf('/out', 'users/u1/streams.jsonl', posix), '/out/users/u1/streams.jsonl');
  assert.equal(placeOf('C:\\out', 'users/u1/streams.jsonl', win32), 'C:\\out\\users\\u1\\streams.jsonl');
  assert.equal(placeOf('C:\\', 'manifest.json', win32), 'C:\\manifest.json');
  assert.equal(placeOf('/', 'manifest.json', posix), '/manifest.json');
  assert.equal(placeOf('\\\\server\\share\\out', 'a/b', win32), '\\\\server\\share\\out\\a\\b');
});

for (const name of ['../x', 'a/../../x', '/etc/passwd', '..']) {
  test(`${name} does not lead out of the folder`, () => {
    for (const [root, system] of /** @type {const} */ ([['/out', posix], ['C:\\out', win32]])) {
      // A leading slash is an empty first part, which the folder swallows.
      if (name.startsWith('/')) assert.ok(placeOf(root, name, system).startsWith(root + system.sep));
      else assert.throws(() => placeOf(root, name, system), /leads out of the folder/);
    }
  });
}

for (const part of ['nul', 'CON', 'com1', 'LPT9.txt', 'aux.tar.gz', 'Prn .x', 'CONIN$', 'com²', 'a:b', 'C:', 'a\\b', 'a.', 'a ', 'a?', 'a\u0001']) {
  test(`Windows has no file named ${JSON.stringify(part)}`, () => {
    assert.throws(() => placeOf('C:\\out', `users/u1/attachments/${part}`, win32),
      (/** @type {any} */ error) => error.kind === 'failed' && error.message.includes(`Windows has no file named ${part}`));
    assert.throws(() => placeOf('C:\\out', `users/${part}/streams.jsonl`, win32), /Windows has no file named/);
  });
}

for (const part of ['null', 'console', 'com', 'com10', 'auxiliary.txt', 'a.nul', 'ä 🖼.bin', '.hidden']) {
  test(`Windows takes ${part}`, () => {
    assert.equal(placeOf('C:\\out', `users/${part}`, win32), `C:\\out\\users\\${part}`);
  });
}

const same = (/** @type {string[]} */ ...names) => names.map((name) => /** @type {[string, string]} */ ([name, name]));

test('names that differ in case are one file where case does not count', () => {
  const files = same('users/u/attachments/A', 'users/u/attachments/b', 'users/u/attachments/a');
  assert.deepEqual(collisionIn(files, true), ['users/u/attachments/A', 'users/u/attachments/a']);
  assert.equal(collisionIn(files, false), undefined);
});

test('so are folders, and letters made of one or two characters', () => {
  assert.deepEqual(collisionIn(same('users/Ab/x', 'users/ab/y'), true), ['users/Ab', 'users/ab']);
  const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
  assert.deepEqual(collisionIn(same(composed, decomposed), true), [composed, decomposed]);
  assert.equal(collisionIn(same('users/a/x', 'users/a/y', 'users/b/x'), true), undefined);
});

test('two files that would be written to one path collide everywhere, and both are named', () => {
  assert.deepEqual(collisionIn([['s.jsonl', 's.jsonl'], ['s.jsonl.gz', 's.jsonl']], false), ['s.jsonl', 's.jsonl.gz']);
});

test('an output refuses files that would overwrite each other, and names them', (t) => {
  const output = new OutputFolder(scratch(t), { force: true, together: false });
  const files = same('users/u/attachments/A', 'users/u/attachments/a');
  assert.throws(() => output.requireDistinct(files, true), (/** @type {any} */ error) => error.kind === 'failed' &&
    error.message.startsWith('users/u/attachments/A and users/u/attachments/a would overwrite each other in '));
  output.requireDistinct(files, false);
  // Linux tells A from a; what others do depends on the disk.
  if (process.platform === 'linux') output.requireDistinct(files);
  output.abandon();
});
