// What was seen and done, as data: for the file of a data protection officer, and for programs.
import type { App } from '../app.js';
import { allFindings, sentenceOf, verdictOf } from '../archive/verdict.js';
import type { UserInfo } from '../types.js';

/** The report; `user` limits it to one. */
export function evidence (app: App, user?: UserInfo) {
  const opened = app.opened;
  if (opened === undefined) return undefined;
  const { info, verification } = opened;
  const concerns = (path: string) => user === undefined || !path.startsWith('users/') || path.startsWith(`users/${user.userId}/`);
  const findings = allFindings(app).filter(({ path }) => concerns(path));
  const iso = (ms: number | null) => (ms === null || Math.abs(ms) > 8.64e15 ? null : new Date(ms).toISOString());
  return {
    report: 'pryv-backup evidence report',
    version: 1,
    written: iso(Date.now()),
    page: PAGE_VERSION,
    core: app.engine?.version ?? null,
    cipher: info.engine === 'host' ? 'WebCrypto of this browser' : 'built in',
    archive: {
      id: info.id,
      idExpected: opened.expectId ?? null,
      name: info.name,
      made: iso(info.made),
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
      verdict: verdictOf(app),
      exitCode: findings.some(({ severity }) => severity === 'error') ? 4 : verdictOf(app) === 'stopped' ? 1 : 0,
      started: iso(verification.startedAt),
      seconds: Math.round(verification.seconds * 1000) / 1000,
      filesChecked: verification.outcome?.files ?? 0,
      recordsChecked: verification.outcome?.records ?? 0,
      checked: [...(info.encrypted ? ['authenticity of every sealed block'] : []), 'structure of compressed files and records', ...(info.inventoried ? ['size, identity (salt of a sealed file, SHA-256 of any other) and number of records of every file against the inventory', 'that no file is missing or added'] : []), ...(opened.expectId === undefined ? [] : ['that it is the expected archive, by its id'])],
      notProven: ['who made the archive', 'that it is the newest', ...(info.inventoried ? [] : ['that no file was removed, swapped, or cut between blocks']), ...(info.encrypted ? [] : ['that nobody changed it: it is not encrypted']), ...(opened.expectId === undefined ? ['that it is the expected archive: no id to compare with was given'] : [])],
    },
    findings: findings.map((finding) => ({ severity: finding.severity, code: finding.code, path: finding.path, sentence: sentenceOf(finding) })),
    exported: opened.saved.filter((saved) => user === undefined || saved.user === undefined || saved.user === user.username)
      .map((saved) => ({ what: saved.what, user: saved.user ?? null, to: saved.where, at: iso(saved.at), files: saved.files.filter(({ path }) => concerns(path)) })),
  };
}

export type Evidence = NonNullable<ReturnType<typeof evidence>>;
