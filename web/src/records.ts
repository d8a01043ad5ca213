// Records as the page and the worker speak of them.

/** Bits of a row. */
export const TRASHED = 1;
export const DELETED = 2;
export const HISTORY = 4;
export const ATTACHED = 8;
export const RUNNING = 16;

export type Kind = 'events' | 'audit';

/** The rows that are wanted; times in seconds. */
export interface Filter {
  streams?: string[]
  types?: string[]
  from?: number
  to?: number
  trashed?: boolean
  deleted?: boolean
  history?: boolean
  attached?: boolean
  newestFirst?: boolean
}

/** One line of a table. */
export interface Row { row: number, time: number, type: string, streams: string[], flags: number, text: string }

/** The facts of an index, once it is built. */
export interface IndexInfo {
  total: number
  /** Without trashed, deleted and earlier versions. */
  live: number
  /** All types and streams, each with the number of its live records. */
  types: Array<[string, number]>
  streams: Array<[string, number]>
  /** Numeric events by stream and type. */
  numeric: Array<{ stream: string, type: string, count: number }>
  from: number | null
  to: number | null
  problems: string[]
  seconds: number
}

export interface QueryResult { count: number, ms: number }

/** Events over time: one array of counts per type, the last for all other types. */
export interface Timeline { from: number, to: number, types: string[], counts: number[][] }

/** A line between two times: single points, or the least and the greatest value of each step. */
export interface Line { times: Float64Array, low: Float64Array, high: Float64Array, exact: boolean, from: number, to: number, total: number }

export interface SeriesInfo { measurement: string, namespace: string, eventId: string, points: number, fields: string[], eventTime: number | null, type: string }

export interface UserData {
  streams: string[]
  accesses: string[]
  profile: string[]
  account: string[]
  webhooks: string[]
  problems: string[]
  hasSeries: boolean
  hasAudit: boolean
  /** Sizes of the attachments that are there, by id. */
  attachments: Array<[string, number]>
}
