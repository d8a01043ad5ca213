// One user.
import type { App, View } from '../app.js';
import { saveView } from '../save/view.js';
import { t } from '../texts/index.js';
import type { UserInfo } from '../types.js';
import { alien, h } from '../ui/dom.js';

export function userView (app: App, user: UserInfo): View {
  const element = h('div', { class: 'user' },
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, alien(user.username)),
    h('button', { type: 'button', onclick: () => app.go(() => saveView(app, user)) }, t('save.short')));
  return { title: 'users.title', element };
}
