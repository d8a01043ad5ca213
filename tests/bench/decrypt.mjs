// How fast and in how much memory one large file is decrypted: decrypt-backup.mjs (host engine, wasm engine), the native
// command, a bare node:crypto loop, and age, on the same content, in turns. Figures are the best of ROUNDS; compare them
// within one run only. Usage: node decrypt.mjs [GIB …]   (default 1; the wasm engine, age and the loop run at the first size)
import { spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, privateDecrypt, randomFillSync, constants } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tool = process.env.PRYV_BACKUP_BIN ?? join(here, '../../target/release/pryv-backup');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const sizes = process.argv.slice(2).map(Number);
if (sizes.length === 0) sizes.push(1);

const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'pryv-backup-bench-'));
// Results go to memory where there is some: the disk is not what is measured.
const outRoot = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : root, 'pryv-backup-bench-'));
const out = join(outRoot, 'out');
process.on('exit', () => [root, outRoot].forEach((folder) => rmSync(folder, { recursive: true, force: true })));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

console.log(`${process.version}, ${tool}`);
for (const [turn, gib] of sizes.entries()) await measure(gib, turn === 0);

/**
 * @param {number} gib
 * @param {boolean} all every contestant, or the script with the host engine and the native command alone
 */
async function measure (gib, all) {
  const folder = join(root, `${gib}`);
  mkdirSync(folder);
  const { archive, plain, sealed, dataKey } = prepare(folder, gib);
  const script = (/** @type {string} */ engine) => [process.execPath, join(archive, 'decrypt-backup.mjs'), archive,
    '--private-key', join(folder, 'key.pem'), '--engine', engine, '--out', out];
  /** @type {Record<string, string[]>} */
  const contestants = {
    'decrypt-backup.mjs, host engine': script('host'),
    'pryv-backup decrypt': [tool, 'decrypt', archive, '--private-key', join(folder, 'key.pem'), '--out', out],
  };
  if (all) {
    contestants['bare node:crypto loop'] = [process.execPath, join(here, 'bare-loop.mjs'), sealed, dataKey, out];
    contestants['decrypt-backup.mjs, wasm engine'] = script('wasm');
    if (spawnSync('age', ['--version']).status === 0) {
      must('age-keygen', ['-o', join(folder, 'age.key')]);
      const recipient = /public key: (\S+)/.exec(readFileSync(join(folder, 'age.key'), 'utf8'))?.[1] ?? '';
      must('age', ['-r', recipient, '-o', join(folder, 'plain.age'), plain]);
      contestants['age -d'] = ['age', '-d', '-i', join(folder, 'age.key'), '-o', out, join(folder, 'plain.age')];
    } else {
      console.log('SKIPPED: age is not installed');
    }
  }
  /** @type {Record<string, { seconds: number, peak: number }>} */
  const best = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, command] of Object.entries(contestants)) {
      rmSync(out, { recursive: true, force: true });
      const run = await timed(command);
      best[name] ??= { seconds: Infinity, peak: 0 };
      best[name].seconds = Math.min(best[name].seconds, run.seconds);
      best[name].peak = Math.max(best[name].peak, run.peak);
    }
  }
  console.log(`\n${gib} GiB, best of ${ROUNDS} (peak: the worst)`);
  for (const [name, { seconds, peak }] of Object.entries(best)) {
    const speed = gib * 1024 ** 3 / 1e6 / seconds;
    console.log(`${name.padEnd(34)}${seconds.toFixed(2).padStart(8)} s ${speed.toFixed(0).padStart(6)} MB/s ${(peak / 1e6).toFixed(0).padStart(6)} MB`);
  }
  if (all) {
    ratio(best, 'decrypt-backup.mjs, host engine', 'bare node:crypto loop');
    ratio(best, 'pryv-backup decrypt', 'age -d');
  }
  rmSync(folder, { recursive: true });
}

/**
 * @param {Record<string, { seconds: number }>} best
 * @param {string} ours
 * @param {string} theirs
 */
function ratio (best, ours, theirs) {
  if (best[theirs] === undefined) return;
  console.log(`speed of ${ours} : ${theirs} = ${(best[theirs].seconds / best[ours].seconds).toFixed(2)}`);
}

/**
 * A sample platform in which one attachment is large and random, and its archive.
 * @param {string} folder
 * @param {number} gib
 */
function prepare (folder, gib) {
  must(tool, ['keygen', '--output', join(folder, 'key.pem')]);
  must(tool, ['sample', join(folder, 'platform')]);
  const attachments = readdirSync(join(folder, 'platform'), { recursive: true })
    .map((name) => join(folder, 'platform', String(name)))
    .filter((path) => path.includes('/attachments/') && statSync(path).isFile());
  const plain = attachments[0];
  fill(plain, gib * 1024 ** 3);
  const archive = join(folder, 'archive');
  must(tool, ['--pryv-root', join(folder, 'platform'), '--config', join(folder, 'platform/config.yml'), '--platform', 'none',
    '--output', archive, '--recipient-pubkey', join(folder, 'key.pub.pem')]);
  const sealed = readdirSync(archive, { recursive: true })
    .map((name) => join(archive, String(name)))
    .filter((path) => statSync(path).isFile())
    .reduce((a, b) => (statSync(a).size > statSync(b).size ? a : b));
  const { wrappedKey } = JSON.parse(readFileSync(join(archive, 'encryption.json'), 'utf8'));
  const dataKey = privateDecrypt({
    key: createPrivateKey(readFileSync(join(folder, 'key.pem'))),
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
  }, Buffer.from(wrappedKey, 'base64')).toString('hex');
  return { archive, plain, sealed, dataKey };
}

/**
 * @param {string} path
 * @param {number} size
 */
function fill (path, size) {
  const file = openSync(path, 'w');
  const block = Buffer.allocUnsafe(16 * 1024 * 1024);
  for (let at = 0; at < size; at += block.length) writeSync(file, randomFillSync(block), 0, Math.min(block.length, size - at));
  closeSync(file);
}

/**
 * Runs a command; `peak` is the most memory (resident, bytes) that it held.
 * @param {string[]} command
 * @returns {Promise<{ seconds: number, peak: number }>}
 */
function timed ([program, ...args]) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let peak = 0;
    let said = '';
    child.stderr.on('data', (text) => { said += text; });
    const watch = setInterval(() => {
      try {
        const high = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
        peak = Math.max(peak, Number(high?.[1] ?? 0) * 1024);
      } catch {
        // It has ended.
      }
    }, 10);
    child.on('exit', (code) => {
      clearInterval(watch);
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      if (code === 0) resolve({ seconds, peak });
      else reject(new Error(`${program} ended with ${code}: ${said}`));
    });
  });
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function must (program, args) {
  const { status, stderr } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status}: ${stderr}`);
}
