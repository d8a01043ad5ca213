// The shapes that cross between the core, the worker and the page.

/** One file as the inventory lists it (docs/format.md). */
export interface FileEntry {
  path: string
  size: number
  sha256: string
  salt?: string
  contentSize?: number
  contentSha256?: string
  records?: number
}

/** A file to process. */
export interface PlannedFile {
  path: string
  user: string | null
  jsonl: boolean
  gzip: boolean
  encrypted: boolean
  size: number
  expected: FileEntry | null
}

/** Something to tell about the archive as a whole or about one path of it. */
export interface Finding { severity: 'error' | 'warning' | 'note', code: string, path: string, message: string }

export interface UserInfo { userId: string, username: string, stats: Record<string, number> }

export interface Plan { inventoried: boolean, files: PlannedFile[], findings: Finding[], users: UserInfo[] }

/** What reading one file to its end has shown. */
export interface Summary {
  storedSize: number
  contentSize: number
  outputSize: number
  salt: string | null
  records: number | null
}

/** A run of a chain, as its index lists it. */
export interface Run { run: number, archiveId: string, kind: string, made: number | null, mode: Chosen['mode'] }

/** What was chosen, before a key is asked for. */
export interface Chosen {
  name: string
  files: number
  bytes: number
  /** null: not encrypted */
  mode: 'hybrid' | 'symmetric' | 'symmetric-pbkdf2' | null
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
  /** Who signed it, whether that is who was expected, and which platform it says that it is of; null: nobody did. */
  signature: { signer: string, expected: boolean, source: string } | null
  producer: string
  domain: string
  platformEngine: string
  backupType: string
  users: UserInfo[]
  files: number
  bytes: number
  findings: Finding[]
  /** Whether all files belong to one user only, so that no platform entries are due. */
  hasPlatform: boolean
  /** Of a chain: its runs, and whose state this is. */
  chain: { run: number, runs: Run[] } | null
}

/** What came of reading files: `damaged` names every affected file in a sentence each. */
export interface Outcome {
  files: number
  bytes: number
  records: number
  damaged: Finding[]
  exported: ExportedFile[]
  /** How much of it is of which user, by id. */
  ofUser: Map<string, { files: number, records: number }>
}

/** The id of the user whose file this is, in an archive or in a run of a chain. */
export function userOf (path: string): string | undefined {
  return /^(?:increments\/\d+\/)?users\/([^/]+)\//.exec(path)?.[1];
}

export interface ExportedFile { path: string, size: number, sha256: string }

export interface Progress { done: number, total: number, path: string }
