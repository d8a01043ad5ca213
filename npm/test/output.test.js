// Standard output that nobody reads any more, or that cannot be written.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { need, needs } from '../../tests/need/need.mjs';
import { archive, node, scratch, script, tree, withFixtures, withoutSecrets } from './helpers.js';

/** Runs a line of the shell, in which `$RUN` is the command. @param {string} line */
function shell (line) {
  const env = { ...withoutSecrets(), RUN: `${node} ${script} ${archive('small-plain')}` };
  return spawnSync('bash', ['-c', line], { env, encoding: 'utf8' });
}

test('a reader that has seen enough ends nothing', withFixtures, (t) => {
  const out = join(scratch(t), 'out');
  for (const how of ['--list', '--verify', `--out ${out}`]) {
    // `exec` first, so that the reader is gone before anything is said.
    const { stdout, stderr } = shell(`{ sleep 0.2; $RUN ${how}; echo "code $?" >&2; } | exec true`);
    assert.equal(stdout, '');
    assert.match(stderr, /^code 0$/m, how);
    assert.doesNotMatch(stderr, /error|node:|at .*\(/i, how);
  }
  assert.ok(tree(out).size > 5);
});

test('a full device is said in one line, and what was asked for is done', needs(need('linux', existsSync('/dev/full')), withFixtures), (t) => {
  const out = join(scratch(t), 'out');
  mkdirSync(out);
  for (const how of ['--list', '--verify', `--out ${out}`]) {
    const { status, stderr } = shell(`$RUN ${how} > /dev/full`);
    assert.equal(status, 1, stderr);
    const errors = stderr.split('\n').filter((line) => /error|node:|^ +at /i.test(line));
    assert.equal(errors.length, 1, stderr);
    assert.match(errors[0], /^error: standard output could not be written: .*ENOSPC.*; what was done stands/);
  }
  assert.ok(tree(out).size > 5);
});
