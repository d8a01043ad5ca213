import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { need, needs } from '../../tests/need/need.mjs';
import { decrypt, node, scratch, script, tree, withoutSecrets } from './helpers.js';
import { makeArchive, withTool } from './made.js';

const made = makeArchive({ large: 8 * 1024 * 1024 });
const run = (/** @type {string[]} */ ...args) => decrypt([made.folder, ...made.secret, ...args]);

/**
 * One line that says what went wrong, and nothing else on stderr.
 * @param {{ status: number|null, stderr: string }} result
 * @param {number} status
 * @param {RegExp} message
 */
function assertFailure (result, status, message) {
  assert.match(result.stderr, message);
  assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  assert.equal(result.status, status);
}

/**
 * No file is cut and none is staged: what is there is what a good run writes.
 * @param {import('node:test').TestContext} t
 * @param {string} out
 */
function assertWhole (t, out) {
  const good = join(scratch(t), 'good');
  assert.equal(run('--out', good).status, 0);
  const expected = tree(good);
  for (const [path, content] of existsSync(out) ? tree(out) : []) {
    assert.ok(expected.get(path)?.equals(content), `${path} is not what it should be`);
  }
}

test('--out is a file', withTool, (t) => {
  const file = join(scratch(t), 'file');
  writeFileSync(file, 'mine');
  assertFailure(run('--out', file), 1, /^error: cannot write .*file: it is not a folder\n$/);
  assertFailure(run('--out', join(file, 'below')), 1, /^error: cannot write .*below: it is not a folder\n$/);
  assert.deepEqual([...tree(join(file, '..'))], [['file', Buffer.from('mine')]]);
});

test('--out leads into the backup by a link: refused before anything is done', withTool, (t) => {
  const before = readdirSync(made.folder, { recursive: true }).length;
  const link = join(scratch(t), 'link');
  symlinkSync(made.folder, link);
  for (const out of [link, join(link, 'users'), join(link, 'new', 'folder'), made.folder]) {
    assertFailure(run('--out', out, '--force'), 2, /is inside the backup/);
  }
  assert.equal(readdirSync(made.folder, { recursive: true }).length, before);
});

test('a link in the output does not lead out of it', withTool, (t) => {
  const [out, elsewhere] = [scratch(t), scratch(t)];
  symlinkSync(elsewhere, join(out, 'users'));
  assertFailure(run('--out', out, '--force'), 1, /users is not a folder/);
  assert.deepEqual(readdirSync(elsewhere), []);
});

test('control characters of a name do not reach the terminal', withTool, (t) => {
  const folder = scratch(t);
  symlinkSync('/', join(folder, 'a\u001b[2Jb'));
  assertFailure(decrypt([folder, '--list']), 4, /a\\u001b\[2Jb is a symbolic link/);
});

const root = process.getuid?.() === 0;

for (const jobs of ['1', '2']) {
  test(`the disk is full, --jobs ${jobs}: exit 1, nothing half is left`, withTool, (t) => {
    const disk = scratch(t);
    const mounted = root && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;
    const { skip } = need('mount', mounted);
    if (skip !== undefined) return t.skip(skip);
    try {
      const out = join(disk, 'out');
      assertFailure(run('--out', out, '--jobs', jobs), 1, /^error: cannot write users\/.*ENOSPC/);
      assertWhole(t, out);
    } finally {
      spawnSync('umount', [disk]);
    }
  });

  test(`a stored file cannot be read, --jobs ${jobs}: exit 1, it is named`, withTool, (t) => {
    // Root can read everything, so somebody else does the reading.
    const scene = mkdtempSync(join(tmpdir(), 'pryv-backup-faults-'));
    t.after(() => rmSync(scene, { recursive: true, force: true }));
    const [folder, key, mine] = ['backup', 'key.pem', 'mine'].map((name) => join(scene, name));
    cpSync(made.folder, folder, { recursive: true });
    cpSync(made.secret[1], key);
    cpSync(script, join(scene, 'decrypt-backup.mjs'));
    mkdirSync(mine);
    const as = root ? ['runuser', '-u', 'nobody', '--'] : ['env'];
    spawnSync('chmod', ['-R', 'a+rX', scene]);
    chmodSync(mine, 0o777);
    const stored = [...tree(folder).keys()];
    const { skip } = need('nobody', spawnSync(as[0], [...as.slice(1), node, '--version']).status === 0);
    if (skip !== undefined) return t.skip(skip);

    for (const path of [/\/file-letter$/, /\/user-manifest\.json$/, /^manifest\.json$/, /^encryption\.json$/]
      .map((pattern) => stored.find((path) => pattern.test(path)) ?? '')) {
      chmodSync(join(folder, path), 0);
      const out = join(mine, path.replaceAll('/', '-'));
      const { status, stderr } = spawnSync(as[0], [...as.slice(1), node, join(scene, 'decrypt-backup.mjs'), folder,
        '--private-key', key, '--out', out, '--jobs', jobs], { encoding: 'utf8', cwd: '/', env: withoutSecrets() });
      chmodSync(join(folder, path), 0o644);
      assertFailure({ status, stderr }, 1, new RegExp(`^error: cannot read ${path}: .*EACCES`));
      assertWhole(t, out);
    }
  });
}

/**
 * The command with a part of the address space only.
 * @param {number} kilobytes
 * @param {string[]} flags of Node.js
 * @param {string[]} args
 */
function cramped (kilobytes, flags, args) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', `ulimit -c 0; ulimit -v ${kilobytes} && exec "$0" "$@"`, node, ...flags, script, ...args],
    { env: withoutSecrets(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return { status, stdout, stderr };
}

const onLinux = needs(need('linux', process.platform === 'linux'), withTool);

test('too little address space', onLinux, () => {
  assertFailure(cramped(4_000_000, [], [made.folder, ...made.secret, '--verify']), 1, /^error: WebAssembly gets no memory: raise the limit .*ulimit -v/);
  // Enough for one thread, and none is begun that would end them all.
  const result = cramped(20_000_000, [], [made.folder, ...made.secret, '--verify', '--jobs', '4']);
  assert.equal(result.status, 0, result.stderr);
});

test('what is advised then helps', onLinux, (t) => {
  const flag = '--disable-wasm-trap-handler';
  const { skip } = need('flag', spawnSync(node, [flag, '--version']).status === 0);
  if (skip !== undefined) return t.skip(skip);
  const args = [made.folder, ...made.secret, '--verify', '--jobs', '4'];
  const result = cramped(4_000_000, [flag], args);
  assert.equal(result.status, 0, result.stderr);
  // Between too little for Node.js itself and enough, where chance decides how much there is, the core says what it lacks in one line.
  const sealed = makeArchive({ passphrase: 'swordfish' });
  let told = 0;
  for (let kilobytes = 700_000; kilobytes < 1_100_000; kilobytes += 20_000) {
    const { status, stderr } = cramped(kilobytes, [flag], [sealed.folder, ...sealed.secret, '--verify']);
    if (status !== 1) continue;
    told += 1;
    assert.match(stderr, /^error: .*ulimit -v.*\n$/);
  }
  t.diagnostic(`told ${told} times`);
});
