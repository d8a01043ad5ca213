import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { DecryptError } from './errors.js';

/**
 * Asks for a secret on the terminal without showing what is typed; undefined when stdin is no terminal.
 * @param {string} question
 * @returns {Promise<string|undefined>}
 */
export async function askHidden (question) {
  if (!process.stdin.isTTY) return undefined;
  const silent = new Writable({ write (_chunk, _encoding, done) { done(); } });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  try {
    const answer = await new Promise((resolve, reject) => {
      lines.once('SIGINT', () => reject(new DecryptError('interrupted', 'interrupted')));
      lines.once('close', () => reject(new DecryptError('key', 'no passphrase was given')));
      lines.question('', resolve);
    });
    if (answer === '') throw new DecryptError('key', 'no passphrase was given');
    return answer;
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
