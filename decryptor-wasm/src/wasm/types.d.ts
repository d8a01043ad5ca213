/** A file as an inventory lists it (docs/format.md), without its path. */
export interface FileEntry {
  size: number;
  sha256: string;
  salt?: string;
  contentSize?: number;
  contentSha256?: string;
  records?: number;
}

/** A file of an archive that can be read. `size`: its stored bytes; `expected`: what the inventory says of it. */
export interface PlannedFile {
  path: string;
  user: string | null;
  jsonl: boolean;
  gzip: boolean;
  encrypted: boolean;
  size: number;
  expected: FileEntry | null;
}

/** A statement about the archive as a whole (its path is empty), or about one path of it. */
export interface Finding { severity: 'error' | 'warning' | 'note'; code: string; path: string; message: string }

export interface UserInfo { userId: string; username: string; stats: Record<string, number> }

export interface Plan { inventoried: boolean; files: PlannedFile[]; manifests: PlannedFile[]; findings: Finding[]; users: UserInfo[] }

/** The way in which an archive is locked; null: not at all. */
export type Mode = 'hybrid' | 'symmetric' | 'symmetric-pbkdf2' | null;

/** A run of a chain, as its index lists it. `made`: milliseconds since 1970. */
export interface Run { run: number; archiveId: string; kind: string; made: number | null; mode: Mode }

/** An archive as it is seen without a key. `runs`: those of a chain. */
export interface Sight { mode: Mode; runs: Run[] }

/**
 * An opened archive. `decrypted`: it is what was decrypted of another. `caution`: a warning about an archive that holds no state by itself, and
 * the advice that follows. `chain`: of the state of a chain, its run, a line about it, and a line for each run. `users`, `files` and `manifests` say how
 * many there are; `bytes` are those of the files as stored, `compressed` those of compressed ones, and `largest` those of the largest that is
 * not compressed and of the largest that is.
 */
export interface Facts {
  id: string;
  signer: string | null;
  encrypted: boolean;
  decrypted: boolean;
  caution: [string, string | null] | null;
  chain: { run: number; headline: string; lines: string[]; runs: Run[] } | null;
  inventoried: boolean;
  users: number;
  files: number;
  manifests: number;
  bytes: number;
  compressed: number;
  largest: [number, number];
  hasPlatform: boolean;
  findings: Finding[];
}
