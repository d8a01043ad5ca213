// The evidence as data: everything that was seen and done, for the file of a data protection officer, and for programs.
import type { App } from '../app.js';
import { limitsOf, proofsOf, type Proof, type Result } from '../archive/proofs.js';
import { concerns, findingsOf, isLeftOut, sentenceOf, verdictOf, type Verdict } from '../archive/verdict.js';
import type { Key } from '../texts/index.js';
import type { UserInfo } from '../types.js';

const CHECKED: Record<Proof['name'], string> = {
  blocks: 'authenticity of every sealed block',
  structure: 'structure of compressed files and records',
  complete: 'that no file is missing or added, and size, identity (salt of a sealed file, SHA-256 of any other) and number of records of every file against the inventory',
  signature: 'that its signature holds, and that the list of its files is the one that was signed',
  signer: 'that it was signed by the expected signer',
  id: 'that it is the expected archive, by its id',
};
const RESULT: Record<Result, string> = { passed: 'passed', failed: 'failed', open: 'not completed' };
const NOT_PROVEN: Partial<Record<Key, string>> = {
  'proof.origin': 'who made the archive',
  'proof.origin.key': 'who made the archive: no signer was given to compare the one that signed it with',
  'proof.newest': 'that it is the newest',
  'proof.noid': 'that it is the expected archive: no id to compare with was given',
  'proof.otherid': 'that it is the expected archive: the id that was given is that of another state of this chain',
  'proof.cleartext': 'that nobody changed it: it is not encrypted',
  'proof.incomplete.sealed': 'that no file was removed, swapped, or cut between blocks',
  'proof.incomplete.cleartext': 'that no file was removed, swapped, or cut between blocks',
};
/** As the commands have it; none while the check is under way. */
const EXIT: Record<Verdict, number | null> = { running: null, good: 0, partly: 0, bad: 4, stopped: 1 };

/** The report; with `user`, verdict, findings and counts are of that user. */
export function evidence (app: App, user?: UserInfo) {
  const { opened } = app;
  if (opened === undefined) return undefined;
  const { info, verification } = opened;
  const { outcome } = verification;
  const verdict = verdictOf(app, user);
  const counts = user === undefined ? outcome : outcome?.ofUser.get(user.userId);
  const iso = (ms: number | null) => (ms === null || Math.abs(ms) > 8.64e15 ? null : new Date(ms).toISOString());
  return {
    report: 'pryv-backup evidence report',
    version: 2,
    scope: user === undefined ? 'archive' : 'user',
    written: iso(Date.now()),
    page: PAGE_VERSION,
    core: app.engine?.version ?? null,
    cipher: info.engine === 'host' ? 'WebCrypto of this browser' : 'built in',
    archive: {
      id: info.id,
      idExpected: opened.expectId ?? null,
      name: info.name,
      made: iso(info.made),
      signer: info.signature?.signer ?? null,
      signerExpected: info.signature?.expected ?? false,
      source: info.signature?.source ?? null,
      madeBy: info.producer === '' ? "Pryv.io's own backup tool" : info.producer,
      platform: info.domain,
      type: info.backupType,
      chain: info.chain === null ? null : { run: info.chain.run, runs: info.chain.runs.map(({ run, archiveId, kind, made }) => ({ run, archiveId, kind, made: iso(made) })) },
      encrypted: info.encrypted,
      inventory: info.inventoried,
      users: info.users.length,
      files: info.files,
      bytes: info.bytes,
    },
    users: (user === undefined ? info.users : [user]).map(({ userId, username, stats }) => ({ userId, username, holds: stats })),
    verification: {
      verdict,
      exitCode: findingsOf(app, user).some(isLeftOut) && verdict === 'partly' ? 5 : EXIT[verdict],
      started: iso(verification.startedAt),
      seconds: Math.round(verification.seconds * 1000) / 1000,
      filesChecked: counts?.files ?? 0,
      recordsChecked: counts?.records ?? 0,
      checked: proofsOf(app, user).map((proof) => ({ what: CHECKED[proof.name], result: RESULT[proof.result] })),
      notProven: limitsOf(app).map((key) => NOT_PROVEN[key] ?? key),
      // In a report about one user: the verdict on the whole archive, without naming anybody else.
      ...(user === undefined ? {} : { wholeArchive: { verdict: verdictOf(app), errors: findingsOf(app).filter(({ severity }) => severity === 'error').length } }),
    },
    findings: findingsOf(app, user).map((finding) => ({ severity: finding.severity, code: finding.code, path: finding.path, sentence: sentenceOf(finding) })),
    exported: opened.saved.filter((saved) => user === undefined || saved.user === undefined || saved.user === user.username)
      .map((saved) => ({ what: saved.what, user: saved.user ?? null, to: saved.where, at: iso(saved.at), complete: saved.complete, files: saved.files.filter(({ path }) => concerns(path, user)) })),
  };
}

export type Evidence = NonNullable<ReturnType<typeof evidence>>;
