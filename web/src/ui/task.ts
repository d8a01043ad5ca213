// Something that takes a while: progress with bytes, rate and time left, and a way to stop it.
import type { CallOptions } from '../rpc.js';
import { t, type Key } from '../texts/index.js';
import type { Progress } from '../types.js';
import { h, put, alien } from './dom.js';
import { bytes, span } from './format.js';

/** So often who hears the page is told how far it is. */
const SPOKEN_MS = 10_000;

/** A progress display; `options` gives the call what it needs. */
export class Task {
  #element = h('div', { class: 'task' });
  #bar = h('progress', { max: 1, value: 0 });
  #line = h('p', { class: 'task-line' });
  #path = h('p', { class: 'task-path' });
  #spoken = h('p', { class: 'away', role: 'status' });
  #controller = new AbortController();
  #started = performance.now();
  #told = this.#started;

  constructor (private readonly label: Key) {}

  /** One and the same element, in the language of the moment. */
  get element (): HTMLElement {
    this.#bar.setAttribute('aria-label', t(this.label));
    return put(this.#element,
      h('div', { class: 'task-head' }, h('strong', null, t(this.label)),
        h('button', { type: 'button', class: 'quiet', onclick: () => this.cancel() }, t('cancel'))),
      this.#bar, this.#line, this.#path, this.#spoken);
  }

  /** The options of a call whose emitted values are progress, or for `take`. */
  options (take?: (value: any) => unknown): CallOptions {
    return {
      signal: this.#controller.signal,
      take: (value) => (value.progress === undefined ? take?.(value) : this.show(value.progress)),
    };
  }

  cancel (): void {
    this.#controller.abort();
  }

  get cancelled (): boolean {
    return this.#controller.signal.aborted;
  }

  show ({ done, total, path }: Progress): void {
    const now = performance.now();
    const seconds = (now - this.#started) / 1000;
    const rate = done / Math.max(seconds, 0.001);
    this.#bar.value = total > 0 ? done / total : 1;
    const left = seconds > 1 && done > 0 ? ` · ${t('time.left', { span: span((total - done) / rate) })}` : '';
    put(this.#line, `${t('bytes.of', { done: bytes(done), total: bytes(total) })} · ${t('rate', { bytes: bytes(rate) })}${left}`);
    put(this.#path, alien(path));
    if (now - this.#told < SPOKEN_MS) return;
    this.#told = now;
    put(this.#spoken, `${t(this.label)}: ${t('bytes.of', { done: bytes(done), total: bytes(total) })}${left}`);
  }
}
