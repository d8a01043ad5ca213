// Makes dist/decrypt-backup.mjs (the command, one self-contained file) and dist/index.mjs (the library).
// The WASM must have been built before (scripts/build-wasm.sh); it is inlined as base64.
import { chmodSync, cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const wasm = join(here, '../.build/wasm/decryptor_wasm_bg.wasm');
if (!existsSync(wasm)) {
  console.error(`${wasm} is missing: run scripts/build-wasm.sh (or make wasm) first`);
  process.exit(1);
}
const { version } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
const dist = join(here, 'dist');
rmSync(dist, { recursive: true, force: true });

/** @type {import('esbuild').BuildOptions} */
const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node18',
  charset: 'utf8',
  loader: { '.wasm': 'binary' },
  define: { PACKAGE_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
};
await build({
  ...common,
  entryPoints: [join(here, 'src/main.js')],
  outfile: join(dist, 'decrypt-backup.mjs'),
});
await build({
  ...common,
  entryPoints: [join(here, 'src/index.js')],
  outfile: join(dist, 'index.mjs'),
});
chmodSync(join(dist, 'decrypt-backup.mjs'), 0o755);

const require = createRequire(import.meta.url);
const types = spawnSync(process.execPath, [
  require.resolve('typescript/bin/tsc'), '-p', here, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly',
  '--rootDir', join(here, 'src'), '--outDir', join(dist, 'types'),
], { stdio: 'inherit' });
if (types.status !== 0) process.exit(1);
// The declarations name the core where the repository has it; in the package it lies beside them.
for (const name of readdirSync(join(dist, 'types'))) {
  const file = join(dist, 'types', name);
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('../../.build/wasm/', './'));
}
cpSync(wasm.replace('_bg.wasm', '.d.ts'), join(dist, 'types/decryptor_wasm.d.ts'));
