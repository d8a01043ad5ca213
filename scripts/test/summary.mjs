// The summary at the end: failures in full, what was skipped and why, a table, and last the names of what failed.

/**
 * The result of a part of the tests.
 * @typedef {{ passed: number, failed: { name: string, output: string[] }[], skipped: { name: string, reason: string }[] }} Result
 */

const LONGEST = 300;

/**
 * The beginning and the end of many lines.
 * @param {string[]} lines
 */
export function cut (lines) {
  while (lines.at(-1)?.trim() === '') lines = lines.slice(0, -1);
  if (lines.length <= LONGEST) return lines;
  return [...lines.slice(0, LONGEST / 3), `[... ${lines.length - LONGEST} lines: see the log ...]`, ...lines.slice(-LONGEST * 2 / 3)];
}

/**
 * The line that says why a test failed: the message of its panic, or the first line of its error.
 * @param {string[]} output
 */
export function reason (output) {
  const panicked = output.findIndex((line) => / panicked at /.test(line));
  const said = output.slice(panicked + 1).filter((line) => line.trim() !== '' && !/^---- /.test(line)).map((line) => line.trim());
  // A line that ends so announces the next one.
  return said.slice(0, said[0]?.endsWith(':') ? 2 : 1).join(' ').slice(0, 300);
}

/**
 * @param {({ part: string, seconds: number } & Result)[]} parts
 * @param {number} seconds what all took, some of it side by side
 * @param {string} logs
 * @param {(line: string) => void} say
 */
export function print (parts, seconds, logs, say = console.log) {
  const failed = parts.flatMap((one) => one.failed.map((failure) => ({ part: one.part, ...failure })));
  for (const { part, name, output } of failed) say(['', `==== ${part}: ${name}`, ...output].join('\n'));
  const skipped = parts.flatMap((one) => one.skipped.map(({ name, reason }) => `${one.part}: ${name}: ${reason}`));
  if (skipped.length > 0) say(['', 'skipped:', ...skipped.map((line) => `  ${line}`)].join('\n'));
  say('');
  say(row(['', 'passed', 'failed', 'skipped', 'seconds']));
  const total = { part: 'all', passed: 0, failed: 0, skipped: 0 };
  for (const one of parts) {
    total.passed += one.passed;
    total.failed += one.failed.length;
    total.skipped += one.skipped.length;
    say(row([one.part, one.passed, one.failed.length, one.skipped.length, one.seconds.toFixed()]));
  }
  say(row([total.part, total.passed, total.failed, total.skipped, seconds.toFixed()]));
  say(`the whole output is in ${logs}`);
  if (failed.length > 0) say(['', 'failed:', ...failed.map(({ part, name, output }) => `  ${part}: ${name}: ${reason(output)}`)].join('\n'));
}

/** @param {(string|number)[]} cells */
function row ([name, ...numbers]) {
  return String(name).padEnd(20) + numbers.map((cell) => String(cell).padStart(9)).join('');
}
