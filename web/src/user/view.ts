// One user: tabs over everything that the backup holds of them.
import type { App, View } from '../app.js';
import { errorBox } from '../open/view.js';
import { CallError } from '../rpc.js';
import type { Kind, UserData } from '../records.js';
import { reportView } from '../report/view.js';
import { saveView } from '../save/view.js';
import { t, type Key } from '../texts/index.js';
import type { UserInfo } from '../types.js';
import { alien, freshId, h, put, type Child } from '../ui/dom.js';
import { Task } from '../ui/task.js';
import { accessesPanel } from './accesses.js';
import { accountPanel } from './account.js';
import { chartsPanel } from './charts.js';
import { EventsPanel, everything, type Question } from './events.js';
import { streamsPanel } from './streams.js';
import { summaryView } from './summary.js';
import { LookedAt } from './user.js';

interface Panel { key: Key, make: () => HTMLElement }

/** The state of a user's view that outlives a change of language. */
interface Kept { tab: number, questions: Record<Kind, Question>, looked?: LookedAt, error?: CallError, task: Task }

export function userView (app: App, user: UserInfo): View {
  const kept: Kept = { tab: 0, questions: { events: everything(), audit: everything() }, task: new Task('user.reading') };
  const element = h('div', { class: 'user' });
  const draw = () => put(element,
    h('nav', { class: 'crumbs', 'aria-label': t('crumbs') }, h('button', { type: 'button', class: 'link', onclick: () => app.back() }, t('archive.title')), ' › ', alien(user.username)),
    h('div', { class: 'head' }, h('div', null, h('h1', null, alien(user.username)), h('p', { class: 'lead' }, alien(user.userId, { class: 'mono' }))),
      h('div', { class: 'row' },
        kept.looked !== undefined && h('button', { type: 'button', onclick: () => app.go(() => summaryView(kept.looked as LookedAt)) }, t('summary.open')),
        h('button', { type: 'button', 'data-report-user': true, onclick: () => app.go(() => reportView(app, user)) }, t('report.title')),
        h('button', { type: 'button', 'data-save-user': true, onclick: () => app.go(() => saveView(app, user)) }, t('save.user.short')))),
    kept.error !== undefined ? errorBox(kept.error) : kept.looked === undefined ? kept.task.element : content(kept.looked, kept));
  draw();
  void read(app, user, kept).then(draw);
  return { title: 'users.title', element, redraw: draw, close: () => void app.client.call('user.close').catch(() => {}) };
}

async function read (app: App, user: UserInfo, kept: Kept): Promise<void> {
  const { client } = app;
  try {
    const looked = new LookedAt(app, user, await client.call<UserData>('user.open', { userId: user.userId }, kept.task.options()));
    looked.info.set('events', await client.call('user.index', { kind: 'events', expected: user.stats?.events ?? 0 }, kept.task.options()));
    looked.below = new Map(await client.call<Array<[string, number]>>('user.countsBelow', { parents: looked.parents() }));
    kept.looked = looked;
  } catch (error) {
    kept.error = error instanceof CallError ? error : new CallError('failed', (error as Error).message);
  }
}

function content (looked: LookedAt, kept: Kept): Child[] {
  const events = new EventsPanel(looked, 'events', kept.questions.events);
  const panels: Panel[] = [
    { key: 'tab.events', make: () => events.element },
    { key: 'tab.charts', make: () => chartsPanel(looked) },
    { key: 'tab.streams', make: () => streamsPanel(looked) },
    { key: 'tab.accesses', make: () => accessesPanel(looked) },
    ...(looked.data.hasAudit ? [{ key: 'tab.audit' as Key, make: () => auditPanel(looked, kept.questions.audit) }] : []),
    { key: 'tab.account', make: () => accountPanel(looked) },
  ];
  const tabs = tabList(panels, kept);
  looked.showEvents = (filter) => {
    events.set(filter);
    tabs.show(0);
  };
  const problems = [...looked.data.problems, ...looked.info.get('events')?.problems ?? []];
  return [problems.map((problem) => errorBox(new CallError('damaged', problem))), tabs.element];
}

/** The audit log is read when it is looked at. */
function auditPanel (looked: LookedAt, question: Question): HTMLElement {
  const place = h('div');
  const task = new Task('user.reading');
  put(place, task.element);
  void (async () => {
    try {
      looked.info.set('audit', await looked.app.client.call('user.index', { kind: 'audit', expected: looked.user.stats?.audit ?? 0 }, task.options()));
      const panel = new EventsPanel(looked, 'audit', question);
      put(place, looked.info.get('audit')?.problems.map((problem) => errorBox(new CallError('damaged', problem))), panel.element);
    } catch (error) {
      put(place, errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
    }
  })();
  return place;
}

function tabList (panels: Panel[], kept: Kept): { element: HTMLElement, show: (index: number) => void } {
  const made = new Map<number, HTMLElement>();
  const panel = h('div', { role: 'tabpanel', id: freshId(), tabindex: '-1' });
  const buttons = panels.map(({ key }, i) => h('button', {
    type: 'button', role: 'tab', id: freshId(), 'aria-controls': panel.id, 'data-tab': key.slice('tab.'.length), onclick: () => show(i),
    onkeydown: (event: KeyboardEvent) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
      const to = event.key === 'Home' ? 0 : event.key === 'End' ? panels.length - 1 : (i + step + panels.length) % panels.length;
      if (step === 0 && event.key !== 'Home' && event.key !== 'End') return;
      event.preventDefault();
      show(to);
      buttons[to].focus();
    },
  }, t(key)));
  const show = (index: number) => {
    kept.tab = index;
    buttons.forEach((button, i) => {
      button.setAttribute('aria-selected', String(i === index));
      button.tabIndex = i === index ? 0 : -1;
    });
    panel.setAttribute('aria-labelledby', buttons[index].id);
    let element = made.get(index);
    if (element === undefined) {
      element = panels[index].make();
      made.set(index, element);
    }
    put(panel, element);
  };
  show(kept.tab);
  return { element: h('div', null, h('div', { role: 'tablist', class: 'tabs', 'aria-label': t('tabs') }, buttons), panel), show };
}
