/**
 * What the methods of a RecordLog are told and what they give back, as their users see it.
 */

/** What `append` can be told about a record. */
export interface AppendOptions {
  /** What the record is, 0 to 127; 0 raw, 1 put and 2 delete have names. Default 0. */
  readonly kind?: number;
  /** A key of at most 64 KiB; text becomes UTF-8. Default: none. */
  readonly key?: Uint8Array | string;
}

/** What a read can be told. */
export interface ReadOptions {
  /**
   * Returns key and payload as parts of a private mapping of the segment instead of copies. They stay valid, with the
   * bytes that they had, for as long as anyone holds them, even when the records are cut or the log is closed. Writing
   * into them changes neither the file nor the log. Default false.
   */
  readonly view?: boolean;
}

/** What a scan can be told. */
export interface ScanOptions extends ReadOptions {
  /** First LSN; default `firstLsn`. `lastLsn + 1` gives nothing; beyond is an error, and so is below `firstLsn`. */
  readonly from?: number;
  /** Last LSN, inclusive; default, and at most, what `lastLsn` is when the scan begins. */
  readonly to?: number;
  /** From the last to the first. Default false. */
  readonly reverse?: boolean;
}

/** LSNs of a batch. */
export interface BatchResult {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** What a follower can be told. */
export interface FollowOptions extends ReadOptions {
  /** First LSN; default `firstLsn`. `lastLsn + 1` gives only what comes from now on; beyond is an error. */
  readonly from?: number;
  /** Delivers only what is known to be on disk. Default false: whatever is committed. */
  readonly durable?: boolean;
  /** Ends the iteration: whoever waits for a record is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What `retain` can be told; at least one of both. */
export interface RetainOptions {
  /** Most bytes of frames that stay, from 0. The active segment stays in any case. */
  readonly maxBytes?: number;
  /** Most milliseconds since a segment was sealed, from 0. */
  readonly maxAge?: number;
}

/** The events of a log and what their listeners are told. */
export interface RecordLogEvents {
  /**
   * Records were cut off: by `truncateAfter` here, or as a reader notices it. `lastLsn` is the last record there is
   * now; some up to it may have taken the place of others.
   */
  truncate: [{ readonly firstLsn: number; readonly lastLsn: number }];
  /** The oldest records, those before `firstLsn`, were dropped. */
  retain: [{ readonly firstLsn: number; readonly lastLsn: number }];
}
