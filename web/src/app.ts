// The page as a whole: its worker, what is open, which view is shown.
import { aboutView } from './about/view.js';
import { verdictOf } from './archive/verdict.js';
import { archiveView } from './archive/view.js';
import { openView, OpenState } from './open/view.js';
import { CallError, Client } from './rpc.js';
import { Saving, type SavedThing } from './save/saving.js';
import { LANGUAGES, language, setLanguage, t, type Key, type Language } from './texts/index.js';
import type { ArchiveInfo, Outcome } from './types.js';
import { h, put } from './ui/dom.js';
import { icon } from './ui/icons.js';
import { Task } from './ui/task.js';
import { Trail } from './ui/trail.js';
import { startWorker, type EngineReport } from './worker-start.js';

/** One screen. One that can `redraw` itself stays as it is when the language changes. */
export interface View { title: Key, element: HTMLElement, close?: () => void, shown?: () => void, redraw?: () => void, scroll?: number }

export interface Verification {
  state: 'running' | 'done' | 'stopped' | 'failed'
  task: Task
  startedAt: number
  seconds: number
  outcome?: Outcome
  error?: string
}

/** An archive that is open; `changes` tells when its check or what was saved of it has changed. */
export interface Opened {
  info: ArchiveInfo
  verification: Verification
  saved: SavedThing[]
  /** The id that was asked for and that it has. */
  expectId?: string
  /** Of a chain: the id that was asked for when another state was opened. */
  otherId?: string
  changes: EventTarget
}

export class App {
  client!: Client;
  engine: EngineReport | undefined;
  engineChoice: 'auto' | 'wasm' = 'auto';
  opened: Opened | undefined;
  open = new OpenState();
  readonly saving = new Saving(this);
  #trail = new Trail(() => this.render());
  #view: View | undefined;
  #main = h('main', { id: 'main', tabindex: '-1' });
  #header = h('header', { class: 'top' });
  #aside = h('section', { class: 'aside' });
  /** Told aloud, whatever view is shown. */
  #spoken = h('p', { class: 'away', role: 'status' });
  /** Writing that would be cut off by leaving. */
  #writing = 0;

  constructor (private readonly place: HTMLElement) {}

  async start (): Promise<void> {
    put(this.place, h('a', { class: 'skip', href: '#main', onclick: (event: Event) => { event.preventDefault(); this.#main.focus(); } }, t('skip')),
      this.#header, this.#spoken, this.#aside, this.#main, h('footer', { class: 'foot' }));
    addEventListener('pagehide', () => this.lock());
    addEventListener('beforeunload', (event) => { if (this.#writing > 0) event.preventDefault(); });
    // A file that is dropped beside the place for it must not replace the page.
    for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault());
    await this.#startWorker();
    this.home();
  }

  /** Shows the first screen. */
  home (): void {
    this.#trail.start(() => openView(this));
  }

  /** Shows a screen, one step further. */
  go (make: () => View): void {
    this.#trail.go(make);
  }

  back (): void {
    history.back();
  }

  /** Leads from the first screen to the backup that is open. */
  resume (): void {
    if (this.#trail.further) history.forward();
    else this.go(() => archiveView(this));
  }

  /** Draws the current screen. */
  render (): void {
    if (this.#view !== undefined) this.#view.scroll = scrollY;
    // Dialogs over the screen before do not belong to this one.
    for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
    const view = this.#trail.view();
    if (view === undefined) return;
    const first = this.#view === undefined;
    this.#view = view;
    document.documentElement.lang = language();
    document.title = `${t(view.title)} – ${t('brand')}`;
    this.#drawHeader();
    this.#aside.setAttribute('aria-label', t('save.aside'));
    put(this.place.querySelector('.foot') as HTMLElement, h('p', null, t('footer')));
    put(this.#main, view.element);
    view.shown?.();
    this.saving.draw(view.element, this.#aside);
    scrollTo(0, view.scroll ?? 0);
    const heading = this.#main.querySelector('h1');
    heading?.setAttribute('tabindex', '-1');
    if (!first) heading?.focus({ preventScroll: true });
  }

  /** Takes an archive that was unlocked, and begins to verify it. */
  take (info: ArchiveInfo, expectId: string | undefined): void {
    this.#set(info, expectId);
    this.go(() => archiveView(this));
  }

  /** Takes another state of the same chain; what was saved of the one before stays in the report. */
  takeInstead (info: ArchiveInfo): void {
    const before = this.opened;
    this.#set(info, before?.expectId ?? before?.otherId, before?.saved);
    this.#trail.replace(() => archiveView(this));
  }

  #set (info: ArchiveInfo, id: string | undefined, saved: SavedThing[] = []): void {
    this.opened?.verification.task.cancel();
    const same = id?.toLowerCase() === info.id;
    this.opened = { info, verification: begun(), saved, changes: new EventTarget(), ...(id === undefined ? {} : same ? { expectId: id } : { otherId: id }) };
    void this.verify();
  }

  /** Checks every file; the result is in `opened.verification`. */
  async verify (): Promise<void> {
    const { opened } = this;
    if (opened === undefined) return;
    const started = performance.now();
    const verification = opened.verification = begun();
    this.changed(opened);
    try {
      verification.outcome = await this.client.call<Outcome>('verify', {}, verification.task.options());
      verification.state = 'done';
    } catch (error) {
      verification.state = (error as CallError).kind === 'interrupted' ? 'stopped' : 'failed';
      verification.error = (error as Error).message;
    }
    verification.seconds = (performance.now() - started) / 1000;
    this.changed(opened);
    if (opened === this.opened) put(this.#spoken, t(`verdict.${verdictOf(this)}`));
  }

  /** Notes what was saved of an archive, for the evidence report; another one may be open by then. */
  note (of: Opened | undefined, saved: SavedThing): void {
    of?.saved.push(saved);
    if (this.opened !== undefined) this.changed(this.opened);
  }

  changed (opened: Opened): void {
    opened.changes.dispatchEvent(new Event('change'));
  }

  /** While it runs, the browser asks before it leaves the page. */
  async writing<T> (action: () => Promise<T>): Promise<T> {
    this.#writing++;
    try {
      return await action();
    } finally {
      this.#writing--;
    }
  }

  /** Forgets everything: the worker ends, and with it the key and what was read. */
  lock (): void {
    this.#forget();
    void this.#startWorker();
    this.home();
  }

  /** Starts again with the other cipher. */
  async useEngine (choice: 'auto' | 'wasm'): Promise<void> {
    this.engineChoice = choice;
    this.#forget();
    await this.#startWorker();
    this.#trail.redraw();
  }

  #forget (): void {
    put(this.#spoken);
    this.opened = undefined;
    this.open = new OpenState();
    this.saving.locked();
    this.client.close();
  }

  async #startWorker (): Promise<void> {
    const { client, ready } = startWorker(this.engineChoice);
    this.client = client;
    try {
      this.engine = await ready;
    } catch (error) {
      this.open.error = error as CallError;
    }
  }

  #drawHeader (): void {
    const languages = h('select', { 'aria-label': t('language'), onchange: (event: Event) => {
      setLanguage((event.target as HTMLSelectElement).value as Language);
      this.#trail.redraw();
      this.#header.querySelector('select')?.focus();
    } }, LANGUAGES.map(([code, name]) => h('option', { value: code, lang: code, selected: code === language() }, name)));
    put(this.#header,
      h('div', { class: 'brand' }, icon('shield'), h('span', null, t('brand'))),
      h('div', { class: 'top-actions' },
        languages,
        h('button', { type: 'button', class: 'quiet', onclick: () => this.go(() => aboutView(this)) }, t('about')),
        this.opened !== undefined && h('button', { type: 'button', class: 'lock', onclick: () => this.lock() }, icon('lock'), t('lock'))));
  }
}

function begun (): Verification {
  return { state: 'running', task: new Task('verify.running'), startedAt: Date.now(), seconds: 0 };
}
