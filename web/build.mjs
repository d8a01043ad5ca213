// Makes dist/decrypt-backup.html: one file with script, style, worker and core inside, and a policy that lets nothing else run.
// The WASM must have been built before (scripts/build-wasm.sh).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const LIMIT = 1_000_000;
const here = dirname(fileURLToPath(import.meta.url));
const wasm = join(here, '../.build/wasm/decryptor_wasm_bg.wasm');
if (!existsSync(wasm)) {
  console.error(`${wasm} is missing: run scripts/build-wasm.sh (or make wasm) first`);
  process.exit(1);
}
const { version } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));

/** @type {import('esbuild').BuildOptions} */
const common = {
  bundle: true,
  minify: true,
  format: 'iife',
  // The oldest browsers with all that the page needs.
  target: ['chrome111', 'firefox113', 'safari16.4'],
  charset: 'ascii',
  define: { PAGE_VERSION: JSON.stringify(version) },
  write: false,
  logLevel: 'warning',
  legalComments: 'none',
};
const worker = await text({ ...common, entryPoints: [join(here, 'src/worker/main.ts')] });
const script = await text({
  ...common,
  entryPoints: [join(here, 'src/main.ts')],
  plugins: [{
    name: 'worker-script',
    setup (bundler) {
      bundler.onResolve({ filter: /^worker-script$/ }, () => ({ path: 'worker-script', namespace: 'worker' }));
      bundler.onLoad({ filter: /.*/, namespace: 'worker' }, () => ({ contents: worker, loader: 'text' }));
    },
  }],
});
const style = await text({ ...common, entryPoints: [join(here, 'src/style.css')] });

const policy = [
  "default-src 'none'",
  `script-src ${hashOf(script)} 'wasm-unsafe-eval'`,
  `style-src ${hashOf(style)}`,
  'img-src blob: data:',
  'worker-src blob:',
  "connect-src 'none'",
  "form-action 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types pryv-worker',
].join('; ');
const page = readFileSync(join(here, 'src/page.html'), 'utf8')
  .replace('{policy}', policy)
  .replace('{style}', () => style)
  .replace('{core}', gzipSync(readFileSync(wasm), { level: 9 }).toString('base64'))
  .replace('{script}', () => script);

const dist = join(here, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
writeFileSync(join(dist, 'decrypt-backup.html'), page);
const sha256 = createHash('sha256').update(page).digest('hex');
console.log(`decrypt-backup.html: ${page.length} bytes (script ${script.length}, style ${style.length}), SHA-256 ${sha256}`);
if (page.length > LIMIT) {
  console.error(`the page is larger than ${LIMIT} bytes`);
  process.exit(1);
}

/** @param {import('esbuild').BuildOptions} options */
async function text (options) {
  const { outputFiles } = await build(options);
  // Inside an HTML element the text must not close it.
  return (outputFiles?.[0].text ?? '').replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--').trim();
}

/** @param {string} content */
function hashOf (content) {
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
}
