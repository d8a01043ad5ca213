// The result of the check, in a sentence and in detail.
import type { App } from '../app.js';
import { maybe, t } from '../texts/index.js';
import type { Finding } from '../types.js';
import { alien, h, put, type Child } from '../ui/dom.js';
import { bytes, number, span } from '../ui/format.js';
import { icon } from '../ui/icons.js';

export type Verdict = 'running' | 'good' | 'partly' | 'bad' | 'stopped';

/** What may be claimed. */
export function verdictOf (app: App): Verdict {
  const opened = app.opened;
  if (opened === undefined || opened.verification.state === 'running') return 'running';
  if (opened.info.findings.some(({ severity }) => severity === 'error')) return 'bad';
  const { state, outcome } = opened.verification;
  if (state !== 'done' || outcome === undefined) return 'stopped';
  if (outcome.damaged.length > 0) return 'bad';
  return opened.info.inventoried ? 'good' : 'partly';
}

/** Everything wrong, warned of and noted, once each. */
export function allFindings (app: App): Finding[] {
  const opened = app.opened;
  if (opened === undefined) return [];
  const rest = opened.info.findings.filter(({ severity }) => severity !== 'error');
  return [...(opened.verification.outcome?.damaged ?? opened.info.findings.filter(({ severity }) => severity === 'error')), ...rest];
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
    h('div', { role: 'status' }, h('h2', { 'data-verdict': verdict }, t(`verdict.${verdict}`))),
    verdict === 'running' ? verification.task.element : h('p', null, explanation(app)),
    verification.error !== undefined && verdict === 'stopped' && h('p', null, alien(verification.error, { lang: 'en' })),
  ];
  const findings = allFindings(app).filter(({ code }) => code !== 'no-inventory');
  return h('section', { class: `notice verdict ${look}`, 'aria-label': t('verify.title') },
    icon(sign),
    h('div', { class: 'grow' }, body,
      findings.length > 0 && findingList(findings),
      verdict !== 'running' && h('p', { class: 'small' }, verification.outcome !== undefined && t('verify.what', {
        files: number(verification.outcome.files), bytes: bytes(info.bytes), records: number(verification.outcome.records), span: span(verification.seconds),
      }), ' ', again),
      guarantees(app)));
}

function explanation (app: App): string {
  const info = app.opened?.info;
  const verdict = verdictOf(app);
  if (verdict === 'bad') return t('verdict.bad.what', { n: allFindings(app).filter(({ severity }) => severity === 'error').length });
  if (verdict === 'partly') return t(info?.encrypted === true ? 'verdict.partly.sealed' : 'verdict.partly.cleartext');
  if (verdict === 'stopped') return t('verdict.stopped.what');
  return t(info?.encrypted === true ? 'verdict.good.sealed' : 'verdict.good.cleartext');
}

function guarantees (app: App): HTMLElement {
  const info = app.opened?.info;
  const item = (proven: boolean, text: string) => h('li', { class: proven ? 'yes' : 'no' }, icon(proven ? 'check' : 'warning'), h('span', null, text));
  const inventoried = info?.inventoried === true;
  const sealed = info?.encrypted === true;
  return h('details', null, h('summary', null, t('proof.title')), h('ul', { class: 'proofs' },
    item(sealed, t(sealed ? 'proof.sealed' : 'proof.cleartext')),
    item(inventoried, t(inventoried ? 'proof.complete' : sealed ? 'proof.incomplete.sealed' : 'proof.incomplete.cleartext')),
    item(app.opened?.expectId !== undefined, t(app.opened?.expectId !== undefined ? 'proof.id' : 'proof.noid')),
    item(false, t('proof.origin'))));
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
