// Needs of the tests, programs and files of the machine that they run on: src/lib.rs beside this, for JavaScript. needs.txt lists every kind of need.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const REQUIRE = 'PRYV_BACKUP_TESTS_REQUIRE';
const NEEDS = new Map(readFileSync(new URL('needs.txt', import.meta.url), 'utf8').split('\n').filter((line) => line !== '')
  .map((line) => [line.split(' ', 1)[0], line.replace(/^\S+ +/, '')]));

/** Where the archives and platforms of the real Pryv.io are, if they are. */
export const fixtures = fileURLToPath(new URL('../../../shared/fixtures', import.meta.url));

/**
 * The options of a test that needs something: it is skipped, with the reason, where that is missing.
 * @param {string} kind
 * @param {boolean} there
 * @returns {{ skip?: string }}
 * @throws where it is missing and required
 */
export function need (kind, there) {
  const reason = `needs ${kind}: ${describe(kind)}`;
  if (there) return {};
  const required = (process.env[REQUIRE] ?? '').split(',').map((word) => word.trim()).filter((word) => word !== '');
  required.filter((word) => word !== 'all').forEach(describe);
  if (required.includes('all') || required.includes(kind)) throw new Error(`missing: ${kind}: ${describe(kind)}; ${REQUIRE} says that it must be there`);
  return { skip: reason };
}

/**
 * The options of a test that needs several things.
 * @param {{ skip?: string }[]} needs
 */
export const needs = (...needs) => needs.find(({ skip }) => skip !== undefined) ?? {};

export const needFixtures = () => need('fixtures', existsSync(fixtures));

/** @param {string} kind */
function describe (kind) {
  const what = NEEDS.get(kind);
  if (what === undefined) throw new Error(`tests/need/needs.txt does not list ${kind}`);
  return what;
}
