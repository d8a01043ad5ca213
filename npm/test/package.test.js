import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { node, withoutSecrets } from './helpers.js';
import { makeArchive, withTool } from './made.js';

const source = join(dirname(fileURLToPath(import.meta.url)), '..');
const made = makeArchive();

/**
 * @param {string} cwd
 * @param {string} command
 * @param {string[]} args
 */
function run (cwd, command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', env: withoutSecrets() });
  assert.equal(status, 0, `${command} ${args[0]}: ${error ?? stderr}`);
  return stdout;
}

/** The package, installed into an empty folder without a network. */
const folder = mkdtempSync(join(tmpdir(), 'pryv-backup-package-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const [packed] = JSON.parse(run(source, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder));
run(folder, 'npm', 'init', '-y');
run(folder, 'npm', 'install', '--offline', '--no-audit', '--no-fund', `./${packed.filename}`);

test('the package holds what it runs with, and needs nothing else', () => {
  const files = packed.files.map((/** @type {{ path: string }} */ { path }) => path);
  assert.deepEqual(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')), ['pryv-backup-decryptor']);
  for (const path of ['package.json', 'README.md', 'dist/index.mjs', 'dist/decrypt-backup.mjs', 'dist/types/index.d.ts']) {
    assert.ok(files.includes(path), `${path} is missing`);
  }
  assert.deepEqual(files.filter((/** @type {string} */ path) => !/^(dist\/|package\.json$|README\.md$|LICENSE$)/.test(path)), []);
});

test('its command runs, its threads included', withTool, () => {
  const command = join(folder, 'node_modules/.bin/pryv-backup-decrypt');
  const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  assert.equal(run(folder, node, command, '--version'), `${version}\n`);
  run(folder, node, command, made.folder, ...made.secret, '--out', 'out', '--gunzip', '--jobs', '2');
  assert.ok(existsSync(join(folder, 'out/manifest.json')));
});

test('the library is imported by the name of the package', withTool, () => {
  writeFileSync(join(folder, 'use.mjs'), `
    import { readFileSync } from 'node:fs';
    import { folderSource, openArchive, unlockWith } from 'pryv-backup-decryptor';
    const [folder, key] = process.argv.slice(2);
    const archive = await openArchive(folderSource(folder), { unlock: unlockWith({ privateKey: readFileSync(key) }) });
    console.log(archive.listUsers().length);
    archive.close();`);
  assert.equal(run(folder, node, 'use.mjs', made.folder, made.secret[1]), '3\n');
});

test('its types are those of the source', () => {
  writeFileSync(join(folder, 'use.mts'), `
    import { Archive, DecryptError, exitCodeOf, folderSource, openArchive, unlockWith } from 'pryv-backup-decryptor';
    const archive: Archive = await openArchive(folderSource('.'), { user: 'u', unlock: unlockWith({ passphrase: 'p' }) });
    const id: string = archive.id;
    for (const { username } of archive.listUsers()) for await (const record of archive.records(username)) console.log(id, record);
    const code: number = exitCodeOf(new DecryptError('usage', 'x'));
    // @ts-expect-error there is no such option
    await openArchive(folderSource('.'), { nope: code });`);
  run(folder, node, join(source, 'node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--target', 'es2022',
    '--module', 'nodenext', '--typeRoots', join(source, 'node_modules/@types'), '--types', 'node', 'use.mts');
});
