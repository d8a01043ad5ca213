// The shapes that cross the border to the core as JSON.

/**
 * One file as the inventory lists it (docs/format.md).
 * @typedef {{ path: string, size: number, sha256: string, salt?: string, contentSize?: number, contentSha256?: string,
 *   records?: number }} FileEntry
 */

/**
 * A file to process.
 * @typedef {{ path: string, user: string|null, jsonl: boolean, gzip: boolean, encrypted: boolean,
 *   size: number, expected: FileEntry|null }} PlannedFile
 */

/**
 * Something to tell about the archive as a whole or about one path of it.
 * @typedef {{ severity: 'error'|'warning'|'note', code: string, path: string, message: string }} Finding
 */

/** @typedef {{ userId: string, username: string, stats: Record<string, number> }} UserInfo */

/** @typedef {{ inventoried: boolean, files: PlannedFile[], findings: Finding[], users: UserInfo[] }} Plan */

/**
 * What reading one file to its end has shown.
 * @typedef {{ storedSize: number, contentSize: number, outputSize: number, salt: string|null,
 *   records: number|null }} Summary
 */

/**
 * An open file of a source. `read` fills `into` from its start and returns how many bytes it wrote, 0 at the end.
 * It must be synchronous: `into` may lie in WASM memory, which moves when it grows.
 * @typedef {{ read (into: Uint8Array): number, close (): void }} SyncFile
 */

/**
 * Where an archive's files come from. `open` gives either a synchronous file (fastest) or an async iterable of chunks.
 * @typedef {{ name: string, list (): Promise<Array<[string, number]>>,
 *   open (path: string): Promise<SyncFile | AsyncIterable<Uint8Array>> }} Source
 */

/** @typedef {'auto'|'host'|'wasm'} EngineChoice */

export {};
