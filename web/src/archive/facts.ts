import type { App } from '../app.js';
import { maybe, t } from '../texts/index.js';
import { alien, h, type Child } from '../ui/dom.js';
import { bytes, dateTime, number } from '../ui/format.js';
import { shownText } from '../ui/shown.js';
import type { Run } from '../types.js';
import { runLine } from './runs.js';

/** The facts that the archive states about itself, name and value. */
export function factRows (app: App): Array<[string, Child]> {
  const info = app.opened?.info;
  if (info === undefined) return [];
  return [
    [t('facts.id'), h('code', { class: 'id' }, info.id)],
    [t('facts.made'), info.made === null ? t('unknown') : dateTime(info.made, 'zone')],
    ...(info.chain === null ? [] : [[t('facts.run'), runOf(info.chain)] as [string, Child]]),
    [t('facts.by'), info.producer === '' ? t('facts.by.pryv') : alien(info.producer)],
    [t('facts.signer'), info.signature === null ? t('facts.signer.none') : h('code', { class: 'id' }, info.signature.signer)],
    ...(info.signature === null ? [] : [[t('facts.source'), h('code', { class: 'id' }, info.signature.source)] as [string, Child]]),
    [t('facts.domain'), alien(info.domain || t('unknown'))],
    [t('facts.type'), maybe(`facts.type.${info.backupType}`, t('unknown'))],
    [t('facts.encrypted'), t(info.encrypted ? 'yes' : 'no')],
    [t('facts.inventory'), t(info.inventoried ? 'facts.inventory.yes' : 'facts.inventory.no')],
    [t('facts.content'), `${t('users.count', { n: info.users.length })}, ${t('files', { n: info.files })}, ${bytes(info.bytes)}`],
    [t('facts.records'), recordCounts(app)],
  ];
}

function runOf ({ run, runs }: { run: number, runs: Run[] }): string {
  const found = runs.find((one) => one.run === run);
  return found === undefined ? number(run) : runLine(found, runs);
}

function recordCounts (app: App): string {
  const sums: Record<string, number> = {};
  for (const { stats } of app.opened?.info.users ?? []) {
    for (const [name, count] of Object.entries(stats ?? {})) sums[name] = (sums[name] ?? 0) + (Number.isFinite(count) ? count : 0);
  }
  return Object.entries(sums).map(([name, count]) => `${maybe(`stats.${name}`, shownText(name))} ${number(count)}`).join(' · ');
}
