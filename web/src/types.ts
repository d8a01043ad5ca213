// The values that cross between the core, the worker and the page. Those of the core have their types there.
import type { Finding, Mode, PlannedFile, Run, UserInfo } from '../../.build/wasm/decryptor_wasm.js';

export type { Facts, FileEntry, Finding, Plan, PlannedFile, Run, Sight, Summary, UserInfo } from '../../.build/wasm/decryptor_wasm.js';

/** A backup that was chosen, before a key is asked for. */
export interface Chosen {
  name: string
  files: number
  bytes: number
  mode: Mode
  /** The runs of a chain; none for a backup by itself. */
  runs: Run[]
}

/** An opened archive, as the page shows it. */
export interface ArchiveInfo {
  id: string
  name: string
  encrypted: boolean
  inventoried: boolean
  engine: 'host' | 'wasm'
  made: number | null
  /** The signer, whether it is an expected one, and the platform that the archive says it is of; null: nobody signed it. */
  signature: { signer: string, expected: boolean, source: string } | null
  producer: string
  domain: string
  platformEngine: string
  backupType: string
  users: UserInfo[]
  files: number
  /** Those that are listed beside the manifests. */
  listed: number
  /** Those of a capsule. */
  capsule: number
  bytes: number
  findings: Finding[]
  /** Whether all files belong to one user only, so that no platform entries are due. */
  hasPlatform: boolean
  /** Of a chain: its runs, and whose state this is. */
  chain: { run: number, runs: Run[] } | null
}

/** The outcome of reading files: `damaged` names every affected file in a sentence each. */
export interface Outcome {
  files: number
  bytes: number
  records: number
  damaged: Finding[]
  exported: ExportedFile[]
  /** The share of each user, by id. */
  ofUser: Map<string, { files: number, records: number }>
}

/** The id of the user whose file this is, in an archive or in a run of a chain. */
export function userOf (path: string): string | undefined {
  return /^(?:increments\/\d+\/)?users\/([^/]+)\//.exec(path)?.[1];
}

export interface ExportedFile { path: string, size: number, sha256: string }

export interface Progress { done: number, total: number, path: string }
