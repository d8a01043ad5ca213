// Something that takes a while: progress with bytes, rate and time left, and a way to stop it.
import type { CallOptions } from '../rpc.js';
import { t } from '../texts/index.js';
import type { Progress } from '../types.js';
import { h, put, alien } from './dom.js';
import { bytes, span } from './format.js';

/** A progress display; `run` gives the call what it needs. */
export class Task {
  readonly element: HTMLElement;
  #bar = h('progress', { max: 1, value: 0 });
  #line = h('p', { class: 'task-line' });
  #path = h('p', { class: 'task-path' });
  #controller = new AbortController();
  #started = performance.now();

  constructor (label: string) {
    this.#bar.setAttribute('aria-label', label);
    this.element = h('div', { class: 'task' },
      h('div', { class: 'task-head' }, h('strong', null, label),
        h('button', { type: 'button', class: 'quiet', onclick: () => this.cancel() }, t('cancel'))),
      this.#bar, this.#line, this.#path);
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
    const seconds = (performance.now() - this.#started) / 1000;
    const rate = done / Math.max(seconds, 0.001);
    this.#bar.value = total > 0 ? done / total : 1;
    const left = seconds > 1 && done > 0 ? ` · ${t('time.left', { span: span((total - done) / rate) })}` : '';
    put(this.#line, `${t('bytes.of', { done: bytes(done), total: bytes(total) })} · ${t('rate', { bytes: bytes(rate) })}${left}`);
    put(this.#path, alien(path));
  }
}
