import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fixtures, needFixtures } from '../../tests/need/need.mjs';

const here = dirname(fileURLToPath(import.meta.url));
export const script = join(here, '../dist/decrypt-backup.mjs');

/** The Node.js that runs the command: another than that of the tests with DECRYPT_NODE. */
export const node = process.env.DECRYPT_NODE || process.execPath;

/** Options of a test that needs the fixtures. */
export const withFixtures = needFixtures();

export const PASSPHRASE = 'correct horse bättery 🔋 staple';
export const KEY_PASSPHRASE = 'peer-key-pass';

/** @param {string} name */
export const archive = (name) => join(fixtures, 'archives', name);
/** @param {string} name */
export const key = (name) => join(fixtures, 'keys', name);

/**
 * Runs the command without a terminal and without secrets from the environment.
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
export function decrypt (args, env = {}) {
  const { status, stdout, stderr } = spawnSync(node, [script, ...args],
    { env: { ...withoutSecrets(), ...env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return { status, stdout, stderr };
}

/**
 * The environment without what would open an archive or say whose are taken. What the native tool would remember has no place: its
 * archives are signed by a key that is not kept.
 */
export function withoutSecrets () {
  const clean = { ...process.env, PRYV_BACKUP_STATE_DIR: join(script, 'state') };
  delete clean.PRYV_BACKUP_PASSPHRASE;
  delete clean.PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE;
  delete clean.PRYV_BACKUP_SIGNER;
  delete clean.PRYV_BACKUP_REQUIRE_ENCRYPTED;
  return clean;
}

/**
 * A folder that goes away after the test.
 * @param {import('node:test').TestContext} t
 */
export function scratch (t) {
  const folder = mkdtempSync(join(tmpdir(), 'pryv-backup-npm-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * A copy of an archive that a test may damage.
 * @param {import('node:test').TestContext} t
 * @param {string} name
 */
export function copyOf (t, name) {
  const folder = join(scratch(t), 'copy');
  cpSync(archive(name), folder, { recursive: true });
  return folder;
}

/**
 * The content of every file of a folder, by its path with `/`.
 * @param {string} folder
 * @returns {Map<string, Buffer>}
 */
export function tree (folder) {
  const found = new Map();
  const walk = (/** @type {string} */ at) => {
    for (const name of readdirSync(at).sort()) {
      const path = join(at, name);
      if (statSync(path).isDirectory()) walk(path);
      else found.set(relative(folder, path).split(sep).join('/'), readFileSync(path));
    }
  };
  walk(folder);
  return found;
}
