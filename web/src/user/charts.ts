// Numeric events and high-frequency series as lines.
import type { Line, SeriesInfo } from '../records.js';
import { CallError } from '../rpc.js';
import { errorBox } from '../open/view.js';
import { t } from '../texts/index.js';
import { freshId, h, put } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { shownText } from '../ui/shown.js';
import { Task } from '../ui/task.js';
import { LineChart } from './chart.js';
import type { LookedAt } from './user.js';

interface Choice { label: string, ask: (steps: number, from: number | undefined, to: number | undefined, task: Task) => Promise<Line> }

const MOST = 3000;

export function chartsPanel (looked: LookedAt): HTMLElement {
  const place = h('section', { class: 'card charts' });
  const task = new Task('user.reading');
  put(place, task.element);
  void (async () => {
    try {
      const { series, problems } = looked.data.hasSeries
        ? await looked.app.client.call<{ series: SeriesInfo[], problems: string[] }>('user.series', undefined, task.options())
        : { series: [], problems: [] };
      put(place, problems.map((problem) => errorBox(new CallError('damaged', problem))), chartOf(looked, choicesOf(looked, series)));
    } catch (error) {
      put(place, errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
    }
  })();
  return place;
}

function choicesOf (looked: LookedAt, series: SeriesInfo[]): Choice[] {
  const { client } = looked.app;
  const numeric = (looked.info.get('events')?.numeric ?? []).slice(0, MOST).map(({ stream, type, count }): Choice => ({
    label: `${shownText(looked.streamName(stream))} · ${shownText(type)} (${number(count)})`,
    ask: (steps, from, to) => client.call<Line>('user.numeric', { stream, type, steps, from, to }),
  }));
  const frequent = series.flatMap((one, i) => one.fields.map((field): Choice => ({
    label: `${t('charts.series')} ${shownText(one.type || one.measurement)} · ${shownText(field)} (${number(one.points)})`,
    ask: (steps, from, to, task) => client.call<Line>('user.seriesLine', { number: i, field, steps, from, to }, task.options()),
  }))).slice(0, MOST);
  return [...frequent, ...numeric];
}

function chartOf (looked: LookedAt, choices: Choice[]): HTMLElement {
  if (choices.length === 0) return h('p', null, t('charts.none'));
  const select = freshId();
  const busy = h('div');
  let current = 0;
  const chart = new LineChart(async (steps, from, to) => {
    const task = new Task('user.reading');
    const timer = setTimeout(() => put(busy, task.element), 300);
    try {
      return await choices[current].ask(steps, from, to, task);
    } finally {
      clearTimeout(timer);
      put(busy);
    }
  });
  const show = () => {
    chart.reset(choices[current].label);
  };
  queueMicrotask(show);
  return h('div', null,
    h('p', { class: 'field' }, h('label', { for: select }, t('charts.choose')),
      h('select', { id: select, 'data-charts': choices.length, onchange: (event: Event) => {
        current = Number((event.target as HTMLSelectElement).value);
        show();
      } }, choices.map(({ label }, i) => h('option', { value: i }, label)))),
    busy, chart.element, h('p', { class: 'hint' }, t('charts.hint')));
}

