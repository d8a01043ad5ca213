// Calls from the page into its worker, and what a running call sends back.

import type { About } from '../../npm/src/errors.js';

/** The means of a call that runs in the worker. */
export interface Call {
  /** Sends something to the caller; resolves when the caller keeps up. */
  emit (value: unknown, transfer?: Transferable[]): Promise<void>;
  /** Buffers that were emitted and came back, to be filled again. */
  spare: ArrayBuffer[];
  /** Set when the caller has given up. */
  signal: AbortSignal;
}

export type Handler = (argument: any, call: Call) => unknown;

/** An error on its way between the threads: its kind decides what the page offers; `choice`: the reader has to say which run of a chain is the right one. */
export interface Failure { kind: string, message: string, about?: About }

/** More than this many emitted values unanswered, and the worker waits. */
const WINDOW = 4;

/** The worker's side. */
export function serve (handlers: Record<string, Handler>, failureOf: (error: unknown) => Failure): void {
  const calls = new Map<number, { controller: AbortController, open: number, wake: () => void, spare: ArrayBuffer[] }>();
  self.addEventListener('message', async ({ data }: MessageEvent) => {
    const { id, name, argument, cancel, ack, back } = data;
    if (cancel === true) return calls.get(id)?.controller.abort();
    if (ack === true) {
      const state = calls.get(id);
      if (state !== undefined) {
        if (back !== undefined) state.spare.push(back);
        state.open--;
        state.wake();
      }
      return;
    }
    const state = { controller: new AbortController(), open: 0, wake: () => {}, spare: [] };
    calls.set(id, state);
    const { signal } = state.controller;
    signal.addEventListener('abort', () => state.wake());
    const emit = async (value: unknown, transfer: Transferable[] = []) => {
      state.open++;
      postMessage({ id, value }, { transfer });
      while (state.open >= WINDOW && !signal.aborted) await new Promise<void>((resolve) => { state.wake = resolve; });
      signal.throwIfAborted();
    };
    try {
      postMessage({ id, result: await handlers[name](argument, { emit, signal, spare: state.spare }) });
    } catch (error) {
      postMessage({ id, failure: signal.aborted ? { kind: 'interrupted', message: 'interrupted' } : failureOf(error) });
    } finally {
      calls.delete(id);
    }
  });
}

export interface CallOptions {
  /** Takes what the call emits; a promise holds the worker back, and a buffer that it gives goes back to the worker. */
  take?: (value: any) => unknown;
  signal?: AbortSignal;
}

/** An error from the worker. */
export class CallError extends Error {
  /** `about`: what an error of the worker says of itself beside its sentence, which is English. */
  constructor (readonly kind: string, message: string, readonly about?: About) {
    super(message);
  }
}

/** The page's side. */
export class Client {
  #worker: Worker;
  #next = 1;
  #calls = new Map<number, { resolve (value: any): void, reject (error: Error): void, take?: (value: any) => unknown, tail: Promise<unknown> }>();

  constructor (worker: Worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }) => void this.#receive(data));
    worker.addEventListener('error', (event) => this.#fail(new CallError('failed', event.message || 'the worker stopped')));
  }

  call<T = any> (name: string, argument?: unknown, { take, signal }: CallOptions = {}): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, take, tail: Promise.resolve() });
      this.#worker.postMessage({ id, name, argument });
      const stop = () => this.#worker.postMessage({ id, cancel: true });
      if (signal?.aborted) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    });
  }

  /** Ends the worker; its memory, keys included, is gone. */
  close (): void {
    this.#worker.terminate();
    this.#fail(new CallError('interrupted', 'locked'));
  }

  async #receive (data: any): Promise<void> {
    const call = this.#calls.get(data.id);
    if (call === undefined) return;
    if ('value' in data) {
      // One after another: what is sent is often a part of a file.
      call.tail = call.tail.then(() => call.take?.(data.value)).catch((error) => {
        this.#worker.postMessage({ id: data.id, cancel: true });
        this.#calls.delete(data.id);
        call.reject(error as Error);
      }).then((back) => {
        const buffers = back instanceof ArrayBuffer ? [back] : [];
        this.#worker.postMessage({ id: data.id, ack: true, back: buffers[0] }, buffers);
      });
      return;
    }
    await call.tail;
    this.#calls.delete(data.id);
    if ('failure' in data) call.reject(new CallError(data.failure.kind, data.failure.message, data.failure.about ?? {}));
    else call.resolve(data.result);
  }

  #fail (error: Error): void {
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
  }
}
