// Archives of an earlier version (tests/testkit/earlier), opened by the library.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const kit = join(dirname(fileURLToPath(import.meta.url)), '../../tests/testkit');
const earlier = (/** @type {string[]} */ ...path) => join(kit, 'earlier', ...path);
const library = () => import('../dist/index.mjs');

/** Name, run and the secret's kind of each archive. @type {Array<[string, number, 'key'|'passphrase'|'none']>} */
const ARCHIVES = [
  ['recipients', 1, 'key'], ['passphrase', 1, 'passphrase'], ['clear', 1, 'none'], ['decrypted', 1, 'none'], ['decrypted-chain', 1, 'none'],
  ['chain', 1, 'key'], ['chain', 2, 'key'], ['chain', 3, 'key'], ['clear-chain', 1, 'none'], ['clear-chain', 2, 'none'], ['clear-chain', 3, 'none'],
];

/** @param {string} content */
const sha256 = (content) => createHash('sha256').update(content).digest('hex');

for (const [name, run, secret] of ARCHIVES) {
  test(`${name}, run ${run}: every file has the content that the earlier version decrypted`, async () => {
    const { folderSource, openArchive, unlockWith } = await library();
    const opened = await openArchive(folderSource(earlier(name, 'archive')), {
      at: name.endsWith('chain') && !name.startsWith('decrypted') ? run : undefined,
      unlock: secret === 'none' ? undefined
        : unlockWith(secret === 'passphrase' ? { passphrase: 'of earlier days 🔋' } : { privateKey: readFileSync(join(kit, 'keys/bob.pem')) }),
    });
    try {
      assert.deepEqual(opened.findings.filter(({ severity }) => severity === 'error'), []);
      await opened.dropOrphans();
      const found = new Map([['manifest.json', sha256(await opened.manifestJson())]]);
      for (const file of opened.manifests) found.set(file.path, sha256(await opened.contentOf(file)));
      for (const { path } of [...opened.files].filter(({ encrypted }) => encrypted || secret === 'none')) {
        const hash = createHash('sha256');
        for await (const piece of opened.readFile(path, { gunzip: false })) hash.update(piece);
        found.set(path, hash.digest('hex'));
      }
      const due = readFileSync(earlier(name, `decrypted-${run}`), 'utf8').trim().split('\n').map((line) => line.split('  ').reverse());
      assert.deepEqual(Object.fromEntries([...found].sort()), Object.fromEntries(due.sort()));
    } finally {
      opened.close();
    }
  });
}

test('a manifest that changes while the archive is opened is named', async () => {
  const { folderSource, openArchive } = await library();
  const source = folderSource(earlier('clear-chain', 'archive'));
  let reads = 0;
  const changing = {
    ...source,
    async open (/** @type {string} */ path) {
      if (path !== 'increments/0003/manifest.json' || ++reads === 1) return source.open(path);
      const content = readFileSync(earlier('clear-chain', 'archive', path));
      return (async function * () { yield Buffer.concat([content, Buffer.from('\n')]); })();
    },
  };
  await assert.rejects(openArchive(changing), (/** @type {any} */ error) => {
    assert.equal(error.code, 'became-other');
    assert.equal(error.kind, 'damaged');
    assert.match(error.message, /^increments\/0003\/manifest\.json changed while it was read: /);
    return true;
  });
});
