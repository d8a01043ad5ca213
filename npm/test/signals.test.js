import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { node, scratch, script, tree, withoutSecrets } from './helpers.js';
import { makeArchive, withTool } from './made.js';

const LARGE = 320 * 1024 * 1024;
const PORTRAIT = 200_000; // the same attachment of the other users
const BEGUN = 8 * 1024 * 1024;
const made = makeArchive({ large: LARGE });

/** Whether the large file is being written in the staging folder of `out`. */
function isUnderWay (/** @type {string} */ out) {
  try {
    return readdirSync(out, { recursive: true, encoding: 'utf8' })
      .some((path) => path.startsWith('.decrypting-') && path.endsWith('file-portrait') && statSync(join(out, path)).size > BEGUN);
  } catch {
    return false; // the folder does not exist yet, or a file was just renamed
  }
}

/**
 * Interrupts a run in the middle of the large file.
 * @param {string} out
 * @param {string[]} args
 * @param {NodeJS.Signals} signal
 */
async function interrupt (out, args, signal) {
  const child = spawn(node, [script, made.folder, ...made.secret, '--out', out, ...args],
    { env: withoutSecrets(), stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const ended = once(child, 'close');
  while (child.exitCode === null && !isUnderWay(out)) await sleep(2);
  assert.equal(child.exitCode, null, `the run was over before it could be interrupted: ${said}`);
  child.kill(signal);
  const [code, killedBy] = await ended;
  return { code, killedBy, said };
}

for (const jobs of ['1', '2']) {
  for (const [signal, code] of /** @type {const} */ ([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])) {
    test(`${signal} in the middle of a large file, --jobs ${jobs}: exit ${code}, no half of it stays`, withTool, async (t) => {
      const out = join(scratch(t), 'out');
      const run = await interrupt(out, ['--jobs', jobs], signal);
      assert.deepEqual(run, { code, killedBy: null, said: '\ninterrupted\n' });
      const left = existsSync(out) ? tree(out) : new Map();
      for (const [path, content] of left) {
        assert.ok(!path.startsWith('.decrypting-'), path);
        if (path.endsWith('file-portrait')) assert.ok([PORTRAIT, LARGE].includes(content.length), `${path} is cut`);
      }
      assert.ok(!left.has('manifest.json'));
    });
  }
}

test('--strict: an interrupted run leaves nothing, not even the folder', withTool, async (t) => {
  const out = join(scratch(t), 'out');
  assert.equal((await interrupt(out, ['--strict', '--jobs', '2'], 'SIGINT')).code, 130);
  assert.ok(!existsSync(out));
});

test('--force: what was in the folder before stays', withTool, async (t) => {
  const out = scratch(t);
  assert.equal((await interrupt(out, ['--force'], 'SIGINT')).code, 130);
  assert.ok(existsSync(out));
  assert.ok(![...tree(out).keys()].some((path) => path.startsWith('.decrypting-')));
});
