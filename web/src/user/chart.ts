// A line over time that can be zoomed and moved: buttons, keys, wheel, dragging.
import type { Line } from '../records.js';
import { t } from '../texts/index.js';
import { h, put, s } from '../ui/dom.js';
import { compact, date, dateTime, exact, timeOfDay } from '../ui/format.js';

const HEIGHT = 320;
const LEFT = 64;
const BOTTOM = 42;
const TOP = 10;
const LEAST_SPAN = 1e-6;
/** Where so many seconds are shown, the days tell enough. */
const LABELS_OF_DAYS = 3 * 86400;
/** The room that a time below the chart takes. */
const LABEL = 110;

/** Where things are in the picture. */
interface Scale { x (time: number): number, y (value: number): number }

export class LineChart {
  readonly element: HTMLElement;
  #plot = h('div', { class: 'plot', tabindex: '0', role: 'group', 'aria-label': t('charts.plot'), onkeydown: (event: KeyboardEvent) => this.#key(event), onfocus: () => { if (this.#point === -1) this.#look(Math.floor((this.#line?.times.length ?? 0) / 2)); } });
  #status = h('p', { class: 'small', role: 'status' });
  /** The line that is drawn, and the point in it that is looked at. */
  #line: Line | undefined;
  #scale: Scale | undefined;
  #point = -1;
  #mark: SVGElement | undefined;
  #value = h('p', { class: 'chart-value', 'data-value': true });
  #spoken = h('p', { class: 'away', role: 'status' });
  #whole: [number, number] | undefined;
  #range: [number, number] | undefined;
  #label = '';
  #width = 0;
  #run = 0;

  constructor (private readonly ask: (steps: number, from?: number, to?: number) => Promise<Line>) {
    const button = (label: string, text: string, action: () => void) => h('button', { type: 'button', 'aria-label': label, title: label, onclick: action }, text);
    this.element = h('div', { class: 'chart' },
      h('div', { class: 'row' },
        button(t('charts.in'), '+', () => this.#zoom(0.5)), button(t('charts.out'), '−', () => this.#zoom(2)),
        button(t('charts.left'), '←', () => this.#move(-0.5)), button(t('charts.right'), '→', () => this.#move(0.5)),
        h('button', { type: 'button', onclick: () => this.#to(undefined) }, t('charts.whole'))),
      this.#plot, this.#value, this.#spoken, this.#status);
    new ResizeObserver(() => {
      const width = this.#plot.clientWidth;
      if (width === 0 || Math.abs(width - this.#width) < 4) return;
      this.#width = width;
      if (this.#label !== '') void this.#draw();
    }).observe(this.#plot);
  }

  /** Starts over with other values. */
  reset (label: string): void {
    this.#label = label;
    this.#whole = this.#range = undefined;
    void this.#draw();
  }

  async #draw (): Promise<void> {
    const width = this.#plot.clientWidth;
    if (width === 0) return;
    this.#width = width;
    const run = ++this.#run;
    let line: Line;
    try {
      line = await this.ask(Math.max(50, Math.floor(width - LEFT)), this.#range?.[0], this.#range?.[1]);
    } catch (error) {
      put(this.#status, (error as Error).message);
      return;
    }
    if (run !== this.#run) return;
    this.#whole ??= [line.from, line.to];
    this.#line = line;
    put(this.#plot, this.#picture(line, width));
    this.#look(-1);
    let [least, most] = [Infinity, -Infinity];
    for (let i = 0; i < line.times.length; i++) {
      least = Math.min(least, line.low[i]);
      most = Math.max(most, line.high[i]);
    }
    put(this.#status, line.times.length === 0
      ? t('charts.empty')
      : t('charts.status', { n: line.total, from: this.#time(line.from), to: this.#time(line.to), least: compact(least), most: compact(most) }), ' ', line.exact ? '' : t('charts.reduced'));
    this.#status.dataset.points = String(line.total);
  }

  #picture (line: Line, width: number): SVGElement {
    const inner = width - LEFT - 8;
    const body = HEIGHT - TOP - BOTTOM;
    let [least, most] = [Infinity, -Infinity];
    for (let i = 0; i < line.times.length; i++) {
      least = Math.min(least, line.low[i]);
      most = Math.max(most, line.high[i]);
    }
    if (!(least <= most)) [least, most] = [0, 1];
    if (least === most) [least, most] = [least - 1, most + 1];
    const span = Math.max(LEAST_SPAN, line.to - line.from);
    const x = (time: number) => LEFT + (time - line.from) / span * inner;
    const y = (value: number) => TOP + (1 - (value - least) / (most - least)) * body;
    this.#scale = { x, y };
    const point = (time: number, value: number) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`;
    const drawn: SVGElement[] = [];
    if (line.exact) {
      drawn.push(s('polyline', { points: Array.from(line.times, (time, i) => point(time, line.low[i])).join(' '), class: 'line' }));
      if (line.times.length <= inner / 6) drawn.push(...Array.from(line.times, (time, i) => s('circle', { cx: x(time).toFixed(1), cy: y(line.low[i]).toFixed(1), r: 2.5, class: 'dot' })));
    } else {
      const upper = Array.from(line.times, (time, i) => point(time, line.high[i]));
      const lower = Array.from(line.times, (time, i) => point(time, line.low[i])).reverse();
      drawn.push(s('polygon', { points: [...upper, ...lower].join(' '), class: 'band' }));
    }
    const clip = 'chart-clip';
    const ticks = niceTicks(least, most, 5);
    const labels = Math.max(2, Math.floor(inner / LABEL));
    const times = Array.from({ length: line.to > line.from ? labels : 1 }, (_, i) => line.from + span * i / (labels - 1));
    this.#mark = s('g', { class: 'mark', visibility: 'hidden' }, s('line', { y1: TOP, y2: TOP + body }), s('circle', { r: 4, class: 'high' }), s('circle', { r: 4, class: 'low' }));
    const selection = s('rect', { x: 0, y: TOP, width: 0, height: body, class: 'selection' });
    const picture = s('svg', { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': this.#label, class: 'line-chart' },
      s('defs', null, s('clipPath', { id: clip }, s('rect', { x: LEFT, y: 0, width: inner, height: HEIGHT }))),
      ticks.map((tick) => [s('line', { x1: LEFT, x2: width - 8, y1: y(tick), y2: y(tick), class: 'grid' }), s('text', { x: LEFT - 6, y: y(tick) + 4, 'text-anchor': 'end' }, compact(tick))]),
      times.map((time, i) => s('text', { y: HEIGHT - 22, 'text-anchor': i === 0 ? 'start' : i === labels - 1 ? 'end' : 'middle' },
        this.#axisLabel(time).map((part, row) => s('tspan', { x: x(time), dy: row === 0 ? 0 : 15 }, part)))),
      s('g', { 'clip-path': `url(#${clip})` }, drawn, this.#mark), selection);
    this.#draggable(picture, selection, (px) => line.from + (px - LEFT) / inner * span);
    return picture;
  }

  get #span (): number {
    const [from, to] = this.#range ?? this.#whole ?? [0, 0];
    return to - from;
  }

  /** The same in two lines, short enough for an axis: the day, and the time unless days are shown. */
  #axisLabel (seconds: number): string[] {
    const span = this.#span;
    if (span >= LABELS_OF_DAYS) return [date(seconds * 1000)];
    const short = span < 20;
    return [date(seconds * 1000), timeOfDay(seconds * 1000, span < 86400) + (short ? ` ${String(Math.floor((seconds % 1) * 1000)).padStart(3, '0')} ms` : '')];
  }

  /** Marks a point of what is drawn and says what it is; -1: none. */
  #look (at: number, aloud = false): void {
    const [line, scale] = [this.#line, this.#scale];
    const there = line !== undefined && scale !== undefined && at >= 0 && at < line.times.length;
    this.#point = there ? at : -1;
    this.#mark?.setAttribute('visibility', there ? 'visible' : 'hidden');
    if (!there) return void put(this.#value);
    const [time, low, high] = [line.times[at], line.low[at], line.high[at]];
    const x = String(scale.x(time));
    const [bar, upper, lower] = this.#mark?.children ?? [];
    for (const name of ['x1', 'x2']) bar.setAttribute(name, x);
    for (const [circle, value] of [[upper, high], [lower, low]] as const) {
      circle.setAttribute('cx', x);
      circle.setAttribute('cy', String(scale.y(value)));
    }
    const text = `${this.#time(time)}: ${low === high ? exact(low) : `${exact(low)} – ${exact(high)}`}`;
    put(this.#value, text);
    if (aloud) put(this.#spoken, text);
  }

  #nearest (time: number): number {
    const times = this.#line?.times ?? new Float64Array();
    let [low, high] = [0, times.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low > 0 && time - times[low - 1] < times[low] - time ? low - 1 : low;
  }

  /** As exact as the range asks for. */
  #time (seconds: number): string {
    const span = this.#span;
    if (span >= 20) return dateTime(seconds * 1000, span < 86400);
    return `${dateTime(seconds * 1000, true)} ${String(Math.floor((seconds % 1) * 1000)).padStart(3, '0')} ms`;
  }

  #draggable (picture: SVGElement, selection: SVGElement, timeAt: (px: number) => number): void {
    let start: number | undefined;
    const at = (event: PointerEvent | WheelEvent) => event.clientX - picture.getBoundingClientRect().left;
    picture.addEventListener('pointerdown', (event) => {
      start = at(event);
      picture.setPointerCapture(event.pointerId);
    });
    picture.addEventListener('pointermove', (event) => {
      if (start === undefined) return this.#look(this.#nearest(timeAt(at(event))));
      selection.setAttribute('x', String(Math.min(start, at(event))));
      selection.setAttribute('width', String(Math.abs(at(event) - start)));
    });
    picture.addEventListener('pointerup', (event) => {
      const begin = start;
      start = undefined;
      selection.setAttribute('width', '0');
      if (begin === undefined || Math.abs(at(event) - begin) < 5) return;
      const [a, b] = [timeAt(begin), timeAt(at(event))];
      this.#to([Math.min(a, b), Math.max(a, b)]);
    });
    picture.addEventListener('pointerleave', () => this.#look(-1));
    picture.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.shiftKey) return; // plain scrolling stays scrolling
      event.preventDefault();
      this.#zoom(event.deltaY + event.deltaX > 0 ? 1.5 : 1 / 1.5, timeAt(at(event)));
    }, { passive: false });
  }

  #key (event: KeyboardEvent): void {
    const step = event.shiftKey ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : undefined;
    if (step !== undefined) {
      event.preventDefault();
      this.#look(Math.min((this.#line?.times.length ?? 0) - 1, Math.max(0, this.#point + step)), true);
      return;
    }
    const actions: Record<string, () => void> = {
      '+': () => this.#zoom(0.5), '=': () => this.#zoom(0.5), '-': () => this.#zoom(2), ArrowLeft: () => this.#move(-0.25), ArrowRight: () => this.#move(0.25), 0: () => this.#to(undefined),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  #zoom (factor: number, around?: number): void {
    const range = this.#range ?? this.#whole;
    if (range === undefined) return;
    const [from, to] = range;
    const middle = around ?? (from + to) / 2;
    const [a, b] = [middle - (middle - from) * factor, middle + (to - middle) * factor];
    if (b - a >= LEAST_SPAN) this.#to([a, b]);
  }

  #move (share: number): void {
    const range = this.#range ?? this.#whole;
    if (range === undefined) return;
    const by = (range[1] - range[0]) * share;
    this.#to([range[0] + by, range[1] + by]);
  }

  #to (range: [number, number] | undefined): void {
    const whole = this.#whole;
    if (range === undefined || whole === undefined || range[1] - range[0] >= whole[1] - whole[0]) this.#range = undefined;
    else {
      const span = range[1] - range[0];
      const from = Math.min(Math.max(range[0], whole[0]), whole[1] - span);
      this.#range = [from, from + span];
    }
    void this.#draw();
  }
}

function niceTicks (least: number, most: number, about: number): number[] {
  const rough = (most - least) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const ticks = [];
  for (let tick = Math.ceil(least / step) * step; tick <= most + step * 1e-9 && ticks.length < 20; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}
