import * as bindings from '../../.build/wasm/decryptor_wasm.js';
import wasmBytes from '../../.build/wasm/decryptor_wasm_bg.wasm';
import { randomFillSync } from 'node:crypto';
import { DecryptError, MORE_MEMORY } from './errors.js';
import { hostEngine } from './engine.js';
import { TEST_ENVELOPE, TEST_FILE, TEST_TEXT } from './self-test.js';

/** @typedef {import('./types.js').EngineChoice} EngineChoice */

export const {
  Envelope, FileReader, Opening, SmallReader, Step, VolumeReading, errorOf, look, passphraseOfFile, plainManifest, privateKeyNeedsPassphrase,
  requireTar,
} = bindings;

const SMALL_BUFFER = 4096;

/** @type {{ memory: WebAssembly.Memory }|undefined} */
let instance;

/** Compiles the core, once. */
export function loadCore () {
  if (instance !== undefined) return;
  try {
    instance = bindings.initSync({ module: wasmBytes });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DecryptError('failed', `WebAssembly gets no memory: ${MORE_MEMORY}`);
  }
  for (const one of Object.values(bindings)) {
    if (typeof one === 'function' && 'free' in (one.prototype ?? {})) neverThrow(one.prototype);
  }
}

/**
 * Lets `free` never throw: an object that the core was using when it stopped cannot be freed, and that must not hide why it stopped.
 * @param {{ free (): void }} prototype
 */
function neverThrow (prototype) {
  const { free } = prototype;
  prototype.free = function () {
    try {
      free.call(this);
    } catch { /* see above */ }
  };
}

/**
 * A view of WASM memory. Good until the next call into the core only: memory moves when it grows.
 * @param {number} ptr
 * @param {number} len
 */
export function memoryAt (ptr, len) {
  if (instance === undefined) throw new Error('the core is not loaded');
  return new Uint8Array(instance.memory.buffer, ptr >>> 0, len);
}

/**
 * Random bytes for the core, which blinds its RSA operation with them.
 * @param {Uint8Array} into
 */
export function fillRandom (into) {
  randomFillSync(into);
}

/**
 * Chooses the cipher for frames: node:crypto, or undefined for the core's own. With `auto` the host's must pass a self test
 * against the core's, or it is not used; with `host` failing it is an error.
 * @param {EngineChoice} choice
 */
export function chooseEngine (choice) {
  loadCore();
  if (!selfTest(undefined)) throw new DecryptError('failed', 'the decryption core fails its self test on this machine');
  if (choice === 'wasm') return undefined;
  const engine = hostEngine(memoryAt);
  if (selfTest(engine)) return engine;
  if (choice === 'auto') return undefined;
  throw new DecryptError('failed', 'node:crypto fails the self test: use --engine wasm');
}

/**
 * Whether an engine opens the test file and refuses it with one bit of its tag flipped.
 * @param {ReturnType<typeof hostEngine>|undefined} engine
 */
function selfTest (engine) {
  const good = Buffer.from(TEST_FILE, 'base64');
  const bad = Buffer.from(good);
  bad[bad.length - 1] ^= 1;
  return openTestFile(good, engine) === TEST_TEXT && openTestFile(bad, engine) === undefined;
}

/**
 * @param {Uint8Array} stored
 * @param {ReturnType<typeof hostEngine>|undefined} engine
 */
function openTestFile (stored, engine) {
  const envelope = Envelope.parse(Buffer.from(TEST_ENVELOPE));
  const key = envelope.unlockWithPassphrase('self-test');
  const reader = FileReader.sealed(key, false, false, engine, SMALL_BUFFER);
  try {
    memoryAt(reader.inputPtr, stored.length).set(stored);
    reader.process(stored.length);
    const text = Buffer.from(takeAll(reader)).toString();
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

/**
 * Everything that a reader has ready, copied out of WASM memory.
 * @param {bindings.FileReader} reader
 */
function takeAll (reader) {
  const parts = [];
  for (const part of outputsOf(reader)) parts.push(part.slice());
  return Buffer.concat(parts);
}

/**
 * The pieces of output that a reader has ready, as views of WASM memory: use each before asking for the next.
 * @param {bindings.FileReader} reader
 */
export function * outputsOf (reader) {
  for (let size = reader.takeOutput(); size > 0; size = reader.takeOutput()) {
    yield memoryAt(reader.outputPtr, size);
  }
}
