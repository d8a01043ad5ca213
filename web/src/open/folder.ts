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

/** The browser's own directory picker; undefined when the user changed their mind. */
export async function pickFolder (): Promise<Choice | undefined> {
  try {
    const folder: FileSystemDirectoryHandle = await (window as any).showDirectoryPicker({ id: 'backup', mode: 'read' });
    return { name: folder.name, files: await walk(folder) };
  } catch (error) {
    if ((error as DOMException).name === 'AbortError') return undefined;
    throw error;
  }
}

export const canPickFolder = (): boolean => 'showDirectoryPicker' in window;

/** What was dropped: a folder, or a packed file. */
export async function fromDrop (data: DataTransfer): Promise<Choice> {
  const items = [...data.items].filter(({ kind }) => kind === 'file');
  // Both must be asked for before anything is awaited.
  const handles = items.map((item) => (item as any).getAsFileSystemHandle?.() as Promise<FileSystemHandle | null> | undefined);
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...data.files];
  if (items.length > 1 && entries.some((entry) => entry?.isFile === true && entry.name === 'manifest.json')) {
    const parts = await Promise.all(entries.map((entry) => (entry === null ? [] : walkEntry(entry, ''))));
    return { name: t('open.folder.this'), files: parts.flat() };
  }
  const handle = await handles[0]?.catch(() => null);
  if (handle?.kind === 'directory') return { name: handle.name, files: await walk(handle as FileSystemDirectoryHandle) };
  if (entries[0]?.isDirectory === true) {
    const prefix = entries[0].name.length + 1;
    const files = await walkEntry(entries[0], '');
    return { name: entries[0].name, files: files.map(([path, file]) => [path.slice(prefix), file]) };
  }
  if (plain.length === 1) return { file: plain[0] };
  throw new CallError('usage', t('open.drop.one'));
}

async function walk (folder: FileSystemDirectoryHandle, prefix = ''): Promise<Array<[string, File]>> {
  const found: Array<[string, File]> = [];
  for await (const [name, handle] of (folder as any).entries() as AsyncIterable<[string, FileSystemHandle]>) {
    if (handle.kind === 'directory') found.push(...await walk(handle as FileSystemDirectoryHandle, `${prefix}${name}/`));
    else found.push([prefix + name, await (handle as FileSystemFileHandle).getFile()]);
  }
  return found;
}

async function walkEntry (entry: FileSystemEntry, prefix: string): Promise<Array<[string, File]>> {
  const path = prefix + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [[path, file]];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Array<[string, File]> = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const one of some) found.push(...await walkEntry(one, `${path}/`));
  }
}
