const INTERVAL_MS = 200;

/**
 * A line of progress on stderr; nothing when stderr is no terminal.
 * @param {{ files: { length: number } }} archive
 */
export function progress (archive) {
  let bytes = 0;
  let last = Date.now();
  return {
    /** @param {number} more bytes of output */
    add (more) {
      bytes += more;
      if (!process.stderr.isTTY || Date.now() - last < INTERVAL_MS) return;
      last = Date.now();
      process.stderr.write(`\r\x1b[K${archive.files.length} files, ${(bytes / 1e6).toFixed(0)} MB done`);
    },
    end () {
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    },
  };
}
