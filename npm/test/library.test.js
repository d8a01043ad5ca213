import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEY_PASSPHRASE, archive, key, withFixtures } from './helpers.js';

const library = () => import('../dist/index.mjs');

test('the library lists users and streams records', withFixtures, async () => {
  const { folderSource, openArchive, unlockWith } = await library();
  const opened = await openArchive(folderSource(archive('hybrid-pg')), {
    unlock: unlockWith({ privateKey: readFileSync(key('recipient.key.enc.pem')), privateKeyPassphrase: KEY_PASSPHRASE }),
  });
  for (const user of opened.listUsers()) {
    let streams = 0;
    for await (const record of opened.records(`users/${user.userId}/streams.jsonl.gz`)) {
      assert.equal(typeof record.id, 'string');
      streams++;
    }
    assert.equal(streams, user.stats.streams);
  }
  opened.close();
});

test('a source of one\'s own may give chunks of any size', withFixtures, async () => {
  const { openArchive, unlockWith } = await library();
  const root = archive('small-hybrid-nocompress');
  const source = {
    name: 'chunks',
    async list () {
      return readdirSync(root, { recursive: true, encoding: 'utf8' })
        .filter((path) => statSync(join(root, path)).isFile())
        .map((path) => [path, statSync(join(root, path)).size]);
    },
    async open (/** @type {string} */ path) {
      const content = readFileSync(join(root, path));
      return (async function * () {
        for (let at = 0; at < content.length; at += 997) yield content.subarray(at, at + 997);
      })();
    },
  };
  const opened = await openArchive(source, { unlock: unlockWith({ privateKey: readFileSync(key('recipient.key.pem')) }) });
  const plain = archive('small-plain');
  const attachment = [...opened.files].find(({ path }) => path.includes('/attachments/'));
  if (attachment !== undefined) {
    const parts = [];
    for await (const piece of opened.readFile(attachment.path)) parts.push(piece);
    assert.deepEqual(Buffer.concat(parts), readFileSync(join(plain, attachment.path)));
  }
  let events = 0;
  for (const { path } of [...opened.files].filter(({ path }) => path.includes('/events/'))) {
    for await (const _ of opened.records(path)) events++;
  }
  assert.equal(events, [...opened.listUsers()].reduce((/** @type {number} */ sum, { stats }) => sum + stats.events, 0));
  opened.close();
});

test('what tells the key and the id is read once, so that it cannot be exchanged in between', withFixtures, async () => {
  const { folderSource, openArchive, unlockWith } = await library();
  const source = folderSource(archive('small-hybrid-nocompress'));
  /** @type {string[]} */
  const read = [];
  const watched = {
    ...source,
    open (/** @type {string} */ path) {
      read.push(path);
      return source.open(path);
    },
  };
  const opened = await openArchive(watched, { unlock: unlockWith({ privateKey: readFileSync(key('recipient.key.pem')) }) });
  opened.close();
  for (const path of ['manifest.json', 'encryption.json']) assert.equal(read.filter((one) => one === path).length, 1, path);
});
