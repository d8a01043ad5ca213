import { DecryptError } from './errors.js';

export const HELP = `Usage: node decrypt-backup.mjs [BACKUP] [options]

Opens a Pryv.io backup. BACKUP is its folder, or the tar file that it was written to (default: the current folder, else the one this
script is in).

What to do (default: decrypt into --out):
  --out DIR                     write the decrypted files there
  --list                        show the users and what the backup holds of each
  --verify                      check every file, write nothing

Keys (each may be given several times: every run of a chain is tried with each):
  --private-key FILE            private key (PEM or DER)
  --private-key-passphrase S    its passphrase (better: PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE, or wait to be asked)
  --passphrase S                passphrase of the backup (better: PRYV_BACKUP_PASSPHRASE, or wait to be asked)
  --passphrase-file FILE        the same, from a file

Whose backups are taken, and in which shape:
  --signer KEY                  take backups of this signer only (the public key that the report of a backup prints, or a file with it);
                                may be given several times (or PRYV_BACKUP_SIGNER; default: those in /etc/pryv-backup/signers)
  --expect-source SOURCE        take backups of this platform only (the source that the report of a backup prints)
  --expect-id ID                refuse any archive but this one (SHA-256 of manifest.json as stored)
  --max-age TIME                refuse a backup that is older: 30d, 12h, 2w
  --accept-unsigned             take a backup that nobody signed although a signer is expected: of Pryv's own tool, or one that was
                                decrypted before
  --allow-plaintext             take a backup that is not encrypted although a key or passphrase is given
  --require-encrypted           refuse a backup that is not encrypted (or PRYV_BACKUP_REQUIRE_ENCRYPTED=1)

Options:
  --gunzip                      write plain .jsonl instead of .jsonl.gz
  --at RUN                      of a chain: the state at this run, counted from 1 (default: the newest)
  --user ID                     only this user (userId or username)
  --force                       write into a folder that is not empty
  --create-parents              make the folders above --out too; otherwise a missing one is taken for a disk that is not mounted
  --strict                      write nothing at all if anything is damaged
  --salvage                     keep what can be read of a damaged file, in FILE.salvaged
  --jobs N                      files at once (default: one per core when there is much to do; 1: no threads)
  --engine auto|host|wasm       who does the AES: node:crypto or the built-in code (default: auto)
  --help, --version

Exit codes: 0 done, 1 failed, 2 usage, 3 no key or a wrong one, 4 archive damaged or tampered with, 130 interrupted.
`;

const MOST_JOBS = 64;

/** Name of the flag -> key of the options, for flags with a value. */
/** @type {Record<string, string>} */
const VALUES = {
  '--out': 'out',
  '--private-key': 'privateKey',
  '--private-key-passphrase': 'privateKeyPassphrase',
  '--passphrase': 'passphrase',
  '--passphrase-file': 'passphraseFile',
  '--at': 'at',
  '--user': 'user',
  '--engine': 'engine',
  '--signer': 'signer',
  '--expect-source': 'expectSource',
  '--expect-id': 'expectId',
  '--max-age': 'maxAge',
  '--jobs': 'jobs',
};

/** Flags that may be given several times: their options are lists. */
const LISTS = new Set(['--private-key', '--private-key-passphrase', '--passphrase', '--passphrase-file', '--signer']);

/** @type {Record<string, string>} */
const SWITCHES = {
  '--gunzip': 'gunzip',
  '--list': 'list',
  '--verify': 'verify',
  '--force': 'force',
  '--create-parents': 'createParents',
  '--strict': 'strict',
  '--salvage': 'salvage',
  '--accept-unsigned': 'acceptUnsigned',
  '--allow-plaintext': 'allowPlaintext',
  '--require-encrypted': 'requireEncrypted',
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
};

/**
 * @typedef {{ dir?: string, out?: string, privateKey?: string[], privateKeyPassphrase?: string[], passphrase?: string[],
 *   passphraseFile?: string[], user?: string, at?: number, engine: import('./types.js').EngineChoice, signer?: string[], expectSource?: string,
 *   expectId?: string, maxAge?: string, jobs?: number, createParents: boolean, gunzip: boolean, list: boolean, verify: boolean, force: boolean, strict: boolean,
 *   salvage: boolean, acceptUnsigned: boolean, allowPlaintext: boolean, requireEncrypted: boolean, help: boolean, version: boolean }} Options
 */

/**
 * @param {string[]} args without node and the script
 * @returns {Options}
 * @throws {DecryptError} `usage`
 */
export function parseArgs (args) {
  /** @type {any} */
  const options = { engine: 'auto' };
  for (const key of Object.values(SWITCHES)) options[key] = false;
  let flags = true;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (flags && arg === '--') { flags = false; continue; }
    if (!flags || !arg.startsWith('-')) {
      if (options.dir !== undefined) throw usage(`one backup only: ${options.dir} or ${arg}`);
      options.dir = arg;
      continue;
    }
    const equals = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const name = equals === -1 ? arg : arg.slice(0, equals);
    if (name in SWITCHES) {
      if (equals !== -1) throw usage(`${name} takes no value`);
      options[SWITCHES[name]] = true;
    } else if (name in VALUES) {
      const value = equals === -1 ? args[++i] : arg.slice(equals + 1);
      if (value === undefined || value === '') throw usage(`${name} needs a value`);
      if (LISTS.has(name)) {
        options[VALUES[name]] = [...options[VALUES[name]] ?? [], value];
        continue;
      }
      if (options[VALUES[name]] !== undefined && name !== '--engine') throw usage(`${name} is given twice`);
      options[VALUES[name]] = value;
    } else {
      throw usage(`unknown option ${name}`);
    }
  }
  return options.help || options.version ? options : checked(options);
}

/** @param {Options} options */
function checked (options) {
  if (!['auto', 'host', 'wasm'].includes(options.engine)) throw usage(`--engine is auto, host or wasm, not ${options.engine}`);
  if (options.passphrase !== undefined && options.passphraseFile !== undefined) {
    throw usage('give --passphrase or --passphrase-file, not both');
  }
  const modes = [['--out', options.out !== undefined], ['--list', options.list], ['--verify', options.verify]]
    .filter(([, given]) => given).map(([name]) => name);
  if (modes.length > 1) throw usage(`give one of ${modes.join(' and ')}`);
  if (modes.length === 0) throw usage('say what to do: --out DIR, --list or --verify');
  if (options.strict && options.salvage) throw usage('--strict and --salvage exclude each other');
  if (options.expectId !== undefined && !/^[0-9a-f]{64}$/i.test(options.expectId)) {
    throw usage('--expect-id takes the 64 hex digits of the archive id');
  }
  if (options.at !== undefined) {
    if (!/^[1-9]\d{0,8}$/.test(String(options.at))) throw usage(`--at takes the number of a run, counted from 1, not ${options.at}`);
    options.at = Number(options.at);
  }
  if (options.jobs !== undefined) {
    const jobs = Number(options.jobs);
    if (!/^\d+$/.test(String(options.jobs)) || jobs < 1 || jobs > MOST_JOBS) {
      throw usage(`--jobs takes a number from 1 to ${MOST_JOBS}, not ${options.jobs}`);
    }
    options.jobs = jobs;
  }
  return options;
}

/** @param {string} message */
function usage (message) {
  return new DecryptError('usage', `${message} (--help shows all options)`);
}
