import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, crewSize } from '../src/pool.js';
import { decrypt, node, scratch, script, tree, withoutSecrets } from './helpers.js';
import { makeArchive, withTool } from './made.js';

const made = makeArchive();
const sealed = makeArchive({ passphrase: 'swordfish' });

/**
 * Several damaged files in a copy: the last byte of each attachment and of each stream file is changed.
 * @param {import('node:test').TestContext} t
 */
function damagedCopy (t) {
  const folder = join(scratch(t), 'damaged');
  cpSync(made.folder, folder, { recursive: true });
  for (const [path, content] of tree(folder)) {
    if (!/file-portrait|streams/.test(path)) continue;
    content[content.length - 1] ^= 1;
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

for (const mode of [[], ['--gunzip'], ['--strict'], ['--salvage'], ['--engine', 'wasm'], ['--verify']]) {
  test(`${mode.join(' ') || 'decrypting'}: many threads say and write what one does`, withTool, (t) => {
    const folders = { whole: made.folder, damaged: damagedCopy(t) };
    for (const [state, folder] of Object.entries(folders)) {
      const runs = ['1', '2', '5'].map((jobs) => {
        const out = join(scratch(t), 'out');
        const target = mode.includes('--verify') ? [] : ['--out', out];
        const run = decrypt([folder, ...made.secret, ...mode, ...target, '--jobs', jobs]);
        const nothing = mode.includes('--verify') || (mode.includes('--strict') && state === 'damaged');
        return { run, files: nothing ? new Map() : tree(out) };
      });
      assert.equal(runs[0].run.status, state === 'whole' ? 0 : 4, runs[0].run.stderr);
      assert.deepEqual(runs[1], runs[0]);
      assert.deepEqual(runs[2], runs[0]);
    }
  });
}

test('small files in volumes are checked at once, by one thread or several, and damaged ones are named', withTool, (t) => {
  const volumes = makeArchive({ volumes: true });
  const folder = join(scratch(t), 'damaged');
  cpSync(volumes.folder, folder, { recursive: true });
  const volume = join(folder, 'volume-0001.tar');
  const bytes = readFileSync(volume);
  const name = bytes.indexOf('/streams.jsonl.gz');
  const start = bytes.lastIndexOf('users/', name);
  const path = bytes.toString('latin1', start, bytes.indexOf(0, start));
  bytes[bytes.indexOf('PRYVBKE1', name) + 80] ^= 1;
  writeFileSync(volume, bytes);
  const verify = (/** @type {string} */ of, /** @type {string} */ jobs) => decrypt([of, ...volumes.secret, '--verify', '--jobs', jobs]);
  const counts = (/** @type {string} */ stdout) => /^\d+ files verified.*$/m.exec(stdout)?.[0];
  assert.equal(counts(verify(volumes.folder, '1').stdout), counts(decrypt([made.folder, ...made.secret, '--verify']).stdout));
  for (const of of [volumes.folder, folder]) {
    const [one, two, five] = ['1', '2', '5'].map((jobs) => verify(of, jobs));
    assert.equal(one.status, of === folder ? 4 : 0, one.stderr);
    assert.equal(one.stderr.includes(`damaged: ${path}: `), of === folder, one.stderr);
    assert.deepEqual(two, one);
    assert.deepEqual(five, one);
  }
});

test('threads open an archive with a passphrase too', withTool, (t) => {
  const out = join(scratch(t), 'out');
  const run = decrypt([sealed.folder, ...sealed.secret, '--jobs', '2', '--out', out]);
  assert.equal(run.status, 0, run.stderr);
  assert.ok(tree(out).size > 30);
});

test('an envelope that is replaced during the run opens nothing', withTool, async (t) => {
  const [folder, out] = ['copy', 'out'].map((name) => join(scratch(t), name));
  cpSync(made.folder, folder, { recursive: true });
  const child = spawn(node, [script, folder, ...made.secret, '--jobs', '2', '--out', out],
    { env: withoutSecrets(), stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const ended = once(child, 'close');
  // The archive is open once there is a staging folder; threads are still to start then.
  while (child.exitCode === null && !(existsSync(out) && readdirSync(out).length > 0)) await sleep(0);
  writeFileSync(join(folder, 'encryption.json'), '{}');
  assert.deepEqual([(await ended)[0], said], [0, '']);
});

test('--strict tells of the first damage only, whoever finds one first', withTool, (t) => {
  const run = decrypt([damagedCopy(t), ...made.secret, '--strict', '--jobs', '3', '--out', join(scratch(t), 'out')]);
  assert.match(run.stderr, /^damaged: .*\n1 problem, named above: nothing was written \(--strict\)\n$/);
});

test('a script that has no file of its own does without threads', withTool, () => {
  const run = spawnSync(node, ['--input-type=module', '-', made.folder, ...made.secret, '--verify', '--jobs', '2'],
    { input: readFileSync(script, 'utf8').replace(/^#!.*/, ''), encoding: 'utf8', env: withoutSecrets() });
  assert.equal(run.status, 0, run.stderr);
});

test('when a thread fails, no thread begins another block or file', async (t) => {
  const worker = join(scratch(t), 'worker.mjs');
  writeFileSync(worker, `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, block }) => {
      if (block === undefined) process.exit(3);
      parentPort.postMessage({ id, bytes: 0, done: { failure: { kind: 'failed', message: 'no' } } });
    });`);
  const block = { path: 'v', offset: 0, length: 0, size: 0, places: new Uint32Array(), order: new Uint8Array() };
  async function * blocks () { for (;;) yield block; }
  /** @type {Promise<void>|undefined} */
  let own;
  const task = /** @type {any} */ ({});
  const source = /** @type {any} */ ({ place: async () => undefined });
  const pool = new Pool(2, worker, task, source, {
    files: async () => assert.fail('other threads read the files'),
    blocks: (all, take) => (own = (async () => {
      for await (const one of all) {
        await sleep(0);
        take(one, new Float64Array([0]));
      }
    })()),
  }, { add () {} });
  t.after(() => pool.stop());
  await assert.rejects(pool.crew.blocks(blocks(), () => {}), { message: 'no' });
  // It would never end.
  await own;
  let begun = 0;
  const files = { * [Symbol.iterator] () { for (;;) yield /** @type {any} */ ({ path: `f${begun++}`, size: 2 ** 30 }); } };
  await assert.rejects(pool.crew.files(files, () => true), /a worker thread ended/);
  const ended = begun;
  await pool.stop();
  await sleep(0);
  assert.equal(begun, ended);
  await assert.rejects(pool.crew.files(files, () => true), { message: 'the run has ended' });
});

test('threads are for archives that are worth it', () => {
  const MB = 1024 * 1024;
  const files = (/** @type {number} */ count, /** @type {number} */ size, gzip = false) =>
    ({ files: count, bytes: count * size, compressed: gzip ? count * size : 0, largest: gzip ? [0, size] : [size, 0] });
  const oneLarge = { files: 31, bytes: 2 ** 40 + 30 * MB, compressed: 0, largest: [2 ** 40, 0] };
  const several = Math.min(availableParallelism(), 8);
  const atMost = (/** @type {number} */ workers) => (several < 2 ? 0 : Math.min(workers, several));
  assert.equal(crewSize(undefined, files(2000, 2048), script, true), 0);
  assert.equal(crewSize(undefined, files(1, 2 ** 40), script, true), 0);
  assert.equal(crewSize(undefined, files(8, 10 * MB), script, true), 0);
  assert.equal(crewSize(undefined, oneLarge, script, true), 0, 'one large file');
  assert.equal(crewSize(undefined, files(8, 64 * MB), script, true), atMost(8));
  assert.equal(crewSize(undefined, files(8, 10 * MB, true), script, true), atMost(8));
  assert.equal(crewSize(undefined, files(8, 10 * MB, true), script, false), 0);
  assert.equal(crewSize(1, files(8, 2 ** 30), script, true), 0);
  assert.equal(crewSize(4, files(8, 1), script, false), 4);
  assert.equal(crewSize(64, files(3, 1), script, false), 3);
  assert.equal(crewSize(2, files(3, 1), '/nowhere/decrypt-backup.mjs', false), 0);
});
