// Tests of how the runner reads the output of cargo and of Node.js.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CargoOutput } from './cargo.mjs';
import { cut, print, reason } from './summary.mjs';

const ONE_FAILED = `   Compiling pryv-backup v0.1.0
    Finished \`test\` profile
     Running unittests src/lib.rs (target/debug/deps/pryv_backup-1234567890abcdef)

running 2 tests
test one ... skipped: pryv_backup::one: needs root: to be root
ok
test two ... FAILED

failures:

---- two stdout ----

thread 'two' (1) panicked at src/lib.rs:1:1:
it is not so
failures:
a line of the test's own


failures:
    two

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

error: test failed, to rerun pass \`-p pryv-backup --lib\`
     Running tests/killed.rs (target/debug/deps/killed-1234567890abcdef)

running 1 test
     Running tests/good.rs (target/debug/deps/good-1234567890abcdef)

running 1 test
test three ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.00s

error: 2 targets failed:`;

/**
 * @param {string} text
 * @param {number} code
 */
function read (text, code) {
  /** @type {string[]} */
  const said = [];
  const output = new CargoOutput((line) => said.push(line));
  for (const line of text.split('\n')) output.line(line);
  return { said, ...output.end(code) };
}

test('failures, skips and programs that end without a result are told apart', () => {
  const { said, passed, failed, skipped } = read(ONE_FAILED, 101);
  assert.equal(passed, 2);
  assert.deepEqual(failed.map(({ name }) => name), ['pryv_backup::two', 'killed: ended without a result']);
  assert.deepEqual(skipped, [{ name: 'pryv_backup::one', reason: 'needs root: to be root' }]);
  assert.equal(reason(failed[0].output), 'it is not so');
  assert.ok(failed[0].output.includes("a line of the test's own"));
  assert.ok(said.includes('good: 1 passed, 0 failed in 2.00s'));
});

test('a command that fails before any test is a failure', () => {
  const { failed } = read('   Compiling pryv-backup v0.1.0\nerror[E0425]: cannot find value', 101);
  assert.deepEqual(failed, [{ name: 'cargo test', output: ['   Compiling pryv-backup v0.1.0', 'error[E0425]: cannot find value'] }]);
});

test('the names and reasons of failures are the last that is printed', () => {
  /** @type {string[]} */
  const lines = [];
  const failed = [{ name: 'a::b', output: ['', "thread 'b' panicked at x:", 'because'] }];
  print([{ part: 'rust', seconds: 61.4, passed: 3, failed, skipped: [{ name: 'c', reason: 'needs root' }] }], 65, 'logs', (line) => lines.push(line));
  assert.equal(lines.at(-1), '\nfailed:\n  rust: a::b: because');
  assert.match(lines.join('\n'), /==== rust: a::b\n[^]*skipped:\n {2}rust: c: needs root\n[^]*rust +3 +1 +1 +61\n/);
});

test('of very long output the beginning and the end are kept', () => {
  const kept = cut(Array.from({ length: 1000 }, (_, i) => String(i)));
  assert.equal(kept.length, 301);
  assert.deepEqual([kept[0], kept[100], kept.at(-1)], ['0', '[... 700 lines: see the log ...]', '999']);
});

test('the reporter of Node.js tells every test, and why a file does not load', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pryv-backup-runner-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (/** @type {string} */ name) => join(folder, name);
  writeFileSync(at('a.test.mjs'), `import { describe, test } from 'node:test';
    test('good', () => {});
    test('left out', { skip: 'needs root' }, () => {});
    describe('of two', () => { test('bad', () => { throw new Error('it is not so'); }); test('fine', () => {}); });`);
  writeFileSync(at('b.test.mjs'), "throw new Error('missing: chromium');");
  const env = { ...process.env };
  // Else it is a test of this one.
  delete env.NODE_TEST_CONTEXT;
  const reporter = fileURLToPath(new URL('reporter.mjs', import.meta.url));
  const { status } = spawnSync(process.execPath, ['--test', `--test-reporter=${reporter}`, `--test-reporter-destination=${at('out')}`, at('a.test.mjs'), at('b.test.mjs')], { env });
  assert.equal(status, 1);
  const told = readFileSync(at('out'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const outcomes = told.map(({ name, outcome, skip }) => [name.replace(`${folder}/`, ''), outcome, skip]).sort();
  assert.deepEqual(outcomes, [['b.test.mjs', 'failed', undefined], ['good', 'passed', undefined], ['left out', 'skipped', 'needs root'],
    ['of two > bad', 'failed', undefined], ['of two > fine', 'passed', undefined]]);
  assert.match(told.find(({ name }) => name.endsWith('bad')).why, /it is not so/);
  assert.match(told.find(({ name }) => name.endsWith('b.test.mjs')).why, /missing: chromium/);
});
