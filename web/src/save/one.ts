// Reading one file of the archive: to show it, or to save it by itself.
import type { App, Opened } from '../app.js';
import { errorBox } from '../open/view.js';
import { CallError } from '../rpc.js';
import { t } from '../texts/index.js';
import type { ExportedFile } from '../types.js';
import { h, put } from '../ui/dom.js';
import { fileName } from '../ui/format.js';
import { Task } from '../ui/task.js';
import { fileSink } from './sinks.js';

/** `call`: what the worker is asked for; `what` and `user`: how the report calls the file. */
export interface OneFile { app: App, opened: Opened | undefined, call: string, argument: object, what: string, user?: string }

/** Hands over the content piece by piece, and shows how far it is at `place`. */
export async function fetchFile ({ app, call, argument }: OneFile, place: HTMLElement, take: (bytes: Uint8Array<ArrayBuffer>) => unknown): Promise<ExportedFile> {
  const task = new Task('user.reading');
  put(place, task.element);
  try {
    return await app.client.call<ExportedFile>(call, argument, task.options((value) => {
      task.show(value.progressOf);
      return take(value.bytes);
    }));
  } finally {
    put(place);
  }
}

/** Shows an error at `place`, unless somebody stopped it. */
export async function guard (place: HTMLElement, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if ((error as CallError).kind !== 'interrupted') put(place, errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
  }
}

/** Saves it under a name to where the reader chooses. */
export function saveFile (file: OneFile, place: HTMLElement, name: string): Promise<void> {
  return guard(place, async () => {
    const sink = await fileSink(fileName(name, file.what), 'application/octet-stream');
    if (sink === undefined) return;
    try {
      const done = await file.app.writing(async () => {
        const end = await fetchFile(file, place, (part) => sink.write(part));
        await sink.close();
        return end;
      });
      file.app.note(file.opened, { complete: true, what: file.what, user: file.user, where: sink.name, at: Date.now(), files: [done] });
      put(place, h('p', { class: 'small', role: 'status' }, t('save.done'), ' · SHA-256 ', h('code', null, done.sha256)));
    } catch (error) {
      await sink.abort().catch(() => {});
      throw error;
    }
  });
}
