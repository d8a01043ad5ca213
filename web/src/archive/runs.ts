// The runs of a chain: whose state is shown.
import { t } from '../texts/index.js';
import type { Run } from '../types.js';
import { freshId, h } from '../ui/dom.js';
import { dateTime } from '../ui/format.js';

/** A run in words. */
export function runLine ({ run, made }: Run, runs: Run[]): string {
  const at = made === null ? t('unknown') : dateTime(made);
  return t(run === runs.at(-1)?.run ? 'runs.newest' : 'runs.option', { at, n: run, of: runs.length });
}

/** Lets one be chosen, the newest first; none is, unless one is given. */
export function runChooser (label: string, runs: Run[], chosen: number | undefined, choose: (run: number) => void): HTMLElement {
  const id = freshId();
  return h('p', { class: 'field' }, h('label', { for: id }, label),
    h('select', { id, 'data-runs': chosen ?? '', onchange: (event: Event) => choose(Number((event.target as HTMLSelectElement).value)) },
      chosen === undefined && h('option', { value: '', disabled: true, selected: true }, t('runs.none')),
      [...runs].reverse().map((one) => h('option', { value: one.run, selected: one.run === chosen }, runLine(one, runs)))));
}
