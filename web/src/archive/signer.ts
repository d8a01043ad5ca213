// The signer of the backup.
import { t } from '../texts/index.js';
import type { ArchiveInfo } from '../types.js';
import { h } from '../ui/dom.js';
import { icon } from '../ui/icons.js';

/** Whether it was signed by whom the reader expects, by a key that was compared with nothing, or by nobody. */
export type SignedBy = 'expected' | 'unknown' | 'nobody';

export function signedBy ({ signature }: ArchiveInfo): SignedBy {
  return signature === null ? 'nobody' : signature.expected ? 'expected' : 'unknown';
}

/** The codes of the findings that say so. */
export const SIGNER_CODES = new Set(['signer', 'pinned-signer', 'unsigned']);

const SIGN: Record<SignedBy, string> = { expected: 'check', unknown: 'info', nobody: 'warning' };

/** The same in a sentence, with the key. */
export function signerLine (info: ArchiveInfo): HTMLElement {
  const by = signedBy(info);
  return h('p', { class: 'signer', 'data-signed': by }, icon(SIGN[by]), h('span', null, t(`signer.${by}`),
    info.signature !== null && [' ', h('code', { class: 'id', 'data-signer': true }, info.signature.signer)]));
}
