import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { Draft, SOURCE, chained } from '../../tests/browser/draft.mjs';
import { SigningKey } from '../../tests/browser/minisign.mjs';
import { archive, decrypt, scratch, tree, withFixtures } from './helpers.js';

/** @typedef {import('node:test').TestContext} Context */

const [MANIFEST, SIGNATURE] = ['manifest.json', 'manifest.json.minisig'];
const NOT_PINNED = '; no expected signer was given: compare it with what was noted when the backup was made\n';

/**
 * @param {Context} t
 * @param {import('../../tests/browser/draft.mjs').Manner} [manner]
 */
function made (t, manner) {
  const draft = new Draft(join(scratch(t), 'archive'), manner);
  draft.records('events/events-0001', [{ id: 'e', streamIds: ['s'], time: 1, type: 'note/txt', content: 'text' }]);
  return draft.finish();
}

/**
 * Decrypts, checks, and lists with the command, and opens with the library: all must come to the same.
 * @param {string} folder
 * @param {string[]} args
 * @param {{ exit: number, says: string|RegExp, library?: any, env?: Record<string, string> }} due `library`: the options of `openArchive`
 */
async function agreed (folder, args, { exit, says, library, env }) {
  const out = `${folder}-out`;
  for (const mode of [['--verify'], ['--list'], ['--out', out]]) {
    const seen = decrypt([folder, ...mode, ...args], env);
    const said = `${seen.stdout}${seen.stderr}`;
    assert.equal(seen.status, exit, said);
    assert.ok(typeof says === 'string' ? said.includes(says) : says.test(said), said);
  }
  if (exit !== 0) assert.throws(() => tree(out), { code: 'ENOENT' }, 'nothing is written');
  rmSync(out, { recursive: true, force: true });
  if (library === undefined) return;
  const { exitCodeOf, folderSource, openArchive, unlockWith } = await import('../dist/index.mjs');
  const { privateKey, ...options } = library;
  const unlock = privateKey && unlockWith({ privateKey: readFileSync(privateKey) });
  const opening = openArchive(folderSource(folder), { unlock, ...options });
  if (exit === 0) return (await opening).close();
  await assert.rejects(opening, (/** @type {any} */ error) => {
    const said = error.message + (error.advice ?? '');
    return exitCodeOf(error) === exit && (typeof says === 'string' ? said.includes(says) : says.test(said));
  });
}

test('who signed is said, and is refused where somebody else is expected', async (t) => {
  const { folder, privateKey, signing: { signer } } = made(t);
  const stranger = new SigningKey().signer;
  const key = ['--private-key', privateKey];
  await agreed(folder, key, { exit: 0, says: `signed by ${signer}${NOT_PINNED}`, library: { privateKey } });
  await agreed(folder, [...key, '--signer', stranger, '--signer', signer], { exit: 0, says: `signed by ${signer}, as expected\n`, library: { privateKey, signers: [stranger, signer] } });
  await agreed(folder, [...key, '--signer', stranger], { exit: 4, says: `this backup is signed by ${signer}, which is not the signer that you expect`, library: { privateKey, signers: [stranger] } });
  await agreed(folder, key, { exit: 4, says: 'not the signer that you expect', env: { PRYV_BACKUP_SIGNER: stranger } });
  await agreed(folder, key, { exit: 0, says: 'as expected', env: { PRYV_BACKUP_SIGNER: `${stranger},${signer}` } });
  await agreed(folder, [...key, '--signer', signer], { exit: 0, says: 'as expected', env: { PRYV_BACKUP_SIGNER: stranger } });
  await agreed(folder, [...key, '--signer', 'RWnothing'], { exit: 2, says: 'not the public key of a signer', library: { privateKey, signers: ['RWnothing'] } });
  const proven = decrypt([folder, '--verify', ...key, '--signer', signer]).stdout;
  assert.match(proven, /: all good\n$/);
  assert.match(decrypt([folder, '--verify', ...key]).stdout, /: all good \(who made it was not checked: give --signer KEY\)\n$/);
  const file = `${folder}.pub`;
  writeFileSync(file, `untrusted comment: minisign public key\n${signer}\n`);
  await agreed(folder, [...key, '--signer', file], { exit: 0, says: 'as expected', library: { privateKey, signers: [readFileSync(file, 'utf8')] } });
});

test('the signers of the machine count where no other is given', async (t) => {
  const bundle = join(scratch(t), 'signers.mjs');
  await build({ entryPoints: [fileURLToPath(new URL('../src/signers.js', import.meta.url))], outfile: bundle, bundle: true, format: 'esm', platform: 'node', loader: { '.wasm': 'binary' } });
  const { expectedSigners } = await import(pathToFileURL(bundle).href);
  const [one, two] = [new SigningKey().signer, new SigningKey().signer];
  const file = join(scratch(t), 'signers');
  writeFileSync(file, `# ours\n${one}\n\n  ${two}\n`);
  assert.deepEqual(expectedSigners(undefined, {}, file), [one, two]);
  assert.deepEqual(expectedSigners([two], {}, file), [two]);
  assert.deepEqual(expectedSigners(undefined, { PRYV_BACKUP_SIGNER: two }, file), [two]);
  assert.deepEqual(expectedSigners(undefined, {}, `${file}.none`), []);
  writeFileSync(file, `${one}\nRWnot\n`);
  assert.throws(() => expectedSigners(undefined, {}, file), (/** @type {any} */ error) => error.kind === 'failed' && error.message.startsWith(`${file}, line 2: `));
  assert.throws(() => expectedSigners(undefined, { PRYV_BACKUP_SIGNER: '' }, file), (/** @type {any} */ error) => error.kind === 'usage' && error.message.includes('PRYV_BACKUP_SIGNER'));
  // Whole files of minisign, one after the other.
  writeFileSync(file, [one, two].map((key) => `untrusted comment: minisign public key\n${key}\n`).join(''));
  assert.deepEqual(expectedSigners(undefined, {}, file), [one, two]);
});

test('the platform and the age that are expected', async (t) => {
  const { folder, privateKey } = made(t, { made: Date.now() - 3 * 86_400_000 });
  const key = ['--private-key', privateKey];
  await agreed(folder, [...key, '--expect-source', SOURCE.toUpperCase(), '--max-age', '4d'], { exit: 0, says: NOT_PINNED, library: { privateKey, expectSource: SOURCE, maxAge: '4d' } });
  await agreed(folder, [...key, '--expect-source', 'f'.repeat(32)], { exit: 4, says: 'this backup is of another platform', library: { privateKey, expectSource: 'f'.repeat(32) } });
  await agreed(folder, [...key, '--max-age', '2d'], { exit: 4, says: 'this backup is too old: it was made 3 days ago', library: { privateKey, maxAge: '2d' } });
  await agreed(folder, [...key, '--max-age', '2y'], { exit: 2, says: 'is no length of time', library: { privateKey, maxAge: '2y' } });
  await agreed(folder, [...key, '--expect-source', 'abc'], { exit: 2, says: 'a source has 32 hex digits', library: { privateKey, expectSource: 'abc' } });
});

test('an archive in the clear where an encrypted one is expected', async (t) => {
  const { folder, privateKey } = made(t, { sealed: false });
  const refused = 'this backup is not encrypted, though you gave a key: it may have been replaced';
  await agreed(folder, [], { exit: 0, says: NOT_PINNED, library: {} });
  await agreed(folder, ['--private-key', privateKey], { exit: 4, says: refused, library: { privateKey } });
  await agreed(folder, ['--passphrase', 's'], { exit: 4, says: refused, library: { secretGiven: true } });
  await agreed(folder, [], { exit: 4, says: refused, env: { PRYV_BACKUP_PASSPHRASE: 's' } });
  const passphrase = `${folder}.passphrase`;
  writeFileSync(passphrase, 's\n');
  await agreed(folder, ['--passphrase-file', passphrase], { exit: 4, says: refused });
  await agreed(folder, ['--private-key', privateKey, '--allow-plaintext'], { exit: 0, says: NOT_PINNED, library: { privateKey, allowPlaintext: true } });
  const required = 'this backup is not encrypted, and an encrypted one is required';
  await agreed(folder, ['--require-encrypted'], { exit: 4, says: required, library: { requireEncrypted: true } });
  for (const value of ['1', 'yes', 'TRUE', 'anything']) await agreed(folder, [], { exit: 4, says: required, env: { PRYV_BACKUP_REQUIRE_ENCRYPTED: value } });
  for (const value of ['', '0', 'no', 'False', 'OFF']) await agreed(folder, [], { exit: 0, says: NOT_PINNED, env: { PRYV_BACKUP_REQUIRE_ENCRYPTED: value } });
  await agreed(folder, ['--require-encrypted', '--allow-plaintext'], { exit: 2, says: '--allow-plaintext excludes --require-encrypted and PRYV_BACKUP_REQUIRE_ENCRYPTED' });
  await agreed(folder, ['--allow-plaintext'], { exit: 2, says: '--allow-plaintext excludes --require-encrypted and PRYV_BACKUP_REQUIRE_ENCRYPTED', env: { PRYV_BACKUP_REQUIRE_ENCRYPTED: '1' } });
});

test('what nobody signs is taken where no signer is expected, or when it is said so', withFixtures, async (t) => {
  const { signer } = new SigningKey();
  const says = 'warning: nobody signed this backup: nothing proves who made it\n';
  const folder = join(scratch(t), 'pryv');
  cpSync(archive('small-plain'), folder, { recursive: true });
  await agreed(folder, [], { exit: 0, says, library: {} });
  await agreed(folder, ['--signer', signer], { exit: 4, says: 'nobody signed this backup, and a signer is expected', library: { signers: [signer] } });
  await agreed(folder, ['--signer', signer, '--accept-unsigned'], { exit: 0, says, library: { signers: [signer], acceptUnsigned: true } });
  await agreed(folder, ['--max-age', '1d'], { exit: 4, says: 'neither its platform nor its age is proven', library: { maxAge: '1d' } });
});

test('what was decrypted is not signed any more', async (t) => {
  const { folder, privateKey } = made(t);
  const out = `${folder}-decrypted`;
  assert.equal(decrypt([folder, '--out', out, '--private-key', privateKey]).status, 0);
  await agreed(out, [], { exit: 0, says: 'warning: nobody signed this backup', library: {} });
});

/** What breaks a signature: each is refused before anything is read. @type {Array<[string, string|RegExp, (draft: Draft, other: Draft) => void]>} */
const BROKEN = [
  ['is not there', 'manifest.json.minisig is missing', ({ folder }) => rmSync(join(folder, SIGNATURE))],
  ['is that of another backup', /was made by another key|is not the signature of/, ({ folder }, other) => copyFileSync(join(other.folder, SIGNATURE), join(folder, SIGNATURE))],
  ['is cut', 'is not the signature of', ({ folder }) => writeFileSync(join(folder, SIGNATURE), readFileSync(join(folder, SIGNATURE)).subarray(0, -20))],
  ['is longer than any', 'is not the signature of', ({ folder }) => writeFileSync(join(folder, SIGNATURE), Buffer.concat([readFileSync(join(folder, SIGNATURE)), Buffer.alloc(5_000_000, '\n')]))],
  ['is by another key than the manifest names', 'was made by another key than the signer that manifest.json names', ({ folder }) => {
    const stored = readFileSync(join(folder, MANIFEST));
    const comment = /^trusted comment: (.*)$/m.exec(readFileSync(join(folder, SIGNATURE), 'utf8'))?.[1] ?? '';
    writeFileSync(join(folder, SIGNATURE), new SigningKey().sign(stored, comment));
  }],
  ['states another number of losses', 'states another number of losses', ({ folder, signing }) => resigned(folder, signing, (comment) => comment.replace('losses=0', 'losses=1'))],
  ['states another time', 'states another time', ({ folder, signing }) => resigned(folder, signing, (comment) => comment.replace(/created=\d+/, 'created=1'))],
  ['states another id', 'states another id', ({ folder, signing }) => resigned(folder, signing, (comment) => comment.replace(/ id=\w+/, ` id=${'0'.repeat(64)}`))],
  ['states more than is known', 'is not the signature of', ({ folder, signing }) => resigned(folder, signing, (comment) => `${comment} more=1`)],
  ['is not prehashed', 'is not the signature of', ({ folder }) => writeFileSync(join(folder, SIGNATURE), readFileSync(join(folder, SIGNATURE), 'utf8').replace('\nRU', '\nRW'))],
];

/**
 * @param {string} folder
 * @param {SigningKey} signing
 * @param {(comment: string) => string} change
 */
function resigned (folder, signing, change) {
  const place = join(folder, SIGNATURE);
  const comment = /^trusted comment: (.*)$/m.exec(readFileSync(place, 'utf8'))?.[1] ?? '';
  writeFileSync(place, signing.sign(readFileSync(join(folder, MANIFEST)), change(comment)));
}

for (const sealed of [true, false]) {
  for (const [what, says, breaks] of BROKEN) {
    test(`refused, ${sealed ? 'sealed' : 'in the clear'}: the signature ${what}`, async (t) => {
      const [draft, other] = [made(t, { sealed }), made(t, { sealed })];
      breaks(draft, other);
      const { folder, privateKey } = draft;
      await agreed(folder, sealed ? ['--private-key', privateKey] : [], { exit: 4, says, library: sealed ? { privateKey } : {} });
    });
  }
}

test('a list of files that was not signed is damage', async (t) => {
  const { folder, privateKey, signing } = made(t);
  resigned(folder, signing, (comment) => comment.replace(/files=\w+/, `files=${'0'.repeat(64)}`));
  const seen = decrypt([folder, '--verify', '--private-key', privateKey]);
  assert.equal(seen.status, 4);
  assert.match(seen.stderr, /damaged: manifest\.json\.minisig: states other files than those that the backup lists/);
});

test('the comment that nobody signs is never shown', (t) => {
  const { folder, privateKey } = made(t, { untrusted: 'signed by the bank' });
  for (const mode of ['--verify', '--list']) {
    const { status, stdout, stderr } = decrypt([folder, mode, '--private-key', privateKey]);
    assert.equal(status, 0);
    assert.doesNotMatch(stdout + stderr, /bank/);
  }
});

test('the time in encryption.json is that of the manifest', async (t) => {
  const { folder, privateKey } = made(t);
  const place = join(folder, 'encryption.json');
  writeFileSync(place, JSON.stringify({ ...JSON.parse(readFileSync(place, 'utf8')), createdAt: 1 }));
  await agreed(folder, ['--private-key', privateKey], { exit: 4, says: 'encryption.json: gives another time of the backup than the manifest', library: { privateKey } });
});

test('a chain whose runs have different signers, or of which two follow one run, is for its reader to judge', async (t) => {
  const [ours, theirs] = [new SigningKey(), new SigningKey()];
  const replaced = chained(join(scratch(t), 'replaced'), [{ signing: ours }, { signing: theirs }]);
  const key = ['--private-key', replaced.privateKey];
  const { privateKey } = replaced;
  const says = `run 2 is signed by ${theirs.signer}, and run 1 by another key`;
  await agreed(replaced.folder, key, { exit: 2, says, library: { privateKey } });
  await agreed(replaced.folder, [...key, '--at', '2'], { exit: 0, says: `signed by ${theirs.signer}`, library: { privateKey, at: 2 } });
  await agreed(replaced.folder, [...key, '--at', '1'], { exit: 0, says: `signed by ${ours.signer}`, library: { privateKey, at: 1 } });
  await agreed(replaced.folder, [...key, '--signer', theirs.signer], { exit: 0, says: 'as expected', library: { privateKey, signers: [theirs.signer] } });
  await agreed(replaced.folder, [...key, '--signer', ours.signer], { exit: 4, says: '--at 1 for the state before', library: { privateKey, signers: [ours.signer] } });

  const forked = chained(join(scratch(t), 'forked'), [{ signing: ours }, { signing: ours }, { signing: ours, parent: 1 }]);
  const own = ['--private-key', forked.privateKey];
  await agreed(forked.folder, own, { exit: 2, says: 'the runs 2 and 3 follow the same run', library: { privateKey: forked.privateKey } });
  for (const at of [1, 2, 3]) await agreed(forked.folder, [...own, '--at', String(at)], { exit: 0, says: `run ${at} of 3`, library: { privateKey: forked.privateKey, at } });
});

test('a run of a chain without its signature, or with that of another, is refused', async (t) => {
  const signing = new SigningKey();
  const { folder, privateKey } = chained(join(scratch(t), 'chain'), [{ signing }, { signing }]);
  const key = ['--private-key', privateKey];
  await agreed(folder, key, { exit: 0, says: 'run 2 of 2', library: { privateKey } });
  const place = join(folder, 'increments/0002', SIGNATURE);
  const good = readFileSync(place);
  copyFileSync(join(folder, SIGNATURE), place);
  await agreed(folder, key, { exit: 4, says: /increments\/0002.*--at 1 for the state before/, library: { privateKey } });
  await agreed(folder, [...key, '--at', '1'], { exit: 0, says: 'run 1 of 2', library: { privateKey, at: 1 } });
  rmSync(place);
  await agreed(folder, key, { exit: 4, says: /increments\/0002.*--at 1 for the state before/, library: { privateKey } });
  writeFileSync(place, good);
  rmSync(join(folder, SIGNATURE));
  await agreed(folder, key, { exit: 4, says: 'manifest.json.minisig is missing', library: { privateKey } });
});

test('a run in the clear beside one that is sealed is refused before anything is read', async (t) => {
  const draft = made(t);
  const clear = made(t, { sealed: false });
  const run = join(draft.folder, 'increments/0002');
  mkdirSync(join(draft.folder, 'increments'));
  cpSync(clear.folder, run, { recursive: true });
  const says = 'a backup is encrypted as a whole or not at all';
  await agreed(draft.folder, ['--private-key', draft.privateKey], { exit: 4, says, library: { privateKey: draft.privateKey } });
  const entry = { run: 1, path: '', archiveId: draft.id, parent: null, kind: 'full', createdAt: draft.made, mode: 'hybrid', recipients: [] };
  writeFileSync(join(draft.folder, 'chain.json'), JSON.stringify({ v: 1, runs: [entry, { ...entry, run: 2, path: 'increments/0002', archiveId: clear.id, parent: draft.id, mode: null }] }));
  await agreed(draft.folder, ['--private-key', draft.privateKey, '--at', '1'], { exit: 4, says, library: { privateKey: draft.privateKey, at: 1 } });
});

test('what lies at the root of a chain and no run lists is named', async (t) => {
  const signing = new SigningKey();
  const { folder, privateKey } = chained(join(scratch(t), 'chain'), [{ signing }, { signing }]);
  writeFileSync(join(folder, 'package.json'), '{}');
  writeFileSync(join(folder, 'decrypt-backup.html'), '<script src="https://example.org/">');
  const seen = decrypt([folder, '--verify', '--private-key', privateKey]);
  assert.equal(seen.status, 4, seen.stderr);
  assert.match(seen.stderr, /damaged: decrypt-backup\.html: .*the manifest does not list it/);
  assert.match(seen.stderr, /warning: package\.json: does not belong to the archive/);
});

test('worker threads open what was signed only', (t) => {
  const { folder, privateKey } = made(t);
  rmSync(join(folder, SIGNATURE));
  const seen = decrypt([folder, '--verify', '--private-key', privateKey, '--jobs', '4']);
  assert.equal(seen.status, 4);
  assert.match(seen.stderr, /minisig is missing/);
});
