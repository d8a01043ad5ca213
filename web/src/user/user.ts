// The data that the views of one user share.
import type { App, Opened } from '../app.js';
import type { Filter, IndexInfo, Kind, UserData } from '../records.js';
import type { UserInfo } from '../types.js';

export interface Stream { id: string, name: string, parentId: string | null, trashed: boolean, deleted: number | undefined, raw: string }

export class LookedAt {
  readonly streams = new Map<string, Stream>();
  readonly children = new Map<string | null, Stream[]>();
  readonly sizes: Map<string, number>;
  /** The archive that it is of. */
  readonly opened: Opened | undefined;
  readonly info = new Map<Kind, IndexInfo>();
  /** Live events in each stream or below it. */
  below = new Map<string, number>();
  readonly #accessNames = new Map<string, string>();
  /** Leads to the events with a filter set. */
  showEvents: (filter: Filter) => void = () => {};

  constructor (readonly app: App, readonly user: UserInfo, readonly data: UserData) {
    this.opened = app.opened;
    this.sizes = new Map(data.attachments);
    for (const line of data.accesses) {
      const { id, name, headId } = parse(line);
      if (typeof id === 'string' && typeof name === 'string' && name !== '' && typeof headId !== 'string') this.#accessNames.set(id, name);
    }
    for (const raw of data.streams) {
      const record = parse(raw);
      if (typeof record.id !== 'string') continue;
      this.streams.set(record.id, {
        id: record.id, name: typeof record.name === 'string' ? record.name : '', parentId: typeof record.parentId === 'string' ? record.parentId : null,
        trashed: record.trashed === true, deleted: typeof record.deleted === 'number' ? record.deleted : undefined, raw,
      });
    }
    for (const stream of this.streams.values()) {
      // A stream whose parent is not there, or that is its own ancestor, is shown at the top.
      const parent = stream.parentId !== null && this.streams.has(stream.parentId) && !this.#circular(stream) ? stream.parentId : null;
      const siblings = this.children.get(parent) ?? [];
      siblings.push(stream);
      this.children.set(parent, siblings);
    }
    for (const siblings of this.children.values()) siblings.sort((a, b) => (a.name || a.id).localeCompare(b.name || b.id));
  }

  /** A stream and all below it. */
  withChildren (id: string): string[] {
    const all = [id];
    for (let i = 0; i < all.length; i++) all.push(...(this.children.get(all[i]) ?? []).map((stream) => stream.id));
    return all;
  }

  /** The parent of each stream, as the tree shows them. */
  parents (): Map<string, string> {
    const parents = new Map<string, string>();
    for (const [parent, children] of this.children) {
      if (parent !== null) for (const { id } of children) parents.set(id, parent);
    }
    return parents;
  }

  streamName (id: string): string {
    const name = this.streams.get(id)?.name ?? '';
    return name === '' ? id : name;
  }

  /** The access behind a stream of the audit log: its name, else its id. */
  accessName (stream: string): string {
    const id = stream.replace(/^access-/, '');
    return this.#accessNames.get(id) ?? id;
  }

  #circular (stream: Stream): boolean {
    const seen = new Set<string>();
    for (let at: Stream | undefined = stream; at !== undefined; at = at.parentId === null ? undefined : this.streams.get(at.parentId)) {
      if (seen.has(at.id)) return true;
      seen.add(at.id);
    }
    return false;
  }
}

export function parse (line: string): any {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}
