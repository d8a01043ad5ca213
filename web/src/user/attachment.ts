// An attachment: its size, a preview of what is safe to show, and saving it.
import type { LookedAt } from './user.js';
import { CallError } from '../rpc.js';
import { errorBox } from '../open/view.js';
import { fileSink } from '../save/sinks.js';
import { t } from '../texts/index.js';
import { alien, h, put } from '../ui/dom.js';
import { bytes, fileName } from '../ui/format.js';
import { icon } from '../ui/icons.js';
import { Task } from '../ui/task.js';

const LARGEST_PREVIEW = 32 * 1024 * 1024;
const LONGEST_TEXT = 256 * 1024;

export function attachmentCard (looked: LookedAt, attachment: { id?: unknown, fileName?: unknown, type?: unknown, size?: unknown }): HTMLElement {
  const id = String(attachment.id ?? '');
  const name = typeof attachment.fileName === 'string' ? attachment.fileName : id;
  const size = looked.sizes.get(id);
  const place = h('div');
  const fetch = async (take: (bytes: Uint8Array<ArrayBuffer>) => unknown) => {
    const task = new Task('user.reading');
    put(place, task.element);
    try {
      return await looked.app.client.call<{ path: string, size: number, sha256: string }>('user.attachment', { fileId: id }, task.options((value) => {
        task.show(value.progressOf);
        return take(value.bytes);
      }));
    } finally {
      put(place);
    }
  };
  const guard = async (action: () => Promise<void>) => {
    try {
      await action();
    } catch (error) {
      if ((error as CallError).kind !== 'interrupted') put(place, errorBox(error instanceof CallError ? error : new CallError('failed', (error as Error).message)));
    }
  };
  const preview = () => guard(async () => {
    const parts: Array<Uint8Array<ArrayBuffer>> = [];
    await fetch((part) => parts.push(part));
    put(place, await previewOf(new Blob(parts), name));
  });
  const save = () => guard(async () => {
    const sink = await fileSink(fileName(name, 'attachment'), 'application/octet-stream');
    if (sink === undefined) return;
    try {
      const { app, user } = looked;
      const done = await app.writing(async () => {
        const end = await fetch((part) => sink.write(part));
        await sink.close();
        return end;
      });
      app.note(looked.opened, { complete: true, what: 'attachment', user: user.username, where: sink.name, at: Date.now(), files: [done] });
      put(place, h('p', { class: 'small', role: 'status' }, t('save.done'), ' · SHA-256 ', h('code', null, done.sha256)));
    } catch (error) {
      await sink.abort().catch(() => {});
      throw error;
    }
  });
  return h('div', { class: 'attachment' },
    h('p', null, icon('file'), ' ', h('strong', null, alien(name)), ' ',
      h('small', null, size === undefined ? t('attachment.missing') : bytes(size), typeof attachment.type === 'string' && [' · ', alien(attachment.type)])),
    size !== undefined && h('div', { class: 'row' },
      size <= LARGEST_PREVIEW && h('button', { type: 'button', 'data-preview': id, onclick: preview }, t('attachment.preview')),
      h('button', { type: 'button', 'data-save-attachment': id, onclick: save }, icon('save'), t('attachment.save'))),
    place);
}

const IMAGES: Array<[string, number[]]> = [
  ['image/png', [0x89, 0x50, 0x4e, 0x47]], ['image/jpeg', [0xff, 0xd8, 0xff]], ['image/gif', [0x47, 0x49, 0x46, 0x38]],
  ['image/webp', [0x52, 0x49, 0x46, 0x46]], ['image/bmp', [0x42, 0x4d]],
];

/** An image by what it begins with (never as markup), or text; nothing else is shown. */
async function previewOf (blob: Blob, name: string): Promise<HTMLElement> {
  const head = new Uint8Array(await blob.slice(0, 16).arrayBuffer());
  const image = IMAGES.find(([, magic]) => magic.every((byte, i) => head[i] === byte));
  if (image !== undefined) {
    const url = URL.createObjectURL(new Blob([blob], { type: image[0] }));
    return h('img', { src: url, alt: t('attachment.image'), class: 'preview', onload: () => URL.revokeObjectURL(url), onerror: (event: Event) => {
      URL.revokeObjectURL(url);
      (event.target as HTMLElement).replaceWith(h('p', null, t('attachment.nopreview')));
    } });
  }
  const text = await textOf(blob);
  if (text !== undefined) {
    return h('div', null, h('pre', { class: 'json', tabindex: '0', 'aria-label': name }, alien(text)), blob.size > LONGEST_TEXT && h('p', { class: 'small' }, t('attachment.cut')));
  }
  return h('p', null, t('attachment.nopreview'));
}

async function textOf (blob: Blob): Promise<string | undefined> {
  const bytes = new Uint8Array(await blob.slice(0, LONGEST_TEXT).arrayBuffer());
  if (bytes.includes(0)) return undefined;
  try {
    // A character may be cut at the end of the part.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: blob.size > LONGEST_TEXT });
  } catch {
    return undefined;
  }
}
