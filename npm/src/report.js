import { capsuleOf } from './capsule.js';

/** @typedef {import('./archive.js').Archive} Archive */
/** @typedef {import('./types.js').Finding} Finding */

/** The codes of the findings that say who signed an archive. */
const SIGNER_CODES = ['signer', 'pinned-signer', 'unsigned'];

// Text from an archive may hold terminal control sequences.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Characters that are written at once. */
const AT_ONCE = 64 * 1024;

/** @param {string} text */
export function printable (text) {
  return text.replace(CONTROL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** @param {string} line */
const say = (line) => process.stdout.write(printable(line) + '\n');
/** @param {string} line */
const warn = (line) => process.stderr.write(printable(line) + '\n');

/**
 * Prints the guarantees that this archive gives and those that it cannot give, before anything is done with it.
 * @param {Archive} archive
 */
export function printGuarantees (archive) {
  say(`archive ${archive.id}`);
  if (archive.chain !== undefined) say(archive.chain.headline);
  for (const { severity, code, message } of archive.findings) {
    if (!SIGNER_CODES.includes(code)) continue;
    if (severity === 'warning') warn(`warning: ${message}`);
    else say(message);
  }
  if (archive.caution !== '') warn(`warning: ${archive.caution}`);
  if (archive.inventoried) {
    if (!archive.encrypted && !isPinned(archive)) say('Not encrypted: damage is found, but whoever changed a file could change the inventory too.');
    return;
  }
  warn('This archive has no inventory (Pryv\'s own tool writes none). What cannot be checked:');
  warn(archive.encrypted
    ? '  - a file that is missing, cut at a frame boundary (attachments), swapped with another of the same archive, or stale'
    : '  - any file: nothing tells whether one was changed, cut, added or removed');
}

/** @param {Archive} archive */
export function printUsers (archive) {
  for (const line of archive.chain?.lines ?? []) say(line);
  // A call for each of a hundred thousand lines would take a second.
  let lines = '';
  for (const { userId, username, stats } of archive.listUsers()) {
    const counts = Object.entries(stats ?? {}).map(([name, count]) => `${name} ${count}`).join(', ');
    lines += printable(`${username}  ${userId}  ${counts}`) + '\n';
    if (lines.length < AT_ONCE) continue;
    process.stdout.write(lines);
    lines = '';
  }
  process.stdout.write(lines);
  // A raw dump has files instead of users; a capsule has some beside them.
  const shown = archive.manifest.backupType === 'raw' ? archive.files : capsuleOf(archive.files);
  for (const { path, size, expected } of shown) say(`${path}  ${count(expected?.contentSize ?? size, 'byte')}`);
  say(`${count(archive.users.length, 'user')}, ${count(archive.files.length, 'file')}`);
}

/**
 * @param {number} number
 * @param {string} what in the singular
 */
function count (number, what) {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/**
 * The findings that were not printed with the guarantees.
 * @param {Archive} archive
 */
export function findingsOf ({ findings }) {
  return findings.filter(({ code }) => code !== 'no-inventory' && !SIGNER_CODES.includes(code));
}

/**
 * A finding with its path in front, once.
 * @param {Finding} finding
 */
export function sentenceOf ({ path, message }) {
  return path === '' || message.includes(path) ? message : `${path}: ${message}`;
}

/**
 * @param {Finding[]} findings
 * @returns {number} the exit code that they come to
 */
export function printFindings (findings) {
  for (const finding of findings) {
    warn(`${finding.severity === 'error' ? 'damaged' : finding.severity}: ${sentenceOf(finding)}`);
  }
  if (findings.some(({ severity }) => severity === 'error')) return 4;
  return findings.some(isLeftOut) ? 5 : 0;
}

/**
 * Whether it is of a file that belongs to the archive and is left out, because this version does not know what it is.
 * @param {Finding} finding
 */
const isLeftOut = ({ code }) => code === 'unknown';

/**
 * Whether somebody who is expected signed it.
 * @param {Archive} archive
 */
function isPinned ({ findings }) {
  return findings.some(({ code }) => code === 'pinned-signer');
}

/**
 * The claim that can be made of an archive in which no damage was found.
 * @param {Archive} archive
 */
function verdictOf (archive) {
  if (!archive.inventoried) return 'no damage found, as far as it can be checked without an inventory';
  return archive.encrypted && !isPinned(archive) ? 'all good (who made it was not checked: give --signer KEY)' : 'all good';
}

/**
 * @param {Archive} archive
 * @param {import('./decrypt-files.js').Outcome} outcome
 * @returns {number} the exit code
 */
export function printSummary (archive, outcome) {
  printFindings(findingsOf(archive).filter(({ severity }) => severity !== 'error'));
  for (const message of outcome.damaged) warn(`damaged: ${message}`);
  for (const path of outcome.salvaged) warn(`salvaged: ${path} holds what could be read, and is not proved`);
  const done = `${count(outcome.files, 'file')} ${outcome.verb}, ${count(outcome.bytes, 'byte')}` +
    (outcome.records > 0 ? `, ${count(outcome.records, 'record')}` : '');
  if (outcome.damaged.length === 0) {
    const leftOut = archive.findings.filter(isLeftOut).length;
    if (leftOut > 0) {
      warn(`${done}: no damage found, but ${count(leftOut, 'file')} of the archive left out, named above`);
      return 5;
    }
    say(`${done}: ${verdictOf(archive)}`);
    return 0;
  }
  const problems = count(outcome.damaged.length, 'problem');
  warn(outcome.nothingWritten
    ? `${problems}, named above: nothing was written (--strict)`
    : `${done}; ${problems}, named above: use another copy of the backup for what is damaged`);
  return 4;
}
