// Runs every part of the tests, whatever became of the parts before it, and prints one summary: `node scripts/test/run.mjs [PART...]`.
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CargoOutput } from './cargo.mjs';
import { cut, print } from './summary.mjs';

/** @typedef {import('./summary.mjs').Result} Result */

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const logs = join(root, '.build/test');
/** The test kit, made once for all tests. */
const kit = join(logs, 'kit');
/** What builds the tests of Rust with all that they run, and makes the kit. */
const programs = ['cargo test --workspace --no-run', `'${resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/testkit')}' '${kit}'`];

/** Each part in its order. What `build` builds is for all; after it, those of OF_RUST run beside the others. @type {Record<string, (log: string) => Promise<Result>>} */
const PARTS = {
  build: commands('make --no-print-directory script page', 'scripts/build-wasm.sh pryv-backup-vectors wasm-vectors', ...programs),
  rust: cargo('cargo test --workspace --no-fail-fast'),
  'wasm-vectors': nodeTests('tests/wasm'),
  browsers: nodeTests('tests/browser'),
  npm: nodeTests('npm/test'),
  'independent-reader': nodeTests('tests/independent-reader'),
  runner: nodeTests('scripts/test'),
  reproducible: commands('scripts/test/reproducible.sh'),
  lint: commands('cargo fmt --check', 'cargo clippy --quiet --workspace --all-targets -- -D warnings', 'scripts/deny.sh',
    'npm --prefix npm run --silent lint', 'npm --prefix npm run --silent check',
    'npm/node_modules/.bin/eslint --config npm/eslint.config.mjs scripts tests/bench tests/independent-reader tests/need tests/wasm'),
};

/** The vectors are written by tests of Rust. */
const OF_RUST = ['rust', 'wasm-vectors'];

/** Commands, each of which is a test. @param {string[]} lines */
function commands (...lines) {
  return async (/** @type {string} */ log) => {
    /** @type {Result} */
    const result = { passed: 0, failed: [], skipped: [] };
    for (const line of lines) {
      /** @type {string[]} */
      const output = [];
      const code = await shell(line, log, (one) => output.push(one));
      if (code === 0) result.passed += 1;
      else result.failed.push({ name: line, output: cut(output) });
      for (const one of output) {
        const skipped = /^skipped: (.*?): (.*)$/.exec(one);
        if (skipped) result.skipped.push({ name: skipped[1], reason: skipped[2] });
      }
    }
    return result;
  };
}

/** @param {string} line */
function cargo (line) {
  return async (/** @type {string} */ log) => {
    if (!existsSync(kit)) for (const program of programs) await shell(program, log, () => {});
    const output = new CargoOutput((text) => console.log(`  ${text}`));
    const code = await shell(line, log, (one) => output.line(one));
    return output.end(code);
  };
}

/** Parts that run now. */
let running = 0;

/** Test files that run side by side: one on each core of this part. Node.js by itself leaves a core idle; before 20.10 it has no option for it. */
function concurrency () {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const cores = Math.max(1, Math.floor(availableParallelism() / running));
  return major > 20 || (major === 20 && minor >= 10) ? [`--test-concurrency=${cores}`] : [];
}

/** The test files of a folder. @param {string} folder */
function nodeTests (folder) {
  return async (/** @type {string} */ log) => {
    const results = log.replace(/\.log$/, '.jsonl');
    const files = readdirSync(join(root, folder)).filter((name) => /\.test\.m?js$/.test(name)).sort().map((name) => join(folder, name));
    /** @type {string[]} */
    const output = [];
    const code = await shell(['node', '--test', ...concurrency(), `--test-reporter=${join(here, 'reporter.mjs')}`, `--test-reporter-destination=${results}`,
      '--test-reporter=spec', '--test-reporter-destination=stdout', ...files].join(' '), log, (one) => output.push(one));
    const told = existsSync(results) ? readFileSync(results, 'utf8').split('\n').filter((one) => one !== '').map((one) => JSON.parse(one)) : [];
    const name = (/** @type {any} */ one) => one.name.startsWith(root) ? relative(root, one.name) : `${relative(root, one.file)}: ${one.name}`;
    const failed = told.filter((one) => one.outcome === 'failed').map((one) => ({ name: name(one), output: cut(one.why.split('\n')) }));
    // Whatever else ended the command is a failure too.
    if (code !== 0 && failed.length === 0) failed.push({ name: `node --test ${folder}`, output: cut(output) });
    if (code === 0 && told.length === 0) failed.push({ name: `node --test ${folder}: no test ran`, output: cut(output) });
    return {
      passed: told.filter((one) => one.outcome === 'passed').length,
      failed,
      skipped: told.filter((one) => one.outcome === 'skipped').map((one) => ({ name: name(one), reason: String(one.skip) })),
    };
  };
}

/**
 * Runs a command line; whatever it prints goes into the log, and line by line to `each`.
 * @param {string} line
 * @param {string} log
 * @param {(line: string) => void} each
 * @returns {Promise<number|null>} its exit code
 */
async function shell (line, log, each) {
  const file = createWriteStream(log, { flags: 'a' });
  file.write(`$ ${line}\n`);
  // Tests sign with keys that are not kept and pin nobody, whoever runs them: below a file there is no folder.
  const env = { ...process.env, PRYV_BACKUP_STATE_DIR: '/dev/null/state', ...existsSync(join(kit, 'keys')) ? { TESTKIT: kit } : {} };
  const child = spawn('sh', ['-c', `exec 2>&1; ${line}`], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  for await (const one of createInterface({ input: child.stdout, crlfDelay: Infinity })) {
    file.write(`${one}\n`);
    each(one);
  }
  const code = await ended;
  await new Promise((resolve) => file.end(resolve));
  return code;
}

/**
 * Runs parts one after the other.
 * @param {string[]} parts
 */
async function inTurn (parts) {
  const done = [];
  for (const part of parts) {
    console.log(`== ${part}`);
    const started = Date.now();
    const elapsed = () => (Date.now() - started) / 1000;
    // A sign of life, since most of what is printed goes to the log only.
    const sign = setInterval(() => console.log(`  ${part}: ${elapsed().toFixed()} s`), 60_000);
    running += 1;
    const result = await PARTS[part](join(logs, `${part}.log`));
    running -= 1;
    clearInterval(sign);
    const seconds = elapsed();
    console.log(`== ${part}: ${result.passed} passed, ${result.failed.length} failed, ${result.skipped.length} skipped in ${seconds.toFixed()} s`);
    done.push({ part, seconds, ...result });
  }
  return done;
}

async function main () {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !(name in PARTS));
  if (unknown.length > 0) {
    console.error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
    return 2;
  }
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  const started = Date.now();
  const parts = asked.length > 0 ? asked : Object.keys(PARTS);
  // Without a build before them, parts may build what those after them use.
  const build = parts[0] === 'build' ? 1 : parts.length;
  const done = await inTurn(parts.slice(0, build));
  const rest = parts.slice(build);
  const beside = [rest.filter((part) => OF_RUST.includes(part)), rest.filter((part) => !OF_RUST.includes(part))];
  done.push(...(await Promise.all(beside.map(inTurn))).flat());
  rmSync(kit, { recursive: true, force: true });
  print(done, (Date.now() - started) / 1000, relative(process.cwd(), logs));
  return done.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

process.exitCode = await main();
