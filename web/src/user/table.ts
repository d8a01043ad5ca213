// A table of any length: only the rows in sight are in the page.
import { h, put, type Child } from '../ui/dom.js';

export interface TableOptions<R> {
  label: string
  columns: string[]
  fetch (from: number, to: number): Promise<R[]>
  cells (row: R): Child[]
  open (row: R, position: number): void
}

// Browsers lay out no element that is much higher; longer tables are scrolled in proportion.
const HIGHEST = 8_000_000;
const MARGIN = 8;

export class VirtualTable<R> {
  readonly element: HTMLElement;
  #count = 0;
  #active = 0;
  #generation = 0;
  #rows = new Map<number, R>();
  #spacer = h('div', { class: 'v-spacer', role: 'rowgroup' });
  #scroller: HTMLElement;
  #pending = false;
  #fetching = false;
  #stale = false;
  #top = 0;

  constructor (private readonly options: TableOptions<R>) {
    this.#scroller = h('div', {
      class: 'v-table', role: 'grid', tabindex: '0', 'aria-label': options.label, 'aria-colcount': options.columns.length,
      onscroll: () => {
        this.#top = this.#scroller.scrollTop;
        this.#later();
      }, onkeydown: (event: KeyboardEvent) => this.#key(event),
    },
    h('div', { role: 'rowgroup', class: 'v-head' }, h('div', { role: 'row', class: 'v-row', 'aria-rowindex': 1 }, options.columns.map((name) => h('span', { role: 'columnheader' }, name)))),
    this.#spacer);
    this.element = this.#scroller;
    new ResizeObserver(() => {
      // A table that was out of the page has forgotten where it was.
      if (this.#scroller.scrollTop === 0) this.#scroller.scrollTop = this.#top;
      this.#later();
    }).observe(this.#scroller);
  }

  /** Shows another result. */
  reset (count: number): void {
    this.#active = 0;
    this.#generation++;
    this.#rows.clear();
    this.#fetching = false;
    this.#scroller.scrollTop = this.#top = 0;
    put(this.#spacer);
    this.grow(count);
  }

  /** Shows a result that goes on coming in, from where the reader is. */
  grow (count: number): void {
    this.#count = count;
    // Rows that are shown stay until the new ones are there, and a fetch that is under way is not overtaken.
    this.#stale = true;
    this.#scroller.setAttribute('aria-rowcount', String(count + 1));
    this.#spacer.style.height = `${Math.min(HIGHEST, count * this.#rowHeight())}px`;
    if (!this.#fetching) void this.#draw();
  }

  #rowHeight (): number {
    return matchMedia('(width < 48rem)').matches ? 68 : 40;
  }

  #firstInSight (): number {
    const room = this.#spacer.offsetHeight - this.#bodyHeight();
    const real = this.#count * this.#rowHeight() - this.#bodyHeight();
    return room <= 0 ? 0 : Math.max(0, this.#scroller.scrollTop / room * Math.max(0, real) / this.#rowHeight());
  }

  #bodyHeight (): number {
    return Math.max(0, this.#scroller.clientHeight - (this.#scroller.querySelector<HTMLElement>('.v-head')?.offsetHeight ?? 0));
  }

  #later (): void {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      void this.#draw();
    });
  }

  async #draw (): Promise<void> {
    const generation = this.#generation;
    const height = this.#rowHeight();
    const first = this.#firstInSight();
    const from = Math.max(0, Math.floor(first) - MARGIN);
    const to = Math.min(this.#count, Math.ceil(first + this.#bodyHeight() / height) + MARGIN);
    this.#place(from, to, first, height);
    const missing = [];
    for (let i = from; i < to; i++) if (this.#stale || !this.#rows.has(i)) missing.push(i);
    if (missing.length === 0) return;
    const [start, end] = [missing[0], missing[missing.length - 1] + 1];
    const fresh = this.#stale;
    this.#stale = false;
    this.#fetching = true;
    const found = await this.options.fetch(start, end).catch(() => []);
    if (generation !== this.#generation) return;
    this.#fetching = false;
    if (fresh || this.#rows.size > 2000) this.#rows.clear();
    found.forEach((row, i) => this.#rows.set(start + i, row));
    const now = this.#firstInSight();
    if (Math.abs(now - first) > 0.01) return this.#later();
    this.#place(from, to, first, height);
    if (this.#stale) this.#later();
  }

  #place (from: number, to: number, first: number, height: number): void {
    const top = this.#scroller.scrollTop;
    const rows = [];
    for (let i = from; i < to; i++) {
      const row = this.#rows.get(i);
      const line = h('div', {
        role: 'row', class: `v-row${i === this.#active ? ' active' : ''}`, id: `row-${i}`, 'aria-rowindex': i + 2, 'data-row': i,
        onclick: () => this.#open(i),
      }, row === undefined ? h('span', { role: 'gridcell', class: 'pending' }, '…') : this.options.cells(row).map((cell) => h('span', { role: 'gridcell' }, cell)));
      line.style.transform = `translateY(${top + (i - first) * height}px)`;
      line.style.height = `${height}px`;
      rows.push(line);
    }
    put(this.#spacer, rows);
    if (to > from) this.#scroller.setAttribute('aria-activedescendant', `row-${this.#active}`);
    else this.#scroller.removeAttribute('aria-activedescendant');
  }

  #open (position: number): void {
    const row = this.#rows.get(position);
    this.#active = position;
    this.#later();
    if (row !== undefined) this.options.open(row, position);
  }

  #key (event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#bodyHeight() / this.#rowHeight()) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.#count, End: this.#count };
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.#open(this.#active);
    } else if (event.key in steps && this.#count > 0) {
      event.preventDefault();
      this.#active = Math.min(this.#count - 1, Math.max(0, this.#active + steps[event.key]));
      this.#reveal();
    }
  }

  #reveal (): void {
    const visible = this.#bodyHeight() / this.#rowHeight();
    const first = this.#firstInSight();
    let wanted = first;
    if (this.#active < first) wanted = this.#active;
    else if (this.#active > first + visible - 1) wanted = this.#active - visible + 1;
    const real = this.#count - visible;
    const room = this.#spacer.offsetHeight - this.#bodyHeight();
    if (wanted !== first && real > 0) this.#scroller.scrollTop = wanted / real * room;
    this.#later();
  }
}
