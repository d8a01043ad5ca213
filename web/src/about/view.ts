// Explains this page, how to check that it is genuine, and which cipher it uses.
import type { App, View } from '../app.js';
import { t } from '../texts/index.js';
import { h } from '../ui/dom.js';

export function aboutView (app: App): View {
  const engine = app.engine;
  const result = (good: boolean | undefined) => t(good === true ? 'about.passed' : 'about.failed');
  const element = h('div', { class: 'about' },
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('back'))),
    h('h1', null, t('about.title')),
    h('section', { class: 'card' }, h('h2', null, t('about.genuine')), h('p', null, t('about.genuine.lead')),
      h('dl', { class: 'facts' },
        h('dt', null, 'Windows'), h('dd', null, h('code', null, 'certutil -hashfile decrypt-backup.html SHA256')),
        h('dt', null, 'macOS'), h('dd', null, h('code', null, 'shasum -a 256 decrypt-backup.html')),
        h('dt', null, 'Linux'), h('dd', null, h('code', null, 'sha256sum decrypt-backup.html')))),
    h('section', { class: 'card' }, h('h2', null, t('about.private')), h('p', null, t('about.private.text'))),
    h('section', { class: 'card' }, h('h2', null, t('about.engine')),
      h('dl', { class: 'facts' },
        h('dt', null, t('about.version')), h('dd', null, `${PAGE_VERSION} (${engine?.version ?? '?'})`),
        h('dt', null, t('report.cipher')), h('dd', { 'data-engine': engine?.engine }, t(engine?.engine === 'host' ? 'engine.host' : 'engine.wasm')),
        h('dt', null, t('about.test.host')), h('dd', null, result(engine?.host)),
        h('dt', null, t('about.test.core')), h('dd', null, result(engine?.core))),
      app.opened === undefined
        ? h('button', { type: 'button', 'data-engine-switch': true, onclick: () => void app.useEngine(app.engineChoice === 'auto' ? 'wasm' : 'auto') }, t(app.engineChoice === 'auto' ? 'about.use.wasm' : 'about.use.auto'))
        : h('p', { class: 'hint' }, t('about.engine.locked'))),
    h('section', { class: 'card' }, h('h2', null, t('about.origin')), h('p', null, t('about.origin.text'))));
  return { title: 'about', element };
}
