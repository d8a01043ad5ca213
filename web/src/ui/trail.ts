// The screens that were gone through, in step with the browser's own Back and Forward.
import type { View } from '../app.js';

interface Step { make: () => View, view?: View }

export class Trail {
  #steps: Step[] = [];
  #at = 0;
  /** Entries of the browser's history from before a lock lead nowhere. */
  #age = 0;

  /** `shown` is told that another screen is due. */
  constructor (private readonly shown: () => void) {
    addEventListener('popstate', ({ state }) => this.#to(state?.g === this.#age ? Number(state.n) : 0));
  }

  get at (): number {
    return this.#at;
  }

  /** Whether there is a screen to go forward to. */
  get further (): boolean {
    return this.#at + 1 < this.#steps.length;
  }

  /** The screen of the moment. */
  view (): View | undefined {
    const step = this.#steps[this.#at];
    if (step !== undefined) step.view ??= step.make();
    return step?.view;
  }

  /** Begins anew; nothing of before is kept. */
  start (make: () => View): void {
    this.#cut(0);
    this.#age++;
    this.#steps = [{ make }];
    this.#at = 0;
    history.replaceState(this.#state(), '');
    this.shown();
  }

  /** One step further. */
  go (make: () => View): void {
    this.#cut(this.#at + 1);
    this.#steps.push({ make });
    this.#at++;
    history.pushState(this.#state(), '');
    this.shown();
  }

  /** Another screen in the place of this one and of all after it. */
  replace (make: () => View): void {
    this.#cut(this.#at);
    this.#steps.push({ make });
    this.shown();
  }

  /** The screens are made anew, or draw themselves: the language is another. */
  redraw (): void {
    for (const step of this.#steps) {
      if (step.view?.redraw !== undefined) step.view.redraw();
      else Trail.#close(step);
    }
    this.shown();
  }

  /** Screens beneath stay as they were; screens above are made again when they are wanted, and keep no memory. */
  #to (n: number): void {
    if (this.#steps.length === 0) return;
    this.#at = Math.min(Math.max(0, Number.isInteger(n) ? n : 0), this.#steps.length - 1);
    for (const step of this.#steps.slice(this.#at + 1)) Trail.#close(step);
    this.shown();
  }

  #cut (from: number): void {
    for (const step of this.#steps.splice(from)) Trail.#close(step);
  }

  static #close (step: Step): void {
    step.view?.close?.();
    delete step.view;
  }

  // Numbers, no private data.
  #state (): { n: number, g: number } {
    return { n: this.#at, g: this.#age };
  }
}
