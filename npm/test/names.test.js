import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { placeOf } from '../src/names.js';

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
