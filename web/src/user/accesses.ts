// The people and apps that could use the account, in words.
import { maybe, t } from '../texts/index.js';
import { alien, h, named, type Child } from '../ui/dom.js';
import { dateTime, number } from '../ui/format.js';
import { raw } from './record.js';
import { parse, type LookedAt } from './user.js';

export function accessesPanel (looked: LookedAt): HTMLElement {
  const records = looked.data.accesses.map((line) => ({ line, access: parse(line) }));
  const heads = records.filter(({ access }) => typeof access.headId !== 'string');
  const of = (wanted: Standing) => heads.filter(({ access }) => standingOf(access) === wanted);
  const [alive, expired, gone] = [of('active'), of('expired'), of('gone')];
  const versions = (id: unknown) => records.filter(({ access }) => access.headId === id && typeof id === 'string');
  const card = ({ line, access }: { line: string, access: any }) => h('article', { class: 'access', 'data-access': true },
    h('h3', null, alien(access.name ?? access.id), ' ', h('span', { class: 'tag note' }, named('access.type', access.type)),
      typeof access.deviceName === 'string' && [' ', alien(access.deviceName)]),
    h('ul', null, permissionsOf(looked, access).map((permission) => h('li', null, permission))),
    h('p', { class: 'small' }, times(access)),
    h('details', null, h('summary', null, t('event.json')), raw(masked(line)), versions(access.id).length > 0 && [h('h4', null, t('event.versions', { n: versions(access.id).length })), versions(access.id).map((one) => raw(masked(one.line)))]));
  return h('div', null,
    h('section', { class: 'card' }, h('h2', null, t('access.active'), ' ', h('span', { class: 'count' }, number(alive.length))), h('p', { class: 'hint' }, t('access.masked')), alive.length === 0 ? h('p', null, t('none')) : alive.map(card)),
    expired.length > 0 && h('section', { class: 'card', 'data-expired': expired.length }, h('h2', null, t('access.expired'), ' ', h('span', { class: 'count' }, number(expired.length))), expired.map(card)),
    gone.length > 0 && h('section', { class: 'card' }, h('h2', null, t('access.gone'), ' ', h('span', { class: 'count' }, number(gone.length))), gone.map(card)));
}

export type Standing = 'active' | 'expired' | 'gone';

/** Whether an access lets its holder in today, as far as the backup knows. */
export function standingOf (access: any): Standing {
  if (typeof access.deleted === 'number') return 'gone';
  return typeof access.expires === 'number' && access.expires * 1000 <= Date.now() ? 'expired' : 'active';
}

/** Each permission as a sentence. */
export function permissionsOf (looked: LookedAt, access: any): Child[] {
  if (access.type === 'personal') return [t('access.everything')];
  if (!Array.isArray(access.permissions) || access.permissions.length === 0) return [t('access.nothing')];
  return access.permissions.map((permission: any): Child => {
    if (typeof permission?.feature === 'string') {
      const known = maybe(`access.feature.${permission.feature}.${String(permission.setting)}`, '');
      if (known !== '') return known;
      return [t('access.feature'), ' ', alien(permission.feature), ': ', alien(permission.setting)];
    }
    const level = named('access.level', permission?.level);
    if (permission?.streamId === '*') return [level, ' ', t('access.all')];
    if (typeof permission?.tag === 'string') return [level, ' ', t('access.tag'), ' ', alien(permission.tag)];
    return [level, ' ', alien(looked.streamName(String(permission?.streamId ?? ''))), ' ', t('access.below')];
  });
}

/** Since when, until when. */
export function times (access: any): Child {
  const parts: string[] = [];
  const add = (key: 'access.created' | 'access.used' | 'access.expires' | 'access.expired.at' | 'access.deleted', value: unknown) => {
    if (typeof value === 'number') parts.push(t(key, { at: dateTime(value * 1000) }));
  };
  add('access.created', access.created);
  add('access.used', access.lastUsed);
  add(standingOf(access) === 'expired' ? 'access.expired.at' : 'access.expires', access.expires);
  add('access.deleted', access.deleted);
  return parts.join(' · ');
}

/** A token lets its holder in as long as the platform lives: it is not shown. */
export function masked (line: string): string {
  return line.replace(/"(token|hash|apiEndpoint)"\s*:\s*"(?:[^"\\]|\\.)*"/g, '"$1":"••••••••"');
}
