import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { need, needs } from '../../tests/need/need.mjs';
import { archive, key, KEY_PASSPHRASE, node, scratch, script, tree, withFixtures, withoutSecrets } from './helpers.js';
import { makeArchive, withTool } from './made.js';

const SECRET = 'sword fish & chips';
const PROMPT = 'Passphrase of the backup: ';
const made = makeArchive({ passphrase: SECRET });
const python = spawnSync('python3', ['-c', 'import pty, termios']).status === 0;
const withTerminal = needs(need('python', python), withTool);

/**
 * Runs the command on a terminal.
 * @param {string[]} steps what to wait for, and what to type then
 * @param {string[]} args
 * @returns {{ status: number, shown: string, restored: boolean, stepsLeft: number }}
 */
function onTerminal (steps, args) {
  const helper = join(dirname(fileURLToPath(import.meta.url)), 'terminal.py');
  const { stdout, stderr } = spawnSync('python3', [helper, ...steps, '--', node, script, ...args],
    { encoding: 'utf8', env: withoutSecrets() });
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout);
}

test('a passphrase is typed without being shown', withTerminal, (t) => {
  const out = join(scratch(t), 'out');
  const run = onTerminal([`${PROMPT}=>${SECRET}\\n`], [made.folder, '--out', out]);
  assert.equal(run.status, 0, run.shown);
  assert.ok(run.shown.includes(PROMPT));
  assert.ok(!run.shown.includes('sword') && !run.shown.includes('chips'), run.shown);
  assert.ok(run.restored, 'the terminal is as it was');
  assert.ok(tree(out).has('manifest.json'));
});

test('corrections while typing count', withTerminal, () => {
  const run = onTerminal([`${PROMPT}=>x\\x7f${SECRET}zz\\x7f\\x7f\\r`], [made.folder, '--list']);
  assert.equal(run.status, 0, run.shown);
});

test('the passphrase of the private key is asked for', { ...withTerminal, ...withFixtures }, () => {
  const run = onTerminal([`Passphrase of the private key: =>${KEY_PASSPHRASE}\\n`],
    [archive('small-hybrid-nocompress'), '--private-key', key('recipient.key.enc.pem'), '--list']);
  assert.equal(run.status, 0, run.shown);
  assert.ok(!run.shown.includes(KEY_PASSPHRASE));
});

test('a wrong passphrase: exit 3', withTerminal, (t) => {
  const out = join(scratch(t), 'out');
  const run = onTerminal([`${PROMPT}=>wrong\\n`], [made.folder, '--out', out]);
  assert.equal(run.status, 3, run.shown);
  assert.match(run.shown, /\r\nerror: wrong passphrase for this archive: give it exactly as it was when the backup was made\r\n$/);
  assert.ok(run.restored && !existsSync(out));
});

for (const [what, keys, status] of /** @type {const} */ ([['Ctrl-C', 'half of it\\x03', 130], ['Ctrl-D', '\\x04', 3]])) {
  test(`${what} at the prompt: exit ${status}, nothing is left, the terminal is as it was`, withTerminal, (t) => {
    const out = join(scratch(t), 'out');
    const run = onTerminal([`${PROMPT}=>${keys}`], [made.folder, '--out', out]);
    assert.equal(run.status, status, run.shown);
    assert.equal(run.stepsLeft, 0);
    assert.ok(run.restored, 'the terminal is as it was');
    assert.ok(!run.shown.includes('half'));
    assert.ok(!existsSync(out));
  });
}

test('the progress line is wiped away at the end', withTerminal, (t) => {
  const run = onTerminal([`${PROMPT}=>${SECRET}\\n`], [made.folder, '--out', join(scratch(t), 'out'), '--jobs', '2']);
  assert.match(run.shown, /\r\x1b\[K\d+ files decrypted/);
});
