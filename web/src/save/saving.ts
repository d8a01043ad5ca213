// The save that is under way: it goes on whatever view is shown, and every view shows it.
import type { App } from '../app.js';
import { findingList } from '../archive/verdict.js';
import { errorBox } from '../open/view.js';
import { reportView } from '../report/view.js';
import { CallError } from '../rpc.js';
import { t } from '../texts/index.js';
import type { ExportedFile, Outcome, UserInfo } from '../types.js';
import { alien, h, put, type Child } from '../ui/dom.js';
import { bytes, number } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import { Task } from '../ui/task.js';

/** The files that were saved during this visit, for the evidence report; `complete` unless it was stopped or failed. */
export interface SavedThing { what: string, where: string, at: number, user?: string, complete: boolean, files: ExportedFile[] }

/** Where a save goes: what the worker is asked for, and what is done with its messages. */
export interface Target {
  kind: 'zip' | 'folder'
  name: string
  call: string
  argument: object
  take (message: any): unknown
  close (): Promise<void>
  abort (): Promise<void>
  /** Files that are there and stay, also when the save ends early. */
  readonly written: ExportedFile[]
}

export class Saving {
  readonly #element = h('div', { class: 'save-result' });
  /** Stays in the page, so that what comes into it is told aloud. */
  readonly #status = h('div', { role: 'status' });
  #task: Task | undefined;
  #result: Child;
  #locks = 0;
  #view: HTMLElement | undefined;

  constructor (private readonly app: App) {
    this.#element.append(this.#status);
  }

  /** Shows it in its place in a view, else above it; what has ended is shown in one view only. */
  draw (view: HTMLElement, aside: HTMLElement): void {
    if (this.#view !== undefined && view !== this.#view && this.#task === undefined) this.#result = undefined;
    this.#view = view;
    (view.querySelector('.save-place') ?? aside).append(this.#element);
    this.#fill();
  }

  #fill (): void {
    for (const button of this.#view?.querySelectorAll<HTMLButtonElement>('button[data-save]') ?? []) button.disabled = this.#task !== undefined;
    this.#element.querySelector('.task')?.remove();
    if (this.#task !== undefined) this.#element.prepend(this.#task.element);
    put(this.#status, this.#result);
  }

  /** The archive was locked: its names are no longer shown. */
  locked (): void {
    this.#locks++;
    this.#result = undefined;
    this.#task?.cancel();
  }

  /** Saves to where the user chooses; one at a time. */
  async run (user: UserInfo | undefined, choose: () => Promise<Target | undefined>): Promise<void> {
    if (this.#task !== undefined) return;
    const { app } = this;
    const { opened } = app;
    const locks = this.#locks;
    const task = this.#task = new Task('save.running');
    this.#result = undefined;
    this.#fill();
    const note = (where: string, complete: boolean, files: ExportedFile[]) => app.note(opened, { what: user === undefined ? 'archive' : 'user', user: user?.username, where, at: Date.now(), complete, files });
    let result: Child;
    let target: Target | undefined;
    try {
      target = await choose();
      if (target !== undefined) {
        const to = target;
        const outcome = await app.writing(async () => {
          const done = await app.client.call<Outcome>(to.call, to.argument, task.options((message) => to.take(message)));
          // The worker may have been done when it was stopped: a ZIP is given up all the same, files in a folder are all there.
          if (task.cancelled && to.kind === 'zip') throw new CallError('interrupted', 'interrupted');
          await to.close();
          return done;
        });
        note(to.name, true, outcome.exported);
        result = this.#summary(to.name, outcome, user);
      }
    } catch (error) {
      await target?.abort().catch(() => {});
      const written = target?.written ?? [];
      if (locks !== this.#locks) {
        result = written.length > 0 ? warned(t('save.left.locked', { n: written.length })) : undefined;
      } else {
        if (target !== undefined && written.length > 0) note(target.name, false, written);
        result = ended(error, target);
      }
    } finally {
      this.#task = undefined;
    }
    this.#result = result;
    this.#fill();
  }

  #summary (where: string, outcome: Outcome, user: UserInfo | undefined): HTMLElement {
    const whole = outcome.damaged.length === 0;
    return h('div', { class: `notice ${whole ? 'good' : 'bad'}`, 'data-saved': whole ? 'whole' : 'partly' },
      icon(whole ? 'check' : 'stop'),
      h('div', { class: 'grow' },
        h('p', null, h('strong', null, t(whole ? 'save.done' : 'save.done.partly', { n: outcome.damaged.length }))),
        h('p', null, alien(where), ' · ', t('files', { n: outcome.exported.length }), ' · ', bytes(outcome.bytes), outcome.records > 0 ? ` · ${number(outcome.records)} ${t('records')}` : ''),
        !whole && findingList(outcome.damaged),
        h('p', null, h('button', { type: 'button', onclick: () => this.app.go(() => reportView(this.app, user)) }, t('report.title')))));
  }
}

/** Says how a save ended early, and what is on the disk now. */
function ended (error: unknown, target: Target | undefined): Child {
  const left = target === undefined ? undefined
    : target.written.length > 0 ? t('save.left', { n: target.written.length, where: target.name })
      : t(target.kind === 'zip' ? 'save.left.zip' : 'save.left.none');
  if ((error as CallError).kind === 'interrupted') return warned(`${t('error.interrupted')}. ${left ?? ''}`);
  return [errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)), left !== undefined && warned(left)];
}

function warned (text: string): HTMLElement {
  return h('p', { class: 'notice partly' }, icon('warning'), h('span', null, text));
}
