// Where saved bytes go: a file or folder that the user chose, else the browser's downloads.
import { t } from '../texts/index.js';
import { CallError } from '../rpc.js';
import type { ExportedFile } from '../types.js';

export interface Sink {
  /** For people: where it went. */
  name: string
  /** Gives the buffer back when it is written. */
  write (piece: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>
  close (): Promise<void>
  abort (): Promise<void>
}

/** Whether what is saved goes straight to disk; else it is kept by the browser until it is complete. */
export const canStream = (): boolean => 'showSaveFilePicker' in window;

/** One file; undefined when the user changed their mind. */
export async function fileSink (name: string, type: string): Promise<Sink | undefined> {
  if (!canStream()) return downloadSink(name, type);
  try {
    const extension = name.slice(name.lastIndexOf('.'));
    const handle: FileSystemFileHandle = await (window as any).showSaveFilePicker({
      id: 'save', suggestedName: name, types: [{ description: extension.slice(1).toUpperCase(), accept: { [type]: [extension] } }],
    });
    const stream = await handle.createWritable();
    const write = async (piece: Uint8Array<ArrayBuffer>) => {
      await stream.write(piece);
      return piece.buffer;
    };
    return { name: handle.name, write, close: () => stream.close(), abort: () => discard(handle, stream) };
  } catch (error) {
    if ((error as DOMException).name === 'AbortError') return undefined;
    throw new CallError('failed', t('save.failed', { why: (error as Error).message }));
  }
}

/** The browser made the file when it was chosen: an empty one is not left behind. One that was to be replaced is as it was. */
async function discard (handle: FileSystemFileHandle, stream: FileSystemWritableFileStream): Promise<void> {
  await stream.abort();
  if ((await handle.getFile()).size === 0) await (handle as any).remove?.();
}

/** Collects parts and hands them to the browser's downloads. */
function downloadSink (name: string, type: string): Sink {
  const parts: Blob[] = [];
  return {
    name,
    async write (piece) {
      // A blob is a copy, and lives outside the page's memory.
      parts.push(new Blob([piece]));
      return piece.buffer;
    },
    async close () {
      const whole = new Blob(parts, { type });
      // Chromium may lose a part that it has no room for, and says so when it is read only.
      await whole.slice(-1).arrayBuffer().catch(() => { throw new CallError('failed', t('save.lost')); });
      offer(whole, name);
    },
    async abort () {
      parts.length = 0;
    },
  };
}

/** Offers a blob as a download. */
export function offer (blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const canSaveFolder = (): boolean => 'showDirectoryPicker' in window;

/** Takes the messages of a save into a folder: a file appears under its name when it is whole. */
export class FolderSink {
  #folders = new Map<string, Promise<FileSystemDirectoryHandle>>();
  /** Of the file that is being written. */
  #stream: FileSystemWritableFileStream | undefined;
  #discard: (() => Promise<void>) | undefined;
  /** The files that are written and whole. */
  readonly written: ExportedFile[] = [];

  /** `caseless`: the disk takes `A` and `a` for the same. */
  private constructor (readonly name: string, private readonly root: FileSystemDirectoryHandle, readonly caseless: boolean) {}

  /** Lets the user choose a folder and makes a new one in it; undefined when they changed their mind. */
  static async choose (name: string): Promise<FolderSink | undefined> {
    try {
      const chosen: FileSystemDirectoryHandle = await (window as any).showDirectoryPicker({ id: 'save-folder', mode: 'readwrite' });
      const fresh = await freshName(chosen, name);
      const made = await chosen.getDirectoryHandle(fresh, { create: true });
      const caseless = await chosen.getDirectoryHandle(fresh.toUpperCase()).then(() => true, () => false);
      return new FolderSink(`${chosen.name}/${fresh}`, made, caseless);
    } catch (error) {
      if ((error as DOMException).name === 'AbortError') return undefined;
      throw new CallError('failed', t('save.failed', { why: (error as Error).message }));
    }
  }

  async take (message: { create?: string, bytes?: Uint8Array<ArrayBuffer>, commit?: ExportedFile, discard?: true }): Promise<ArrayBuffer | undefined> {
    if (message.create !== undefined) {
      const parts = message.create.split('/');
      const file = parts.pop() ?? '';
      const folder = await this.#folder(parts);
      const handle = await folder.getFileHandle(file, { create: true });
      this.#discard = () => folder.removeEntry(file);
      this.#stream = await handle.createWritable();
    } else if (message.bytes !== undefined) {
      await this.#stream?.write(message.bytes);
      return message.bytes.buffer;
    } else if (message.commit !== undefined) {
      await this.#stream?.close();
      this.#closed();
      this.written.push(message.commit);
    } else if (message.discard === true) await this.abort();
    return undefined;
  }

  /** Gives up the file that is being written, if there is one; those before it are whole and stay. */
  async abort (): Promise<void> {
    await this.#stream?.abort().catch(() => {});
    await this.#discard?.().catch(() => {});
    this.#closed();
  }

  #closed (): void {
    this.#stream = this.#discard = undefined;
  }

  #folder (parts: string[]): Promise<FileSystemDirectoryHandle> {
    const path = parts.join('/');
    let found = this.#folders.get(path);
    if (found === undefined) {
      found = parts.length === 0
        ? Promise.resolve(this.root)
        : this.#folder(parts.slice(0, -1)).then((parent) => parent.getDirectoryHandle(parts.at(-1) ?? '', { create: true }));
      this.#folders.set(path, found);
    }
    return found;
  }
}

/** The name, or with a number behind it the first that is not taken: what an earlier save left is not mixed into this one. */
async function freshName (folder: FileSystemDirectoryHandle, name: string): Promise<string> {
  const taken = new Set<string>();
  for await (const known of (folder as any).keys() as AsyncIterable<string>) taken.add(known.toLowerCase());
  let fresh = name;
  for (let n = 2; taken.has(fresh.toLowerCase()); n++) fresh = `${name}-${n}`;
  return fresh;
}
