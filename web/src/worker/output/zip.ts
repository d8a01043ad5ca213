// A zip written as a stream: entries are stored, their sizes follow them, and ZIP64 is used throughout where it is due.
import type { Call } from '../../rpc.js';
import { crc32 } from '../core.js';
import type { Output } from '../save.js';
import { Gather } from './gather.js';

const UTF8_AND_DESCRIPTOR = 0x0808;
const VERSION_64 = 45;
const MADE_BY_UNIX = 3 << 8 | VERSION_64;
const MODE_600 = (0o100600 << 16) >>> 0;
const FULL_32 = 0xffffffff;
const FULL_16 = 0xffff;

interface Entry { name: Uint8Array, crc: number, size: number, offset: number }

export class ZipWriter implements Output {
  #entries: Entry[] = [];
  #current: Entry | undefined;
  #at = 0;
  #gather: Gather;
  #stamp: [number, number];

  constructor (call: Call, made = new Date()) {
    this.#gather = new Gather(call, (bytes) => ({ bytes }));
    this.#stamp = dosTime(made);
  }

  async create (path: string): Promise<void> {
    const name = new TextEncoder().encode(path);
    this.#current = { name, crc: 0, size: 0, offset: this.#at };
    // The ZIP64 field announces that the sizes after the data have eight bytes.
    const head = new Fields(30 + name.length + 20);
    head.u32(0x04034b50).u16(VERSION_64).u16(UTF8_AND_DESCRIPTOR).u16(0).u16(this.#stamp[0]).u16(this.#stamp[1])
      .u32(0).u32(FULL_32).u32(FULL_32).u16(name.length).u16(20).bytes(name).u16(1).u16(16).u64(0).u64(0);
    await this.#put(head.done());
  }

  async write (piece: Uint8Array): Promise<void> {
    if (this.#current === undefined) throw new Error('no entry is open');
    this.#current.crc = crc32(piece, this.#current.crc);
    this.#current.size += piece.length;
    await this.#put(piece);
  }

  async commit (): Promise<void> {
    const entry = this.#current;
    if (entry === undefined) throw new Error('no entry is open');
    await this.#put(new Fields(24).u32(0x08074b50).u32(entry.crc).u64(entry.size).u64(entry.size).done());
    this.#entries.push(entry);
    this.#current = undefined;
  }

  /** The bytes that were sent stay in the stream, but no table of contents names them. */
  async discard (): Promise<void> {
    this.#current = undefined;
  }

  /** Writes the table of contents. */
  async finish (): Promise<void> {
    const start = this.#at;
    for (const { name, crc, size, offset } of this.#entries) {
      const record = new Fields(46 + name.length + 28);
      record.u32(0x02014b50).u16(MADE_BY_UNIX).u16(VERSION_64).u16(UTF8_AND_DESCRIPTOR).u16(0).u16(this.#stamp[0]).u16(this.#stamp[1])
        .u32(crc).u32(FULL_32).u32(FULL_32).u16(name.length).u16(28).u16(0).u16(0).u16(0).u32(MODE_600).u32(FULL_32)
        .bytes(name).u16(1).u16(24).u64(size).u64(size).u64(offset);
      await this.#put(record.done());
    }
    const size = this.#at - start;
    const count = this.#entries.length;
    const end64 = this.#at;
    const end = new Fields(56 + 20 + 22);
    end.u32(0x06064b50).u64(44).u16(MADE_BY_UNIX).u16(VERSION_64).u32(0).u32(0).u64(count).u64(count).u64(size).u64(start);
    end.u32(0x07064b50).u32(0).u64(end64).u32(1);
    end.u32(0x06054b50).u16(0).u16(0).u16(Math.min(count, FULL_16)).u16(Math.min(count, FULL_16))
      .u32(Math.min(size, FULL_32)).u32(FULL_32).u16(0);
    await this.#put(end.done());
    await this.#gather.flush();
  }

  #put (bytes: Uint8Array): Promise<void> {
    this.#at += bytes.length;
    return this.#gather.put(bytes);
  }
}

/** Little-endian fields one after another. */
class Fields {
  #bytes;
  #view;
  #at = 0;

  constructor (length: number) {
    this.#bytes = new Uint8Array(length);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u16 (value: number): this {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
    return this;
  }

  u32 (value: number): this {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  u64 (value: number): this {
    this.#view.setBigUint64(this.#at, BigInt(value), true);
    this.#at += 8;
    return this;
  }

  bytes (value: Uint8Array): this {
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  done (): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }
}

function dosTime (date: Date): [number, number] {
  const time = date.getHours() << 11 | date.getMinutes() << 5 | date.getSeconds() >> 1;
  const day = Math.max(0, date.getFullYear() - 1980) << 9 | date.getMonth() + 1 << 5 | date.getDate();
  return [time, day];
}
