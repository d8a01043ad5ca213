// The result of the check, in a sentence and in detail.
import type { App } from '../app.js';
import { maybe, t } from '../texts/index.js';
import { userOf, type Finding, type UserInfo } from '../types.js';
import { alien, h, put, type Child } from '../ui/dom.js';
import { bytes, number, span } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import { limitsOf, proofText, proofsOf, type Proof } from './proofs.js';
import { SIGNER_CODES, signedBy, signerLine } from './signer.js';

export type Verdict = 'running' | 'good' | 'partly' | 'bad' | 'stopped';

/** Whether a path concerns a user: their own, or one that the whole archive depends on. */
export function concerns (path: string, user: UserInfo | undefined): boolean {
  const of = userOf(path);
  return user === undefined || of === user.userId || (of === undefined && !/^(increments\/\d+\/)?platform\//.test(path));
}

/** Everything wrong, warned of and noted, once each; of one user, what concerns that user. */
export function findingsOf (app: App, user?: UserInfo): Finding[] {
  const { opened } = app;
  if (opened === undefined) return [];
  const { findings } = opened.info;
  const errors = opened.verification.outcome?.damaged ?? findings.filter(({ severity }) => severity === 'error');
  return [...errors, ...findings.filter(({ severity }) => severity !== 'error')].filter(({ path }) => concerns(path, user));
}

/** The same without what is said in words of its own. */
export function listedFindings (app: App, user?: UserInfo): Finding[] {
  return findingsOf(app, user).filter(({ code }) => code !== 'no-inventory' && !SIGNER_CODES.has(code));
}

/** The claim that can be made of the archive, or of one user in it. */
export function verdictOf (app: App, user?: UserInfo): Verdict {
  const { opened } = app;
  if (opened === undefined || opened.verification.state === 'running') return 'running';
  if (findingsOf(app, user).some(({ severity }) => severity === 'error')) return 'bad';
  if (opened.verification.state !== 'done') return 'stopped';
  return opened.info.inventoried && !findingsOf(app, user).some(isLeftOut) ? 'good' : 'partly';
}

/** Whether it is of a file that belongs to the backup and is left out, because this version does not know what it is. */
export function isLeftOut ({ code }: Finding): boolean {
  return code === 'unknown';
}

const LOOK: Record<Verdict, [string, string]> = {
  running: ['info', 'info'], good: ['good', 'check'], partly: ['partly', 'warning'], bad: ['bad', 'stop'], stopped: ['partly', 'warning'],
};
const SHOWN_AT_ONCE = 50;

export function verdictCard (app: App): HTMLElement {
  const opened = app.opened;
  if (opened === undefined) return h('div');
  const { verification, info } = opened;
  const verdict = verdictOf(app);
  const [look, sign] = LOOK[verdict];
  const again = h('button', { type: 'button', class: 'quiet', onclick: () => void app.verify() }, t('verify.again'));
  const body = [
    h('h2', { 'data-verdict': verdict }, t(`verdict.${verdict}`)),
    verdict === 'running' ? verification.task.element : h('p', null, explanation(app)),
    verification.state === 'failed' && verdict === 'stopped' && verification.error !== undefined && h('p', null, alien(verification.error, { lang: 'en' })),
  ];
  const findings = listedFindings(app);
  return h('section', { class: `notice verdict ${look}`, 'aria-label': t('verify.title') },
    icon(sign),
    h('div', { class: 'grow' }, body,
      signerLine(info),
      findings.length > 0 && findingList(findings),
      verdict !== 'running' && h('p', { class: 'small' }, verification.outcome !== undefined && t('verify.what', {
        files: number(verification.outcome.files), bytes: bytes(info.bytes), records: number(verification.outcome.records), span: span(verification.seconds),
      }), ' ', again),
      guarantees(app)));
}

function explanation (app: App): string {
  const info = app.opened?.info;
  const verdict = verdictOf(app);
  if (verdict === 'bad') return t('verdict.bad.what', { n: findingsOf(app).filter(({ severity }) => severity === 'error').length });
  if (verdict === 'partly' && info?.inventoried === true) return t('verdict.partly.unknown', { n: findingsOf(app).filter(isLeftOut).length });
  if (verdict === 'partly') return t(info?.encrypted === true ? 'verdict.partly.sealed' : 'verdict.partly.cleartext');
  if (verdict === 'stopped') return t('verdict.stopped.what');
  if (info?.encrypted === true) return t('verdict.good.sealed');
  return t(info !== undefined && signedBy(info) === 'expected' ? 'verdict.good.signed' : 'verdict.good.cleartext');
}

function guarantees (app: App): HTMLElement {
  return h('details', null, h('summary', null, t('proof.title')), h('ul', { class: 'proofs' },
    proofsOf(app).map(proofItem),
    limitsOf(app).map((key) => h('li', { class: 'limit' }, icon('info'), h('span', null, h('span', { class: 'tag note' }, t('result.limit')), ' ', t(key))))));
}

const SIGN: Record<Proof['result'], string> = { passed: 'check', failed: 'stop', open: 'warning' };

/** One line of what was checked, with its result. */
export function proofItem (proof: Proof): HTMLElement {
  return h('li', { class: proof.result, 'data-proof': proof.name, 'data-result': proof.result }, icon(SIGN[proof.result]),
    h('span', null, h('span', { class: `tag ${proof.result}` }, t(`result.${proof.result}`)), ' ', t(proofText(proof))));
}

/** Findings by severity; a long list is cut, and can be opened. */
export function findingList (findings: Finding[]): HTMLElement {
  const list = h('ul', { class: 'findings' });
  const draw = (count: number) => put(list,
    findings.slice(0, count).map((finding) => h('li', { class: finding.severity, 'data-code': finding.code },
      h('span', { class: `tag ${finding.severity}` }, t(`severity.${finding.severity}`)), ' ', told(finding))),
    count < findings.length && h('li', null, h('button', { type: 'button', class: 'quiet', onclick: () => draw(findings.length) }, t('more', { n: findings.length - count }))));
  draw(SHOWN_AT_ONCE);
  return list;
}

// The words after which the core says what exactly.
const IN_DETAIL = new Set(['damaged', 'loss', 'user-manifest']);

/** A finding in the reader's language; what is known in English only is marked as such. */
function told (finding: Finding): Child {
  const words = maybe(`finding.${finding.code}`, '');
  if (words === '') return alien(sentenceOf(finding), { lang: 'en' });
  return [alien(finding.path), ' ', words, IN_DETAIL.has(finding.code) && h('small', { class: 'original' }, alien(sentenceOf(finding), { lang: 'en' }))];
}

/** A finding with its path in front, once. */
export function sentenceOf ({ path, message }: Finding): string {
  return path === '' || message.includes(path) ? message : `${path}: ${message}`;
}
