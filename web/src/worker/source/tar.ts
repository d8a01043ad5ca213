import { DecryptError } from '../../../../npm/src/errors.js';
import { errorOf } from '../core.js';
import type { Entry } from './container.js';
import { blocksOf } from './blocks.js';
import { partOfBlob } from './source.js';

const RECORD = 512;

/** The regular files of a tar (ustar, GNU long names, pax paths and sizes). */
export async function readTar (file: File): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  let longName: string | undefined;
  let longSize: number | undefined;
  for (let at = 0; at + RECORD <= file.size;) {
    const head = new Uint8Array(await file.slice(at, at + RECORD).arrayBuffer());
    if (head.every((byte) => byte === 0)) break;
    if (!checksumHolds(head)) throw new DecryptError('damaged', `${file.name} is damaged at byte ${at}: use another copy`, { code: 'packed-cut' });
    const size = longSize ?? numberAt(head, 124, 12);
    const type = String.fromCharCode(head[156] || 48);
    const start = at + RECORD;
    const next = start + Math.ceil(size / RECORD) * RECORD;
    if (start + size > file.size) throw new DecryptError('damaged', `${file.name} was cut short: use another copy`, { code: 'packed-cut' });
    if (type === 'L' || type === 'x') {
      const text = await file.slice(start, start + Math.min(size, 1 << 20)).text();
      if (type === 'L') longName = text.replace(/\0.*$/s, '');
      else ({ path: longName = longName, size: longSize } = paxOf(text));
    } else {
      const name = longName ?? nameOf(head);
      longName = longSize = undefined;
      if (type === '0') {
        const data = file.slice(start, start + size);
        entries.set(name.replace(/^(\.\/)+/, ''), {
          size,
          read: (offset = 0, length = Infinity) => blocksOf(partOfBlob(data, offset, length), name),
        });
      } else if (type === '1' || type === '2') {
        throw errorOf('not-a-file', { path: name, found: `a ${type === '2' ? 'symbolic' : 'hard'} link` });
      }
    }
    at = next;
  }
  return entries;
}

function nameOf (head: Uint8Array): string {
  const prefix = textAt(head, 345, 155);
  const name = textAt(head, 0, 100);
  return prefix !== '' && textAt(head, 257, 5) === 'ustar' && head[262] === 0 ? `${prefix}/${name}` : name;
}

function paxOf (text: string): { path?: string, size?: number } {
  const found: { path?: string, size?: number } = {};
  for (const [, key, value] of text.matchAll(/\d+ (path|size)=([^\n]*)\n/g)) {
    if (key === 'path') found.path = value;
    else found.size = Number(value);
  }
  return found;
}

function textAt (head: Uint8Array, start: number, length: number): string {
  return new TextDecoder().decode(head.subarray(start, start + length)).replace(/\0.*$/s, '');
}

/** Octal, or base 256 when the first bit is set. */
function numberAt (head: Uint8Array, start: number, length: number): number {
  if ((head[start] & 0x80) === 0) return parseInt(textAt(head, start, length).trim() || '0', 8);
  return head.subarray(start + 1, start + length).reduce((value, byte) => value * 256 + byte, head[start] & 0x7f);
}

function checksumHolds (head: Uint8Array): boolean {
  const due = numberAt(head, 148, 8);
  return due === head.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
}
