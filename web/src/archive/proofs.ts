// The results of the check, line by line, and the limits of any check.
import type { App } from '../app.js';
import type { Key } from '../texts/index.js';
import type { UserInfo } from '../types.js';
import { signedBy } from './signer.js';
import { findingsOf } from './verdict.js';

/** `open`: the check is under way, or did not come to its end. */
export type Result = 'passed' | 'failed' | 'open';
export interface Proof { name: 'blocks' | 'structure' | 'complete' | 'signature' | 'signer' | 'id', result: Result }

// Errors that say nothing about the files that are there and belong there.
const OF_THE_LIST = new Set(['missing', 'foreign', 'unknown', 'unsafe-path', 'stray', 'uncommitted']);

/** The checks and their results, of the archive or of one user's files. */
export function proofsOf (app: App, user?: UserInfo): Proof[] {
  const { opened } = app;
  if (opened === undefined) return [];
  const errors = findingsOf(app, user).filter(({ severity }) => severity === 'error');
  const done = opened.verification.state === 'done';
  const result = (wrong: boolean): Result => (wrong ? 'failed' : done ? 'passed' : 'open');
  const unread = result(errors.some(({ code }) => !OF_THE_LIST.has(code)));
  return [
    ...(opened.info.encrypted ? [{ name: 'blocks' as const, result: unread }] : []),
    { name: 'structure', result: unread },
    ...(opened.info.inventoried ? [{ name: 'complete' as const, result: result(errors.length > 0) }] : []),
    // Without it the archive would not have opened; the list of its files was held against it then.
    ...(opened.info.signature === null ? [] : [{ name: 'signature' as const, result: errors.some(({ code }) => code === 'signature') ? 'failed' as const : 'passed' as const }]),
    // The archive would not have opened otherwise.
    ...(signedBy(opened.info) === 'expected' ? [{ name: 'signer' as const, result: 'passed' as const }] : []),
    ...(opened.expectId === undefined ? [] : [{ name: 'id' as const, result: 'passed' as const }]),
  ];
}

/** The sentence of a result. */
export function proofText ({ name, result }: Proof): Key {
  if (name === 'id' || name === 'signer' || result === 'passed') return `proof.${name}`;
  if (name === 'signature') return 'proof.signature.no';
  return result === 'failed' ? `proof.${name}.no` : `proof.${name}.open`;
}

/** The claims that cannot be proven of this archive, as keys of sentences. */
export function limitsOf (app: App): Key[] {
  const { opened } = app;
  if (opened === undefined) return [];
  const { info, expectId, otherId } = opened;
  const signed = signedBy(info);
  const origin: Record<typeof signed, Key[]> = { expected: [], unknown: ['proof.origin.key'], nobody: ['proof.origin'] };
  return [
    ...origin[signed], 'proof.newest',
    ...(expectId !== undefined ? [] : [otherId === undefined ? 'proof.noid' as const : 'proof.otherid' as const]),
    ...(info.encrypted || signed === 'expected' ? [] : ['proof.cleartext' as const]),
    ...(info.inventoried ? [] : [info.encrypted ? 'proof.incomplete.sealed' as const : 'proof.incomplete.cleartext' as const]),
  ];
}
