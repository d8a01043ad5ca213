// The core, loaded once, and who does its AES.
import * as bindings from '../../../.build/wasm/decryptor_wasm.js';
import { DecryptError } from '../../../npm/src/errors.js';
import { TEST_ENVELOPE, TEST_FILE, TEST_TEXT } from '../../../npm/src/self-test.js';
import { FramesAhead } from './frames.js';
import { contentOf } from './reading.js';

export const {
  Envelope, FileReader, Opening, Sha256, SmallReader, Step, VolumeReading, crc32, errorOf, look, pack, privateKeyNeedsPassphrase, requireTar, unpack,
} = bindings;
export type DataKey = bindings.DataKey;
export type OpenEnvelope = bindings.Envelope;
export type Engine = 'host' | 'wasm';

const SMALL_BUFFER = 4096;

let memory: WebAssembly.Memory;

/** Instantiates the core. */
export function loadCore (wasm: BufferSource): void {
  memory = bindings.initSync({ module: wasm }).memory;
}

export const coreVersion = (): string => bindings.version();

/** A view of WASM memory. Good until the next call into the core only: memory moves when it grows. */
export function memoryAt (ptr: number, length: number): Uint8Array {
  return new Uint8Array(memory.buffer, ptr >>> 0, length);
}

/** Random bytes for the core, which blinds its RSA operation with them. */
export function fillRandom (into: Uint8Array): void {
  crypto.getRandomValues(into as Uint8Array<ArrayBuffer>);
}

/** The results of the self tests. */
export interface EngineReport { engine: Engine, core: boolean, host: boolean }

/** Tests both ciphers; the browser's is used when it passes and the core's own is not asked for. */
export async function chooseEngine (choice: Engine | 'auto'): Promise<EngineReport> {
  const core = await selfTest('wasm');
  if (!core) throw new DecryptError('failed', 'the decryption core fails its self test in this browser: try another browser');
  const host = await selfTest('host');
  return { engine: host && choice !== 'wasm' ? 'host' : 'wasm', core, host };
}

/** Whether an engine opens the test file and refuses it with one bit of its tag flipped. */
async function selfTest (engine: Engine): Promise<boolean> {
  const good = Uint8Array.from(atob(TEST_FILE), (c) => c.charCodeAt(0));
  const bad = good.slice();
  bad[bad.length - 1] ^= 1;
  return await openTestFile(good, engine) === TEST_TEXT && await openTestFile(bad, engine) === undefined;
}

async function openTestFile (stored: Uint8Array, engine: Engine): Promise<string | undefined> {
  const envelope = Envelope.parse(new TextEncoder().encode(TEST_ENVELOPE));
  const key = envelope.unlockWithPassphrase('self-test');
  const ahead = engine === 'host' ? new FramesAhead() : undefined;
  const reader = FileReader.sealed(key, false, false, ahead?.open, SMALL_BUFFER);
  try {
    let text = '';
    const once = (async function * () { yield stored; })();
    for await (const piece of contentOf(reader, ahead, once, true, memoryAt)) text += new TextDecoder().decode(piece);
    reader.finish();
    return text;
  } catch {
    return undefined;
  } finally {
    reader.free();
    key.free();
    envelope.free();
  }
}

/** The bytes as the caller's own: a piece of a file is good until the next is asked for. */
export function owned (piece: Uint8Array): Uint8Array<ArrayBuffer> {
  return piece.slice() as Uint8Array<ArrayBuffer>;
}

/** The bytes outside of WASM memory, which may move at any call into the core. */
export function outside (piece: Uint8Array): Uint8Array {
  return piece.buffer === memory.buffer ? piece.slice() : piece;
}
