// Standard output may reach nobody: the reader is gone, or a disk behind it is full. Node.js would end with a stack trace.

/** Lets the command go on when its output cannot be written, and says so in the end, unless the reader has simply seen enough. */
export function watchOutput () {
  /** @type {NodeJS.ErrnoException|undefined} */
  let lost;
  // The first counts: others come of the stream being closed then.
  process.stdout.on('error', (error) => { lost ??= error; });
  // There is nowhere left to say that it failed.
  process.stderr.on('error', () => {});
  process.on('exit', (code) => {
    if (lost === undefined || lost.code === 'EPIPE') return;
    process.stderr.write(`error: standard output could not be written: ${lost.message}; what was done stands, what was to be said is lost\n`);
    process.exitCode = Math.max(code, 1);
  });
}
