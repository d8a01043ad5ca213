// The page as a whole: its worker, what is open, which view is shown.
import { aboutView } from './about/view.js';
import { archiveView } from './archive/view.js';
import { openView, OpenState } from './open/view.js';
import { CallError } from './rpc.js';
import { Client } from './rpc.js';
import { LANGUAGES, language, setLanguage, t, type Key, type Language } from './texts/index.js';
import type { ArchiveInfo, Outcome } from './types.js';
import { h, put } from './ui/dom.js';
import { icon } from './ui/icons.js';
import { Task } from './ui/task.js';
import { startWorker, type EngineReport } from './worker-start.js';

/** One screen. */
export interface View { title: Key, element: HTMLElement, close?: () => void }

export interface Verification {
  state: 'running' | 'done' | 'stopped' | 'failed'
  task: Task
  startedAt: number
  seconds: number
  outcome?: Outcome
  error?: string
}

/** What was saved during this visit, for the evidence report. */
export interface SavedThing { what: string, where: string, at: number, user?: string, outcome?: Outcome, files: Array<{ path: string, size: number, sha256: string }> }

/** An archive that is open. */
export interface Opened { info: ArchiveInfo, verification: Verification, saved: SavedThing[], expectId?: string, verified: EventTarget }

export class App {
  client!: Client;
  engine: EngineReport | undefined;
  engineChoice: 'auto' | 'wasm' = 'auto';
  opened: Opened | undefined;
  open = new OpenState();
  #trail: Array<() => View> = [];
  #view: View | undefined;
  #main = h('main', { id: 'main', tabindex: '-1' });
  #header = h('header', { class: 'top' });

  constructor (private readonly place: HTMLElement) {}

  async start (): Promise<void> {
    put(this.place, h('a', { class: 'skip', href: '#main', onclick: (event: Event) => { event.preventDefault(); this.#main.focus(); } }, t('skip')),
      this.#header, this.#main, h('footer', { class: 'foot' }));
    addEventListener('popstate', (event) => this.#back(Number(event.state?.n ?? 0)));
    addEventListener('pagehide', () => this.lock());
    history.replaceState({ n: 0 }, '');
    await this.#startWorker();
    this.home();
  }

  /** Shows the first screen. */
  home (): void {
    this.#trail = [];
    this.go(() => openView(this));
  }

  /** Shows a screen, one step further. */
  go (make: () => View): void {
    this.#trail.push(make);
    if (this.#trail.length > 1) history.pushState({ n: this.#trail.length - 1 }, ''); // a number, no private data
    this.render();
  }

  back (): void {
    history.back();
  }

  /** Draws the current screen anew. */
  render (): void {
    this.#view?.close?.();
    document.documentElement.lang = language();
    this.#drawHeader();
    put(this.place.querySelector('.foot') as HTMLElement, h('p', null, t('footer')));
    const make = this.#trail.at(-1);
    if (make === undefined) return;
    this.#view = make();
    put(this.#main, this.#view.element);
    scrollTo(0, 0);
    const heading = this.#main.querySelector('h1');
    heading?.setAttribute('tabindex', '-1');
    if (this.#trail.length > 1) heading?.focus();
  }

  /** Takes an archive that was unlocked, and begins to verify it. */
  take (info: ArchiveInfo, expectId: string | undefined): void {
    const verification: Verification = { state: 'running', task: new Task(t('verify.running')), startedAt: Date.now(), seconds: 0 };
    this.opened = { info, verification, saved: [], expectId, verified: new EventTarget() };
    void this.verify();
    this.go(() => archiveView(this));
  }

  /** Takes another state of the same chain; what was saved of the one before stays in the report. */
  takeInstead (info: ArchiveInfo): void {
    const saved = this.opened?.saved ?? [];
    this.#trail = this.#trail.slice(0, 1);
    this.take(info, undefined);
    this.opened?.saved.push(...saved);
  }

  /** Checks every file; the result is in `opened.verification`. */
  async verify (): Promise<void> {
    const { opened } = this;
    if (opened === undefined) return;
    const started = performance.now();
    const verification: Verification = { state: 'running', task: new Task(t('verify.running')), startedAt: Date.now(), seconds: 0 };
    opened.verification = verification;
    opened.verified.dispatchEvent(new Event('change'));
    try {
      verification.outcome = await this.client.call<Outcome>('verify', {}, verification.task.options());
      verification.state = 'done';
    } catch (error) {
      verification.state = (error as CallError).kind === 'interrupted' ? 'stopped' : 'failed';
      verification.error = (error as Error).message;
    }
    verification.seconds = (performance.now() - started) / 1000;
    opened.verified.dispatchEvent(new Event('change'));
  }

  /** Forgets everything: the worker ends, and with it the key and what was read. */
  lock (): void {
    this.client.close();
    this.opened = undefined;
    this.open = new OpenState();
    history.replaceState({ n: 0 }, '');
    void this.#startWorker();
    this.home();
  }

  /** Starts again with the other cipher. */
  async useEngine (choice: 'auto' | 'wasm'): Promise<void> {
    this.engineChoice = choice;
    this.client.close();
    this.opened = undefined;
    this.open = new OpenState();
    await this.#startWorker();
    this.render();
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

  #back (n: number): void {
    if (this.opened === undefined && this.#trail.length <= 1) return;
    this.#trail = this.#trail.slice(0, Math.max(1, n + 1));
    this.render();
  }

  #drawHeader (): void {
    const languages = h('select', { 'aria-label': t('language'), onchange: (event: Event) => {
      setLanguage((event.target as HTMLSelectElement).value as Language);
      this.render();
    } }, LANGUAGES.map(([code, name]) => h('option', { value: code, lang: code, selected: code === language() }, name)));
    put(this.#header,
      h('div', { class: 'brand' }, icon('shield'), h('span', null, t('brand'))),
      h('div', { class: 'top-actions' },
        languages,
        h('button', { type: 'button', class: 'quiet', onclick: () => this.go(() => aboutView(this)) }, t('about')),
        this.opened !== undefined && h('button', { type: 'button', class: 'lock', onclick: () => this.lock() }, icon('lock'), t('lock'))));
  }
}
