// Files out of whatever the user chose or dropped.
import { CallError } from '../rpc.js';
import { t } from '../texts/index.js';
import type { Choice } from '../worker/session.js';

/** Files of an `<input webkitdirectory>`. */
export function fromInput (files: FileList): Choice {
  const all = [...files];
  const name = all[0]?.webkitRelativePath.split('/')[0] ?? t('open.folder.this');
  return { name, files: all.map((file): [string, File] => [file.webkitRelativePath.split('/').slice(1).join('/') || file.name, file]) };
}

/** Is told how many files were found so far. */
export type Found = (files: number) => void;

/** The browser's own directory picker; undefined when the user changed their mind. */
export async function pickFolder (found: Found): Promise<Choice | undefined> {
  try {
    const folder: FileSystemDirectoryHandle = await (window as any).showDirectoryPicker({ id: 'backup', mode: 'read' });
    return { name: folder.name, files: await new Walk(found).folder(folder) };
  } catch (error) {
    if ((error as DOMException).name === 'AbortError') return undefined;
    throw error;
  }
}

export const canPickFolder = (): boolean => 'showDirectoryPicker' in window;

/** Reads what was dropped: a folder, or a packed file. */
export async function fromDrop (data: DataTransfer, found: Found): Promise<Choice> {
  const items = [...data.items].filter(({ kind }) => kind === 'file');
  // Both must be asked for before anything is awaited.
  const handles = items.map((item) => (item as any).getAsFileSystemHandle?.() as Promise<FileSystemHandle | null> | undefined);
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...data.files];
  const walk = new Walk(found);
  if (items.length > 1 && entries.some((entry) => entry?.isFile === true && entry.name === 'manifest.json')) {
    const parts = await Promise.all(entries.map((entry) => (entry === null ? [] : walk.entry(entry))));
    return { name: t('open.folder.this'), files: parts.flat() };
  }
  const handle = await handles[0]?.catch(() => null);
  if (handle?.kind === 'directory') return { name: handle.name, files: await walk.folder(handle as FileSystemDirectoryHandle) };
  if (entries[0]?.isDirectory === true) {
    const prefix = entries[0].name.length + 1;
    const files = await walk.entry(entries[0]);
    return { name: entries[0].name, files: files.map(([path, file]) => [path.slice(prefix), file]) };
  }
  if (plain.length === 1) return { file: plain[0] };
  throw new CallError('usage', t('open.drop.one'));
}

const AT_ONCE = 64;
const TELL_MS = 100;

/** The files below a folder. */
class Walk {
  #count = 0;
  #told = -Infinity;

  constructor (private readonly found: Found) {}

  async folder (folder: FileSystemDirectoryHandle, prefix = ''): Promise<Array<[string, File]>> {
    const files: Array<[string, File]> = [];
    let waiting: Array<[string, Promise<File>]> = [];
    const readWaiting = async () => {
      for (const [path, file] of waiting) files.push([path, await file]);
      waiting = [];
    };
    for await (const [name, handle] of (folder as any).entries() as AsyncIterable<[string, FileSystemHandle]>) {
      if (handle.kind === 'directory') files.push(...await this.folder(handle as FileSystemDirectoryHandle, `${prefix}${name}/`));
      else {
        const file = (handle as FileSystemFileHandle).getFile();
        file.catch(() => {}); // said when its turn comes
        waiting.push([prefix + name, file]);
        this.#one();
        if (waiting.length === AT_ONCE) await readWaiting();
      }
    }
    await readWaiting();
    return files;
  }

  async entry (entry: FileSystemEntry, prefix = ''): Promise<Array<[string, File]>> {
    const path = prefix + entry.name;
    if (entry.isFile) {
      this.#one();
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      return [[path, file]];
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const files: Array<[string, File]> = [];
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return files;
      for (const part of await Promise.all(some.map((one) => this.entry(one, `${path}/`)))) files.push(...part);
    }
  }

  #one (): void {
    this.#count++;
    const now = performance.now();
    if (now - this.#told < TELL_MS) return;
    this.#told = now;
    this.found(this.#count);
  }
}
