// The first screen: which backup, which key.
import type { App, View } from '../app.js';
import { CallError } from '../rpc.js';
import { maybe, t } from '../texts/index.js';
import type { ArchiveInfo, Chosen } from '../types.js';
import { runChooser } from '../archive/runs.js';
import { alien, freshId, h, put, type Child } from '../ui/dom.js';
import { bytes } from '../ui/format.js';
import { shownText } from '../ui/shown.js';
import { icon } from '../ui/icons.js';
import type { Choice } from '../worker/session.js';
import { Expected, cleartextNotice, expectedFields } from './expected.js';
import { canPickFolder, fromDrop, fromInput, pickFolder, type Found } from './folder.js';
import { knownProblem } from './problems.js';

/** The input so far; it lives as long as the first screen does. */
export class OpenState {
  chosen: Chosen | undefined;
  /** Of a chain: the run whose state is wanted; the newest unless given. */
  run: number | undefined;
  key: Uint8Array | undefined;
  keyName = '';
  keyLocked = false;
  expected = new Expected();
  error: CallError | undefined;
  busy = '';

  forgetSecrets (): void {
    this.key?.fill(0);
    this.key = undefined;
    this.keyName = '';
    this.keyLocked = false;
  }
}

export function openView (app: App): View {
  const view = new OpenView(app);
  return { title: 'open.title', element: view.element, shown: () => view.draw(), redraw: () => view.draw() };
}

/** Where a backup is chosen and its key is given. */
class OpenView {
  readonly element = h('div', { class: 'open' });
  private state: OpenState;

  constructor (private readonly app: App) {
    this.state = app.open;
    this.draw();
  }

  /** Shows the present state. */
  draw (): void {
    this.state = this.app.open;
    put(this.element, this.content());
  }

  private content (): Child[] {
    return [
      h('div', { class: 'intro' }, h('h1', null, t('open.title')), h('p', null, t('open.lead'))),
      this.app.opened !== undefined && h('section', { class: 'card' }, h('p', null, t('open.still')),
        h('button', { type: 'button', class: 'primary', 'data-resume': true, onclick: () => this.app.resume() }, t('open.resume'))),
      this.isChoice() && this.state.chosen !== undefined ? this.choiceBox(this.state.chosen) : errorBox(this.state.error),
      this.backupCard(),
      this.state.chosen !== undefined && this.keyCard(this.state.chosen),
      h('ul', { class: 'promises' }, (['open.promise.offline', 'open.promise.key', 'open.promise.reads'] as const)
        .map((key) => h('li', null, icon('check'), t(key)))),
    ];
  }

  private async choose (find: (found: Found) => Promise<Choice | undefined> | Choice | undefined): Promise<void> {
    this.state.error = undefined;
    try {
      const choice = await find((files) => {
        this.state.busy = t('open.walking', { n: files });
        const line = this.element.querySelector('.drop [role=status]');
        if (line === null) this.draw();
        else line.textContent = this.state.busy;
      });
      if (choice === undefined) return;
      this.state.chosen = this.state.run = undefined;
      this.state.expected.another();
      this.state.busy = t('open.reading');
      this.draw();
      this.state.chosen = await this.app.client.call<Chosen>('choose', choice);
    } catch (error) {
      this.state.error = asCallError(error);
    } finally {
      this.state.busy = '';
    }
    this.draw();
    (this.element.querySelector(this.state.error === undefined ? '.key-card h2' : '.error') as HTMLElement | null)?.focus();
  }

  private backupCard (): HTMLElement {
    const folderInput = h('input', { type: 'file', webkitdirectory: true, class: 'away', tabindex: '-1', 'aria-hidden': 'true',
      'data-input': 'folder', onchange: (event: Event) => void this.choose(() => fromInput((event.target as HTMLInputElement).files as FileList)) });
    const fileInput = h('input', { type: 'file', accept: '.zip,.tar,application/zip,application/x-tar', class: 'away', tabindex: '-1', 'aria-hidden': 'true',
      'data-input': 'packed', onchange: (event: Event) => {
        const file = (event.target as HTMLInputElement).files?.[0];
        if (file !== undefined) void this.choose(() => ({ file }));
      } });
    const card = h('section', { class: 'card drop' },
      h('h2', null, h('span', { class: 'step', 'aria-hidden': 'true' }, '1'), t('open.backup')),
      this.state.chosen === undefined
        ? h('p', { class: 'drop-hint' }, icon('folder'), h('span', null, t('open.drop')))
        : h('p', { class: 'chosen', 'data-chosen': true }, icon('folder'), h('span', null, alien(this.state.chosen.name), h('small', null,
          `${t('files', { n: this.state.chosen.files })}, ${bytes(this.state.chosen.bytes)}`))),
      h('div', { class: 'row' },
        h('button', { type: 'button', class: this.state.chosen === undefined ? 'primary' : '', onclick: () => {
          if (canPickFolder()) void this.choose(pickFolder);
          else folderInput.click();
        } }, t(this.state.chosen === undefined ? 'open.folder' : 'open.other')),
        h('button', { type: 'button', onclick: () => fileInput.click() }, t('open.packed'))),
      folderInput, fileInput,
      this.state.busy !== '' && h('p', { role: 'status' }, this.state.busy));
    onDrop(card, (data) => void this.choose((found) => fromDrop(data, found)));
    return card;
  }

  private isChoice (): boolean {
    return this.state.error?.kind === 'choice';
  }

  /** Where nobody but the reader can say which run is the right one. */
  private choiceBox ({ runs }: Chosen) {
    let run: number | undefined;
    const go = h('button', { type: 'button', class: 'primary', disabled: true, 'data-choose': true, onclick: () => {
      if (run !== undefined) void this.openWith('at', { run, expectId: this.state.expected.id });
    } }, t('open.choice.go'));
    return errorBox(this.state.error, runChooser(t('open.choice'), runs, undefined, (chosen) => {
      run = chosen;
      go.disabled = false;
    }), h('div', { class: 'row' }, go));
  }

  private keyCard (chosen: Chosen): HTMLElement {
    const [keyText, passphrase] = [freshId(), freshId()];
    const hybrid = chosen.mode === 'hybrid';
    const takeKey = async (content: Uint8Array, name: string) => {
      this.state.forgetSecrets();
      this.state.error = undefined;
      try {
        this.state.keyLocked = await this.app.client.call<boolean>('keyNeedsPassphrase', content);
        this.state.key = content;
        this.state.keyName = name;
      } catch (error) {
        this.state.error = asCallError(error);
      }
      this.draw();
      this.element.querySelector<HTMLElement>(this.state.error === undefined ? '.key-card input[type=password], .key-card .primary' : '.error')?.focus();
    };
    const takeKeyFile = async (file: File) => {
      try {
        if (file.size > 1 << 20) throw new CallError('key', t('open.key.large'));
        await takeKey(new Uint8Array(await file.arrayBuffer()), file.name);
      } catch (error) {
        this.state.error = error instanceof CallError ? error : new CallError('key', t('open.key.unread', { name: shownText(file.name) }));
        this.draw();
        this.element.querySelector<HTMLElement>('.error')?.focus();
      }
    };
    const keyFile = h('input', { type: 'file', class: 'away', tabindex: '-1', 'aria-hidden': 'true', 'data-input': 'key', onchange: (event: Event) => {
      const file = (event.target as HTMLInputElement).files?.[0];
      if (file !== undefined) void takeKeyFile(file);
    } });
    const card = h('form', { class: 'card key-card', autocomplete: 'off', novalidate: true, onsubmit: (event: Event) => {
      event.preventDefault();
      void this.unlock(event.currentTarget as HTMLFormElement);
    } },
    h('h2', { tabindex: '-1' }, h('span', { class: 'step', 'aria-hidden': 'true' }, '2'), t(chosen.mode === null ? 'open.ready' : 'open.key')),
    chosen.runs.length > 1 && !this.isChoice() && [h('p', { class: 'hint' }, t('runs.hint')), runChooser(t('runs.label'), chosen.runs, this.state.run ?? chosen.runs[chosen.runs.length - 1].run, (run) => {
      this.state.run = run;
      const mode = chosen.runs.find((one) => one.run === run)?.mode ?? null;
      const redraw = mode !== chosen.mode;
      chosen.mode = mode;
      if (redraw) this.draw();
    })],
    chosen.mode === null && cleartextNotice(this.state.expected),
    hybrid && (this.state.key === undefined
      ? [h('p', null, t('open.key.lead')),
          h('div', { class: 'row' }, h('button', { type: 'button', class: 'primary', onclick: () => keyFile.click() }, icon('key'), t('open.key.file'))),
          h('details', null, h('summary', null, t('open.key.paste')),
            h('label', { for: keyText }, t('open.key.text')),
            h('textarea', { id: keyText, class: 'secret', rows: 5, spellcheck: 'false', autocomplete: 'off', 'data-input': 'key-text' }),
            h('button', { type: 'button', onclick: () => {
              const area = card.querySelector('textarea');
              if (area !== null && area.value.trim() !== '') void takeKey(new TextEncoder().encode(area.value), t('open.key.pasted'));
            } }, t('open.key.take')))]
      : [h('p', { class: 'chosen' }, icon('key'), h('span', null, alien(this.state.keyName), h('small', null, t(this.state.keyLocked ? 'open.key.locked' : 'open.key.plain'))),
          h('button', { type: 'button', class: 'quiet', onclick: () => { this.state.forgetSecrets(); this.draw(); } }, t('open.key.other'))),
        ]),
    chosen.mode !== null && (!hybrid || this.state.keyLocked) && h('p', { class: 'field' },
      h('label', { for: passphrase }, t(hybrid ? 'open.key.passphrase' : 'open.passphrase')),
      h('input', { id: passphrase, type: 'password', name: 'passphrase', autocomplete: 'off', spellcheck: 'false' }),
      h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', onclick: (event: Event) => {
        const field = card.querySelector<HTMLInputElement>('[name=passphrase]');
        if (field === null) return;
        field.type = field.type === 'password' ? 'text' : 'password';
        (event.currentTarget as HTMLElement).setAttribute('aria-pressed', String(field.type === 'text'));
      } }, t('show'))),
    expectedFields(this.state.expected, this.isChoice()),
    (!hybrid || this.state.key !== undefined) && h('div', { class: 'row' },
      h('button', { type: 'submit', class: 'primary', disabled: this.state.busy !== '' }, t('open.go'))),
    keyFile,
    this.state.busy !== '' && h('p', { role: 'status' }, this.state.busy));
    onDrop(card, (data) => {
      const file = data.files[0];
      if (file !== undefined && hybrid) void takeKeyFile(file);
    });
    return card;
  }

  private async unlock (form: HTMLFormElement): Promise<void> {
    const value = (name: string) => (form.elements.namedItem(name) as HTMLInputElement | null)?.value;
    const { expected, chosen } = this.state;
    if (!expected.check(chosen?.mode === null)) {
      this.draw();
      this.element.querySelector<HTMLElement>(expected.focus)?.focus();
      return;
    }
    const typed = value('passphrase');
    for (const button of form.querySelectorAll('button')) button.disabled = true;
    await this.openWith('unlock', {
      privateKey: this.state.key,
      ...(chosen?.mode === 'hybrid' ? { privateKeyPassphrase: typed } : { passphrase: typed }),
      expectId: expected.id,
      signer: expected.signer,
      cleartext: expected.cleartext,
      at: this.state.run,
    });
  }

  private async openWith (call: 'unlock' | 'at', argument: { expectId: string | undefined, [name: string]: unknown }): Promise<void> {
    this.state.error = undefined;
    this.state.busy = t('open.opening');
    try {
      const info = await this.app.client.call<ArchiveInfo>(call, argument);
      this.state.busy = '';
      this.state.forgetSecrets();
      this.state.expected = new Expected();
      this.app.take(info, argument.expectId);
      return;
    } catch (error) {
      this.state.error = asCallError(error);
    }
    this.state.busy = '';
    this.draw();
    this.element.querySelector<HTMLElement>('.error')?.focus();
  }
}

/** An error: what it is and what to do in the reader's language, then the sentence as the core says it, then `more`. */
export function errorBox (error: CallError | undefined, ...more: Child[]): HTMLElement | undefined {
  if (error === undefined) return undefined;
  const known = error.about && knownProblem(error.kind, error.about);
  const instead = error.about?.instead;
  const [look, sign] = error.kind === 'choice' ? ['partly', 'warning'] : ['bad', 'stop'];
  return h('div', { class: `error notice ${look}`, role: 'alert', tabindex: '-1', 'data-kind': error.kind, 'data-problem': known?.name },
    icon(sign), h('div', null, h('strong', null, known === undefined ? maybe(`error.${error.kind}`, t('error.failed')) : t(`problem.${known.name}`, known.gaps)),
    error.about !== undefined
      ? [h('p', null, known === undefined ? maybe(`advice.${error.kind}`, '') : t(`problem.${known.name}.do`, known.gaps)),
          instead !== undefined && known?.name !== 'run' && h('p', null, t('problem.run.do', { n: String(instead) })),
          h('p', { class: 'small' }, alien(error.message, { lang: 'en' }))]
      : h('p', null, alien(error.message)), more));
}

function asCallError (error: unknown): CallError {
  return error instanceof CallError ? error : new CallError('failed', (error as Error).message);
}

function onDrop (element: HTMLElement, use: (data: DataTransfer) => unknown): void {
  element.addEventListener('dragover', (event) => {
    event.preventDefault();
    element.classList.add('over');
  });
  element.addEventListener('dragleave', () => element.classList.remove('over'));
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove('over');
    if (event.dataTransfer !== null) use(event.dataTransfer);
  });
}
