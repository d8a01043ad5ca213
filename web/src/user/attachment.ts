// An attachment: its size, a preview of what is safe to show, and saving it.
import type { LookedAt } from './user.js';
import { fetchFile, guard, saveFile } from '../save/one.js';
import { t } from '../texts/index.js';
import { alien, h, put } from '../ui/dom.js';
import { bytes } from '../ui/format.js';
import { icon } from '../ui/icons.js';

const LARGEST_PREVIEW = 32 * 1024 * 1024;
const LONGEST_TEXT = 256 * 1024;

export function attachmentCard (looked: LookedAt, attachment: { id?: unknown, fileName?: unknown, type?: unknown, size?: unknown }): HTMLElement {
  const id = String(attachment.id ?? '');
  const name = typeof attachment.fileName === 'string' ? attachment.fileName : id;
  const size = looked.sizes.get(id);
  const place = h('div');
  const file = { app: looked.app, opened: looked.opened, call: 'user.attachment', argument: { fileId: id }, what: 'attachment', user: looked.user.username };
  const preview = () => guard(place, async () => {
    const parts: Array<Uint8Array<ArrayBuffer>> = [];
    await fetchFile(file, place, (part) => parts.push(part));
    put(place, await previewOf(new Blob(parts), name));
  });
  const save = () => saveFile(file, place, name);
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
