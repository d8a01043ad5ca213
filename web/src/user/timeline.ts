// Events over time, stacked by type. Dragging across it narrows the dates; the date fields do the same from the keyboard.
import { t } from '../texts/index.js';
import { alien, h, put, s } from '../ui/dom.js';
import { date, dateTime, number } from '../ui/format.js';
import type { Timeline } from '../records.js';

const HEIGHT = 120;

export class TimelinePlot {
  readonly element = h('figure', { class: 'timeline' });
  readonly steps = 160;
  #from = 0;
  #to = 0;

  constructor (private readonly choose: (from: number, to: number) => void) {}

  show (timeline: Timeline): void {
    const { from, to, types, counts } = timeline;
    [this.#from, this.#to] = [from, to];
    if (counts.length === 0) {
      put(this.element);
      return;
    }
    const sums = Array.from({ length: this.steps }, (_, step) => counts.reduce((sum, one) => sum + one[step], 0));
    const most = Math.max(1, ...sums);
    const bars: SVGElement[] = [];
    const width = 1000 / this.steps;
    for (let step = 0; step < this.steps; step++) {
      let top = HEIGHT;
      counts.forEach((one, group) => {
        if (one[step] === 0) return;
        // A single event among very many still shows.
        const height = Math.max(1, one[step] / most * (HEIGHT - 4));
        top -= height;
        bars.push(s('rect', { x: step * width, y: Math.max(0, top), width: Math.max(0.5, width - 0.8), height, class: `c${group}` }));
      });
    }
    const selection = s('rect', { x: 0, y: 0, width: 0, height: HEIGHT, class: 'selection' });
    const when = (seconds: number) => (to - from < 2 * 86400 ? dateTime(seconds * 1000) : date(seconds * 1000));
    const total = sums.reduce((a, b) => a + b, 0);
    const label = t('timeline.label', { n: total, from: when(from), to: when(to) });
    const plot = s('svg', { viewBox: `0 0 1000 ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label, class: 'bars' },
      s('line', { x1: 0, x2: 1000, y1: HEIGHT, y2: HEIGHT, class: 'axis' }), bars, selection);
    this.#draggable(plot, selection);
    put(this.element, plot,
      h('div', { class: 'axis-labels', 'aria-hidden': 'true' }, h('span', null, when(from)), h('span', null, t('timeline.most', { n: most })), h('span', null, when(to))),
      h('figcaption', { class: 'legend' }, [...types, ...(counts.length > types.length ? [null] : [])].map((type, i) => h('span', null,
        h('i', { class: `swatch c${i}` }), type === null ? t('timeline.others') : alien(type || '—'), ' ', h('small', null, number(counts[i].reduce((a, b) => a + b, 0)))))));
  }

  #draggable (plot: SVGElement, selection: SVGElement): void {
    let start: number | undefined;
    const at = (event: PointerEvent) => {
      const box = plot.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    plot.addEventListener('pointerdown', (event) => {
      start = at(event);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener('pointermove', (event) => {
      if (start === undefined) return;
      const now = at(event);
      selection.setAttribute('x', String(Math.min(start, now) * 1000));
      selection.setAttribute('width', String(Math.abs(now - start) * 1000));
    });
    plot.addEventListener('pointerup', (event) => {
      const end = at(event);
      const begin = start;
      start = undefined;
      selection.setAttribute('width', '0');
      if (begin === undefined || Math.abs(end - begin) < 0.01) return;
      const time = (share: number) => this.#from + share * (this.#to - this.#from);
      this.choose(time(Math.min(begin, end)), time(Math.max(begin, end)));
    });
  }
}

