import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from '../src/args.js';

test('flags with a value take it after a space or an equals sign', () => {
  const options = parseArgs(['backup', '--out', 'o', '--private-key=k.pem', '--gunzip']);
  assert.equal(options.dir, 'backup');
  assert.equal(options.out, 'o');
  assert.deepEqual(options.privateKey, ['k.pem']);
  assert.equal(options.gunzip, true);
  assert.equal(options.engine, 'auto');
});

test('keys and passphrases may be given several times, other options once', () => {
  const options = parseArgs(['--list', '--private-key', 'a', '--private-key=b', '--passphrase-file', 'c', '--passphrase-file', 'd']);
  assert.deepEqual(options.privateKey, ['a', 'b']);
  assert.deepEqual(options.passphraseFile, ['c', 'd']);
  assert.throws(() => parseArgs(['--list', '--at', '1', '--at', '2']), /--at is given twice/);
});

for (const [args, message] of /** @type {Array<[string[], RegExp]>} */ ([
  [['--nope'], /unknown option --nope/],
  [['--out'], /--out needs a value/],
  [['a', 'b', '--list'], /one backup only/],
  [['--list', '--verify'], /one of --list and --verify/],
  [['a'], /say what to do/],
  [['--list', '--engine', 'gpu'], /--engine is auto, host or wasm/],
  [['--list', '--passphrase', 'a', '--passphrase-file', 'b'], /not both/],
  [['--out', 'o', '--strict', '--salvage'], /exclude each other/],
  [['--list', '--expect-id', 'abc'], /64 hex digits/],
  [['--list', '--jobs', '0'], /--jobs takes a number from 1 to 64/],
  [['--list', '--jobs', '2x'], /--jobs takes a number from 1 to 64/],
  [['--list=1'], /takes no value/],
])) {
  test(`usage error: ${args.join(' ')}`, () => {
    assert.throws(() => parseArgs(args), (/** @type {any} */ error) => error.kind === 'usage' && message.test(error.message));
  });
}
