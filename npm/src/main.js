#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { run } from './cli.js';
import { watchOutput } from './lost.js';
import { serve } from './worker.js';

// The one file is also what its worker threads run.
if (isMainThread) {
  watchOutput();
  process.exitCode = await run(process.argv.slice(2), process.env, fileURLToPath(import.meta.url));
} else await serve();
