import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
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
 * Interrupts a run in the middle of the large file: it is held there until it is certain to be. One that was over before is begun again.
 * @param {() => string} place a folder for what it writes
 * @param {string[]} args
 * @param {NodeJS.Signals} signal
 */
async function interrupt (place, args, signal) {
  for (let attempt = 1; ; attempt++) {
    const out = place();
    const child = spawn(node, [script, made.folder, ...made.secret, '--out', out, ...args],
      { env: withoutSecrets(), stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
    const ended = once(child, 'close');
    while (child.exitCode === null && !isUnderWay(out)) await sleep(2);
    child.kill('SIGSTOP');
    const held = child.exitCode === null && isUnderWay(out);
    if (held) child.kill(signal);
    child.kill('SIGCONT');
    const [code, killedBy] = await ended;
    if (held) return { out, run: { code, killedBy, said } };
    assert.ok(attempt < 20, `the run was over before it could be interrupted: ${said}`);
  }
}

for (const jobs of ['1', '2']) {
  for (const [signal, code] of /** @type {const} */ ([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])) {
    test(`${signal} in the middle of a large file, --jobs ${jobs}: exit ${code}, no half of it stays`, withTool, async (t) => {
      const { out, run } = await interrupt(() => join(scratch(t), 'out'), ['--jobs', jobs], signal);
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

test('a small file that inflates to gigabytes does not keep a signal waiting', async (t) => {
  const folder = scratch(t);
  const member = gzipSync('{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}\n'.repeat(1_000_000));
  const user = { userId: 'u', username: 'u', stats: {}, chunks: { events: ['events-0001.jsonl.gz'] } };
  mkdirSync(join(folder, 'users/u/events'), { recursive: true });
  writeFileSync(join(folder, 'users/u/events/events-0001.jsonl.gz'), Buffer.concat(Array(200).fill(member)));
  for (const name of ['streams', 'accesses', 'profile', 'webhooks', 'account']) {
    writeFileSync(join(folder, `users/u/${name}.jsonl.gz`), gzipSync(''));
  }
  writeFileSync(join(folder, 'users/u/user-manifest.json'), JSON.stringify(user));
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ formatVersion: 1, users: [user] }));
  const child = spawn(node, [script, folder, '--verify', '--jobs', '1'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  await once(child.stdout, 'data'); // the archive is open
  await sleep(500);
  const begun = Date.now();
  child.kill('SIGINT');
  assert.deepEqual(await ended, [130, null]);
  assert.ok(Date.now() - begun < 3000, 'the signal waited');
});

test('--strict: an interrupted run leaves nothing, not even the folders that it made', withTool, async (t) => {
  const { out, run } = await interrupt(() => join(scratch(t), 'new', 'out'), ['--strict', '--create-parents', '--jobs', '2'], 'SIGINT');
  assert.equal(run.code, 130);
  assert.deepEqual(readdirSync(join(out, '..', '..')), []);
});

test('--force: what was in the folder before stays', withTool, async (t) => {
  const { out, run } = await interrupt(() => scratch(t), ['--force'], 'SIGINT');
  assert.equal(run.code, 130);
  assert.ok(existsSync(out));
  assert.ok(![...tree(out).keys()].some((path) => path.startsWith('.decrypting-')));
});
