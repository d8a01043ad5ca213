// The values that cross the border to the core have their types there; sources of files have theirs here.

/** @typedef {import('../../.build/wasm/decryptor_wasm.js').FileEntry} FileEntry */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').PlannedFile} PlannedFile */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Finding} Finding */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').UserInfo} UserInfo */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Plan} Plan */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Facts} Facts */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Sight} Sight */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Summary} Summary */

/**
 * An open file of a source. `read` fills `into` from its start and returns how many bytes it wrote, 0 at the end.
 * It must be synchronous: `into` may lie in WASM memory, which moves when it grows.
 * @typedef {{ read (into: Uint8Array): number, close (): void }} SyncFile
 */

/**
 * The place that an archive's files come from. `open` gives either a synchronous file (fastest) or an async iterable of chunks; of a part of
 * a stored file where `offset` and `length` are given. `part` gives the bytes of a small part, fewer where the file ends. An archive in volumes
 * needs both. `tar`: all of it is in a single tar file of so many bytes, whose path is empty.
 * @typedef {{ name: string, tar?: number, list (): Promise<Array<[string, number]>>,
 *   open (path: string, offset?: number, length?: number): Promise<SyncFile | AsyncIterable<Uint8Array>>,
 *   part? (path: string, offset: number, length: number): Promise<Uint8Array> }} Source
 */

/** @typedef {'auto'|'host'|'wasm'} EngineChoice */

export {};
