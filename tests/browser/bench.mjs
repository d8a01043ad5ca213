// How fast the page decrypts and how much memory it takes: a 1 GiB attachment against decrypt-backup.mjs, and 1,000,000 events of
// one user: time to index them, to filter them, to search them. Usage: node tests/browser/bench.mjs [GIB] [EVENTS] [KEY BACKUP...]: how long it
// takes until the users of each backup, a folder or a tar file, are listed.
import { spawnSync } from 'node:child_process';
import { hkdfSync, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, closeBrowser, hasChromium, open, openPage, repository, verdict } from './browser.mjs';
import { Draft } from './draft.mjs';

const gib = Number(process.argv[2] ?? 1);
const events = Number(process.argv[3] ?? 1_000_000);
if (!hasChromium) {
  console.log('SKIPPED: no Chromium (make setup, or CHROMIUM=path)');
  process.exit(0);
}
const scratch = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'pryv-backup-page-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
await chromium();
if (gib > 0) await large();
if (events > 0) await many();
const [key, ...backups] = process.argv.slice(4);
for (const backup of backups) await listed(backup, key);
await closeBrowser();

async function large () {
  const size = gib * 1024 ** 3;
  const draft = new Draft(join(scratch, 'large'));
  const block = randomBytes(16 * 1024 * 1024);
  draft.attachment('large', (function * () { for (let at = 0; at < size; at += block.length) yield block; })());
  draft.records('events/events-0001', [{ id: 'e1', streamIds: ['s'], time: 1, endTime: 1, type: 'file/attached', attachments: [{ id: 'large', fileName: 'large.bin', size }] }]);
  draft.finish();
  readFileSync(join(draft.folder, 'users/u1/attachments/large')); // both find it in the page cache

  const out = join(mkdtempSync('/dev/shm/pryv-page-bench-'), 'out');
  const script = join(repository, 'npm/dist/decrypt-backup.mjs');
  let node = Infinity;
  const decrypt = () => {
    const started = process.hrtime.bigint();
    const { status, stderr } = spawnSync(process.execPath, [script, draft.folder, '--private-key', draft.privateKey, '--out', out, '--engine', 'host'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    node = Math.min(node, Number(process.hrtime.bigint() - started) / 1e9);
    rmSync(out, { recursive: true });
  };
  const rate = (/** @type {number} */ seconds) => `${seconds.toFixed(2)} s, ${(size / 1e6 / seconds).toFixed(0)} MB/s, ${(node / seconds).toFixed(2)} of the script's speed`;
  const best = { verify: Infinity, save: Infinity, there: Infinity, opened: Infinity, collected: Infinity };
  let most = 0;
  for (let round = 0; round < 3; round++) {
    decrypt();
    const { tab, close } = await openPage();
    await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
    const peak = watch();
    const verified = Date.now();
    await verdict(tab);
    best.verify = Math.min(best.verify, (Date.now() - verified) / 1000);
    await tab.click('text=Save everything');
    const started = Date.now();
    const [download] = await Promise.all([tab.waitForEvent('download', { timeout: 600_000 }), tab.click('[data-save=zip]')]);
    await tab.waitForSelector('[data-saved]', { timeout: 600_000 });
    best.save = Math.min(best.save, (Date.now() - started) / 1000);
    await download.path();
    best.there = Math.min(best.there, (Date.now() - started) / 1000);
    most = Math.max(most, peak.stop());
    await download.delete();
    await close();
    const [opened, collected] = await bare(draft);
    best.opened = Math.min(best.opened, opened);
    best.collected = Math.min(best.collected, collected);
  }
  rmSync(join(out, '..'), { recursive: true });
  console.log(`${gib} GiB attachment, best of three: decrypt-backup.mjs ${rate(node)}`);
  console.log(`  page: checked ${rate(best.verify)}`);
  console.log(`  page: saved as ZIP ${rate(best.save)}; the browser's copy of it is in the downloads after ${best.there.toFixed(2)} s; peak of the renderer ${most} MB`);
  console.log(`  bare loop in the browser: reads and opens frames ${rate(best.opened)}; collects them for a download too ${rate(best.collected)}`);
}

/**
 * The least that any page must do: the attachment's file is read into one buffer and its frames are opened by WebCrypto, then also
 * collected in blobs. Seconds of each.
 * @param {Draft} draft
 * @returns {Promise<[number, number]>}
 */
async function bare (draft) {
  const path = 'users/u1/attachments/large';
  const file = openSync(join(draft.folder, path), 'r');
  const head = Buffer.alloc(1024);
  readSync(file, head);
  closeSync(file);
  const start = 12 + head.readUInt32BE(8);
  const salt = Buffer.from(JSON.parse(head.subarray(12, start).toString()).salt, 'base64');
  const fileKey = [...Buffer.from(hkdfSync('sha256', draft.key, salt, 'pryv-backup-file-v1', 32))];
  const { tab, close } = await openPage();
  await tab.evaluate(() => document.body.append(Object.assign(document.createElement('input'), { type: 'file', id: 'bare' })));
  await tab.setInputFiles('#bare', join(draft.folder, path));
  const run = (/** @type {boolean} */ collect) => tab.evaluate(async ({ start, fileKey, collect }) => {
    const input = /** @type {HTMLInputElement} */ (document.querySelector('#bare'));
    const blob = /** @type {FileList} */ (input.files)[0].slice(start);
    const key = await crypto.subtle.importKey('raw', new Uint8Array(fileKey), 'AES-GCM', false, ['decrypt']);
    const FRAME = 65536 + 16 + 4;
    const began = performance.now();
    const reader = blob.stream().getReader({ mode: 'byob' });
    Reflect.set(window, 'reader', reader); // or it may be collected as garbage
    /** @type {Array<Promise<ArrayBuffer>>} */
    const coming = [];
    /** @type {Blob[]} */
    const parts = [];
    const gather = new Uint8Array(64 * 65536);
    let [filled, index] = [0, 0];
    const take = async () => {
      const plain = new Uint8Array(await /** @type {Promise<ArrayBuffer>} */ (coming.shift()));
      if (!collect) return;
      gather.set(plain, filled);
      filled += plain.length;
      if (filled < gather.length) return;
      parts.push(new Blob([gather]));
      filled = 0;
    };
    let buffer = new ArrayBuffer(16 * FRAME);
    for (let done = false; !done;) {
      let size = 0;
      while (!done && size < buffer.byteLength) {
        const read = await reader.read(new Uint8Array(buffer, size));
        done = read.done;
        if (read.value === undefined) break;
        buffer = /** @type {ArrayBuffer} */ (read.value.buffer);
        size += read.value.length;
      }
      for (let at = 0; at + FRAME <= size; at += FRAME) {
        const iv = new Uint8Array(12);
        new DataView(iv.buffer).setUint32(8, index++);
        coming.push(crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, new Uint8Array(buffer, at + 4, FRAME - 4)));
      }
      while (coming.length > 32) await take();
    }
    while (coming.length > 0) await take();
    const whole = new Blob([...parts, gather.subarray(0, filled)]);
    if (collect) await whole.slice(-1).arrayBuffer();
    if (index * FRAME !== blob.size || (collect && whole.size !== index * 65536)) throw new Error(`${index} frames, ${whole.size} bytes`);
    return (performance.now() - began) / 1000;
  }, { start, fileKey, collect });
  const opened = await run(false);
  const collected = await run(true);
  await close();
  return [opened, collected];
}

async function many () {
  const draft = new Draft(join(scratch, 'many'));
  const streams = Array.from({ length: 50 }, (_, i) => ({ id: `s${i}`, name: `Stream ${i}`, parentId: i === 0 ? null : `s${Math.floor((i - 1) / 3)}` }));
  draft.records('streams', streams);
  const types = ['mass/kg', 'note/txt', 'temperature/c', 'activity/plain', 'frequency/bpm', 'count/generic'];
  const perFile = 120_000;
  for (let file = 0; file * perFile < events; file++) {
    draft.records(`events/events-${String(file + 1).padStart(4, '0')}`, (function * () {
      for (let i = file * perFile; i < Math.min(events, (file + 1) * perFile); i++) {
        const type = types[i % types.length];
        const time = 1_600_000_000 + ((i * 7919) % events) * 60 + 0.123;
        yield { id: `e${i.toString(36).padStart(24, 'x')}`, streamIds: [`s${(i * 31) % 50}`], time, endTime: time, type,
          content: type === 'note/txt' ? `Note number ${i}, ${Math.sin(i).toString(36)}: the patient slept well and took the medicine as prescribed` : Math.round(Math.sin(i / 1000) * 1000) / 10,
          description: 'measured at home', integrity: `EVENT:0:sha256-${randomBytes(32).toString('base64')}`, created: time, createdBy: 'af0rb3zoi6bvj58hfdgjdpy7', modified: time, modifiedBy: 'af0rb3zoi6bvj58hfdgjdpy7' };
      }
    })());
  }
  draft.finish();
  const stored = readdirSync(join(draft.folder, 'users/u1/events')).reduce((sum, name) => sum + statSync(join(draft.folder, 'users/u1/events', name)).size, 0);
  const { tab, close } = await openPage();
  tab.setDefaultTimeout(300_000);
  const peak = watch();
  await open(tab, { folder: draft.folder, privateKey: draft.privateKey });
  await verdict(tab);
  const started = Date.now();
  await tab.click('tr[data-user] th button');
  await tab.waitForSelector('[data-count]:not([data-count=""])');
  const indexed = (Date.now() - started) / 1000;
  console.log(`${events} events (${(stored / 1e6).toFixed(0)} MB stored): indexed in ${indexed.toFixed(1)} s; peak of the renderer ${peak.now()} MB`);
  const ask = async (/** @type {string} */ what, /** @type {() => Promise<unknown>} */ act) => {
    await tab.evaluate(() => { const status = /** @type {HTMLElement} */ (document.querySelector('[data-count]')); status.dataset.count = ''; });
    await act();
    await tab.waitForSelector('[data-count]:not([data-count=""])');
    const [count, ms, worker] = await tab.evaluate(() => { const { count, ms, workerMs } = /** @type {HTMLElement} */ (document.querySelector('[data-count]')).dataset; return [count, ms, workerMs]; });
    console.log(`  ${what}: ${count} found, ${ms} ms (${worker} ms in the worker)`);
  };
  await ask('by stream', () => tab.selectOption('[name=stream]', 's3'));
  await ask('by type', () => tab.selectOption('[name=type]', { index: 2 }));
  await ask('by date', () => tab.fill('[name=from]', '2021-01-01'));
  await ask('everything', () => tab.click('text=Reset'));
  await ask('text', async () => { await tab.fill('[name=text]', 'number 4242'); await tab.click('.filters button[type=submit]'); });
  await tab.click('text=Reset');
  await tab.click('[data-tab=charts]');
  const drawn = Date.now();
  await tab.waitForSelector('[data-points]');
  console.log(`  chart of ${await tab.getAttribute('[data-points]', 'data-points')} values: ${Date.now() - drawn} ms; peak of the renderer ${peak.stop()} MB`);
  await close();
}

/** @param {string} backup @param {string} privateKey */
async function listed (backup, privateKey) {
  const tar = statSync(backup).isFile();
  const [chosen, listed] = [[], []].map((all) => /** @type {number[]} */ (all));
  let users = 0;
  let most = 0;
  for (let round = 0; round < 3; round++) {
    const { tab, close } = await openPage();
    const peak = watch();
    const since = (/** @type {number} */ start) => (performance.now() - start) / 1000;
    const choice = performance.now();
    await tab.setInputFiles(tar ? '[data-input=packed]' : '[data-input=folder]', backup);
    await tab.waitForSelector('.key-card [data-input=key]', { state: 'attached' });
    chosen.push(since(choice));
    await tab.setInputFiles('[data-input=key]', privateKey);
    await tab.waitForSelector('.key-card button[type=submit]');
    const started = performance.now();
    await tab.click('.key-card button[type=submit]');
    await tab.waitForSelector('tr[data-user]', { timeout: 300_000 });
    listed.push(since(started));
    users = await tab.evaluate(() => Number((document.querySelector('main')?.innerText.match(/([\d,. ]+) users/) ?? [])[1]?.replace(/\D/g, '')));
    most = Math.max(most, peak.stop());
    await close();
  }
  const best = (/** @type {number[]} */ all) => Math.min(...all).toFixed(2);
  console.log(`${backup}: ${users} users, chosen in ${best(chosen)} s, listed in ${best(listed)} s; peak of the renderer ${most} MB`);
}

/** The most memory that a renderer held since, in MB (resident). */
function watch () {
  let most = 0;
  const look = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
        most = Math.max(most, Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000);
      } catch {
        // It has ended.
      }
    }
  };
  const timer = setInterval(look, 100);
  const now = () => { look(); return Math.round(most); };
  return { now, stop: () => { clearInterval(timer); return now(); } };
}
