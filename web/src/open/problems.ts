// Errors of the worker that the page says in the reader's language. The worker's own sentence is shown below, with its details.
import type { About } from '../../../npm/src/errors.js';

/** By the code of an error (docs/errors.md). */
const OF_CODE = {
  'private-key-passphrase': 'key-passphrase',
  'private-key-locked': 'key-locked',
  'public-key-given': 'key-public',
  'certificate-given': 'key-public',
  'not-a-private-key': 'key-unreadable',
  'private-key-cut': 'key-unreadable',
  'private-key-too-large': 'key-unreadable',
  'pkcs12-given': 'key-unreadable',
  'openssh-given': 'key-unreadable',
  'private-key-form': 'key-form',
  'wrong-private-key': 'key-other',
  'wrong-passphrase': 'passphrase',
  'passphrase-needed': 'passphrase',
  'wrong-passphrase-or-damage': 'passphrase-or-damage',
  'other-archive': 'other-archive',
  'other-signer': 'other-signer',
  unsigned: 'unsigned',
  unproven: 'unsigned',
  'two-signers': 'two-signers',
  fork: 'fork',
  'encryption-required': 'cleartext',
  'not-encrypted': 'cleartext',
  'mixed-encryption': 'mixed',
  'folder-empty': 'no-backup',
  'not-a-backup': 'no-backup',
  unfinished: 'unfinished',
  'index-missing': 'index-lost',
  packed: 'packed',
  'packed-cut': 'packed-cut',
  'not-a-file': 'link',
} as const;

/** The same, where no earlier state can be had. */
const OF_SIGNATURE = ['signer-missing', 'signer-unreadable'];

/** The words about a damaged file, whatever is wrong with it. */
const OF_FILE = {
  'manifest.json': 'manifest',
  'manifest.json.minisig': 'signature',
  'encryption.json': 'envelope',
} as const;

export type Problem = typeof OF_CODE[keyof typeof OF_CODE] | typeof OF_FILE[keyof typeof OF_FILE] | 'run';

/** The problem behind an error, if it is one of those that readers meet. */
export function knownProblem (kind: string, { code = '', path = '', instead, found }: About): { name: Problem, gaps: Record<string, string> } | undefined {
  if (kind === 'unsupported') return undefined; // a newer version is the advice, whatever it is about
  if (code in OF_CODE) return { name: OF_CODE[code as keyof typeof OF_CODE], gaps: {} };
  if (instead !== undefined) return { name: 'run', gaps: { n: String(instead) } };
  if (OF_SIGNATURE.includes(code) || (code === 'run-wrong' && found === 'signature')) return { name: 'signature', gaps: {} };
  const file = path.replace(/^increments\/\d+\//, '');
  if (kind === 'damaged' && file in OF_FILE && code !== 'envelope-missing') return { name: OF_FILE[file as keyof typeof OF_FILE], gaps: {} };
  return undefined;
}
