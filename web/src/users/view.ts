// The users of the archive: search, sort, open.
import type { App } from '../app.js';
import { saveView } from '../save/view.js';
import { maybe, t } from '../texts/index.js';
import type { UserInfo } from '../types.js';
import { alien, freshId, h, put } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { userView } from '../user/view.js';

const COLUMNS = ['events', 'streams', 'accesses', 'attachments', 'series', 'audit'] as const;
type Column = 'username' | typeof COLUMNS[number];
const PAGE = 100;

export function usersTable (app: App): HTMLElement {
  const users = app.opened?.info.users ?? [];
  const search = freshId();
  let sort: { by: Column, down: boolean } = { by: 'username', down: false };
  let wanted = '';
  let count = PAGE;
  const table = h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': t('users.title') });
  const status = h('p', { class: 'small', role: 'status' });
  const value = (user: UserInfo, by: Column) => (by === 'username' ? user.username : user.stats?.[by] ?? 0);
  const { compare } = new Intl.Collator();
  const sortedBy = ({ by, down }: typeof sort) => [...users].sort((a, b) => {
    const [x, y] = [value(a, by), value(b, by)];
    const order = typeof x === 'string' ? compare(x, String(y)) : x - Number(y);
    return down ? -order : order;
  });
  // Of a hundred thousand users the order takes longer than the search.
  let sorted = sortedBy(sort);

  const draw = () => {
    const needle = wanted.trim().toLowerCase();
    const found = needle === '' ? sorted : sorted.filter(({ username, userId }) => username.toLowerCase().includes(needle) || userId.toLowerCase().includes(needle));
    put(status, needle === '' ? '' : t('users.found', { n: found.length }));
    const head = (by: Column, label: string) => h('th', { scope: 'col', class: by === 'username' ? '' : 'num', 'aria-sort': sort.by === by ? (sort.down ? 'descending' : 'ascending') : 'none' },
      h('button', { type: 'button', class: 'sort', onclick: () => {
        sort = { by, down: sort.by === by ? !sort.down : by !== 'username' };
        sorted = sortedBy(sort);
        draw();
      } }, label));
    put(table, h('table', { class: 'users' },
      h('thead', null, h('tr', null, head('username', t('users.name')), COLUMNS.map((by) => head(by, maybe(`stats.${by}`, by))), h('th', { scope: 'col' }, h('span', { class: 'away' }, t('actions'))))),
      h('tbody', null, found.slice(0, count).map((user) => h('tr', { 'data-user': user.userId },
        h('th', { scope: 'row' }, h('button', { type: 'button', class: 'link', onclick: () => app.go(() => userView(app, user)) }, alien(user.username)), h('small', null, alien(user.userId))),
        COLUMNS.map((by) => h('td', { class: 'num', 'data-label': maybe(`stats.${by}`, by) }, number(Number(value(user, by)) || 0))),
        h('td', { class: 'act' }, h('button', { type: 'button', class: 'quiet', onclick: () => app.go(() => saveView(app, user)) }, t('save.short'))))))),
    found.length > count && h('button', { type: 'button', onclick: () => { count += PAGE * 5; draw(); } }, t('more', { n: found.length - count })));
  };
  draw();
  return h('div', null,
    users.length > 5 && h('p', { class: 'field' }, h('label', { for: search }, t('users.search')),
      h('input', { id: search, type: 'search', autocomplete: 'off', oninput: (event: Event) => {
        wanted = (event.target as HTMLInputElement).value;
        draw();
      } })),
    status,
    users.length === 0 ? h('p', null, t('users.none')) : table);
}
