// Reads what `cargo test` prints, standard output and standard error together, line by line.
import { cut } from './summary.mjs';

/** @typedef {{ name: string, lines: string[] }} Program */

export class CargoOutput {
  /** @type {import('./summary.mjs').Result} */
  result = { passed: 0, failed: [], skipped: [] };
  /** Lines before the first program and between two: the compiler's messages. @type {string[]} */
  outside = [];
  /** @type {Program|undefined} */
  program;

  /** @param {(text: string) => void} say gets a line about each program that ended, and its failures */
  constructor (say) {
    this.say = say;
  }

  /** @param {string} line */
  line (line) {
    // Not at the beginning of the line where libtest has printed a part of one of its own.
    const skipped = /skipped: (\S+): (.*)$/.exec(line);
    if (skipped) this.skip(skipped[1], skipped[2]);
    const name = started(line);
    if (name !== undefined) {
      this.unfinished();
      this.program = { name, lines: [] };
      return;
    }
    if (this.program === undefined) {
      this.outside.push(line);
      return;
    }
    this.program.lines.push(line);
    const ended = /^test result: .*?(\d+) passed; (\d+) failed; .* finished in (.*)$/.exec(line);
    if (ended) this.finished(this.program, Number(ended[1]), Number(ended[2]), ended[3]);
  }

  /** The result of the whole command. @param {number|null} code its exit code */
  end (code) {
    this.unfinished();
    if (code !== 0 && this.result.failed.length === 0) this.result.failed.push({ name: 'cargo test', output: cut(this.outside) });
    return this.result;
  }

  /**
   * @param {Program} program
   * @param {number} passed
   * @param {number} failed
   * @param {string} took
   */
  finished ({ name, lines }, passed, failed, took) {
    this.program = undefined;
    this.result.passed += passed;
    for (const line of lines) {
      const ignored = /^test (\S+) \.\.\. ignored/.exec(line);
      if (ignored) this.skip(`${name}::${ignored[1]}`, 'ignored');
    }
    if (passed + failed > 0) this.say(`${name}: ${passed} passed, ${failed} failed in ${took}`);
    const broken = failures(lines).map(({ test, output }) => ({ name: `${name}::${test}`, output }));
    if (broken.length < failed) broken.push({ name: `${name}: ${failed} failed`, output: cut(lines) });
    for (const { output } of broken) this.say(output.join('\n'));
    this.result.failed.push(...broken);
  }

  /** A program without a result ended itself, or was killed. */
  unfinished () {
    if (this.program === undefined) return;
    const failure = { name: `${this.program.name}: ended without a result`, output: cut(this.program.lines) };
    this.program = undefined;
    this.say([failure.name, ...failure.output].join('\n'));
    this.result.failed.push(failure);
  }

  /**
   * @param {string} name
   * @param {string} reason
   */
  skip (name, reason) {
    const known = this.result.skipped.some((one) => one.name === name && one.reason === reason);
    if (!known) this.result.skipped.push({ name, reason });
  }
}

/** The name of the program that starts with this line. @param {string} line */
function started (line) {
  const doc = /^ +Doc-tests (\S+)$/.exec(line);
  if (doc) return `documentation of ${doc[1]}`;
  const program = /^ +Running (unittests )?\S+ \(.*?([^/]+)-[0-9a-f]{16}\)$/.exec(line);
  return program === null ? undefined : program[2];
}

/**
 * The failed tests of a program and what each printed.
 * @param {string[]} lines
 */
function failures (lines) {
  const listed = lines.lastIndexOf('failures:');
  const names = listed < 0 ? [] : lines.slice(listed).flatMap((line) => /^ {4}(\S.*)$/.exec(line)?.[1] ?? []);
  return names.map((test) => {
    const from = lines.indexOf(`---- ${test} stdout ----`);
    const to = lines.findIndex((line, at) => at > from && (/^---- .* stdout ----$/.test(line) || at === listed));
    return { test, output: from < 0 ? [] : cut(lines.slice(from, to)) };
  });
}
