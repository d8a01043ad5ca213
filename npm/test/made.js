// Archives made by the native tool: the one of PRYV_BACKUP, else the one that was built in this repository.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { need } from '../../tests/need/need.mjs';
import { withoutSecrets } from './helpers.js';

const target = join(dirname(fileURLToPath(import.meta.url)), '../../target');
const candidates = [process.env.PRYV_BACKUP ?? '', join(target, 'release/pryv-backup'), join(target, 'debug/pryv-backup')];
const tool = candidates.find((path) => path !== '' && existsSync(path));

/** Options of a test that needs an archive made. */
export const withTool = need('tool', tool !== undefined);

/**
 * The sample platform's archives and their key; one attachment has `large` bytes. All is gone after the tests.
 * @param {{ large?: number, passphrase?: string, volumes?: boolean }} [options] sealed with the passphrase, else for the key
 */
export function makeArchive ({ large, passphrase, volumes = false } = {}) {
  if (tool === undefined) return { folder: '', secret: [''] };
  const scratch = mkdtempSync(join(tmpdir(), 'pryv-backup-made-'));
  after(() => rmSync(scratch, { recursive: true, force: true }));
  const [platform, folder, key] = ['platform', 'backup', 'key.pem'].map((name) => join(scratch, name));
  run('sample', platform);
  run('keygen', '--output', key);
  if (large !== undefined) {
    const stored = readdirSync(platform, { recursive: true, encoding: 'utf8' }).find((path) => path.endsWith('file-portrait'));
    truncateSync(join(platform, stored ?? ''), large);
  }
  // Of another size than its event says, it is a loss that is named.
  const due = large === undefined ? 0 : 5;
  expect(due, '--quiet', '--pryv-root', platform, '--config', join(platform, 'config.yml'), '--platform', 'none', '--output', folder,
    ...(volumes ? ['--layout', 'volumes'] : []),
    ...(passphrase === undefined ? ['--recipient-pubkey', join(scratch, 'key.pub.pem')] : ['--encrypt-passphrase', passphrase]));
  const secret = passphrase === undefined ? ['--private-key', key] : ['--passphrase', passphrase];
  return { folder, secret };
}

/** @param {string[]} args */
function run (...args) {
  expect(0, ...args);
}

/**
 * @param {number} due the exit code
 * @param {string[]} args
 */
function expect (due, ...args) {
  const { status, stderr } = spawnSync(/** @type {string} */ (tool), args, { encoding: 'utf8', env: withoutSecrets() });
  if (status !== due) throw new Error(`pryv-backup ${args[0]}: ${stderr}`);
}
