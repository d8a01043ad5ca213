import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { node, scratch, script, tree, withoutSecrets } from './helpers.js';
import { makeArchive, withTool } from './made.js';

const made = makeArchive();
// Node.js 20 and the first versions of 22 call it so.
const confine = ['--permission', '--experimental-permission'].find((option) => spawnSync(node, [option, '--allow-fs-read=*', '-e', '0']).status === 0);
const withPermission = withTool.skip ? withTool : confine === undefined ? { skip: 'this Node.js cannot confine a script' } : {};

/**
 * Runs the script, which may read these paths and write into those.
 * @param {{ read: string[], write?: string[] }} allowed
 * @param {string[]} args
 */
function confined ({ read, write = [] }, args) {
  const options = [...read.map((path) => `--allow-fs-read=${path}`), ...write.map((path) => `--allow-fs-write=${path}`)];
  return spawnSync(node, [confine ?? '', ...options, script, ...args], { env: withoutSecrets(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('it needs to read the backup and the key, and to write into its target', withPermission, (t) => {
  const out = join(scratch(t), 'out');
  mkdirSync(out);
  const read = [script, made.folder, made.secret[1], out];
  for (const mode of [['--out', out, '--jobs', '4'], ['--list'], ['--verify']]) {
    const { status, stderr } = confined({ read, write: [out] }, [made.folder, ...made.secret, ...mode]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /signers .* are not looked at/);
  }
  assert.ok(tree(out).size > 10);
});

test('it is kept from anything else', withPermission, (t) => {
  const folder = scratch(t);
  const [out, other] = [join(folder, 'out'), join(folder, 'other')];
  for (const path of [out, other]) mkdirSync(path);
  const read = [script, made.folder, made.secret[1], folder];
  const elsewhere = confined({ read, write: [out] }, [made.folder, ...made.secret, '--out', other]);
  assert.equal(elsewhere.status, 1, elsewhere.stderr);
  assert.equal(tree(other).size, 0);
  writeFileSync(join(folder, 'passphrase'), 'x');
  const unread = confined({ read: [script, made.folder] }, [made.folder, '--passphrase-file', join(folder, 'passphrase'), '--list']);
  assert.notEqual(unread.status, 0);
  assert.match(unread.stderr, /restricted/);
});
