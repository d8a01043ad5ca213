import source from 'worker-script';
import { Client } from './rpc.js';

export interface EngineReport { engine: 'host' | 'wasm', core: boolean, host: boolean, version: string }

// The one place where text becomes a program: the worker that the build put into this page.
const policy = (globalThis as any).trustedTypes?.createPolicy('pryv-worker', { createScriptURL: (url: string) => url });

/** Starts the worker with the core inside. */
export function startWorker (engine: 'auto' | 'wasm'): { client: Client, ready: Promise<EngineReport> } {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const client = new Client(new Worker(policy?.createScriptURL(url) ?? url));
  const ready = coreBytes().then((wasm) => client.call<EngineReport>('start', { wasm, engine }));
  void ready.finally(() => URL.revokeObjectURL(url)).catch(() => {});
  return { client, ready };
}

async function coreBytes (): Promise<ArrayBuffer> {
  const packed = Uint8Array.from(atob(document.getElementById('core')?.textContent ?? ''), (c) => c.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}
