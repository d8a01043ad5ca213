// A reporter for `node --test`: one line of JSON for each test that ended.
import { inspect } from 'node:util';

/** @param {AsyncIterable<any>} events */
export default async function * report (events) {
  /** @type {string[]} */
  const path = [];
  /** @type {Map<string, string[]>} */
  const printed = new Map();
  for await (const { type, data } of events) {
    if (type === 'test:start') path[data.nesting] = data.name;
    if (type === 'test:stderr') printed.set(data.file, [...(printed.get(data.file) ?? []), data.message]);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const error = data.details.error;
    // A suite fails with its tests, which are told by themselves.
    if (data.details.type === 'suite' && (type === 'test:pass' || error?.failureType === 'subtestsFailed')) continue;
    if (error?.failureType === 'subtestsFailed') continue;
    const name = [...path.slice(0, data.nesting), data.name].join(' > ');
    // Of a file that does not load, only its process says why.
    const why = error === undefined ? '' : [inspect(error.cause ?? error, { depth: 4 }), '\n', ...(printed.get(data.name) ?? [])].join('');
    const outcome = data.skip !== undefined ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
    yield JSON.stringify({ file: data.file, name, outcome, skip: data.skip, ms: data.details.duration_ms, why }) + '\n';
  }
}
