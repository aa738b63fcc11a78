/**
 * What opening a log found and did, for people and for programs.
 */
import type { Outcome, Evidence } from './recovery-table.ts';

/** A file that holds what was cut off. */
export interface CutFile {
  readonly path: string;
  readonly bytes: number;
}

/** The report of `RecordLog.recovery`. */
export interface RecoveryReport {
  /**
   * `created`: there was no store; `whole`: nothing was amiss; `cut`: a torn tail was saved and cut; `truncate`: an
   * interrupted truncation was finished; `corrupt`: synced bytes are damaged (read-only opening alone reports this,
   * opening for writing throws).
   */
  readonly outcome: 'created' | Outcome;
  /** Why, in words. */
  readonly because: string;
  /** What the decision was made from; absent where the store was created. */
  readonly evidence: Evidence | undefined;
  /** Whether the last writer closed the log. */
  readonly closedCleanly: boolean;
  readonly segments: number;
  /** Records whose frames were scanned and checked; those of synced segments are trusted until they are read. */
  readonly scannedRecords: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** The epoch of this writer; of the last record where the log was opened read-only. */
  readonly epoch: number;
  /** Bytes behind the last valid record that were not zero: what was cut, or would be. */
  readonly tornBytes: number;
  /** Where the torn tail begins: base LSN of the segment and offset; absent where nothing is torn. */
  readonly tornAt: { readonly segment: number; readonly offset: number } | undefined;
  /** Files that hold what was cut off, made by this opening. */
  readonly cutFiles: readonly CutFile[];
  /** Whether CONTROL was missing or damaged and has been made anew from the segments. */
  readonly controlRebuilt: boolean;
}
