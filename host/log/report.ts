/**
 * What opening a log found and did, for people and for programs.
 */
import type { Finding } from './examine.ts';
import type { Outcome, Evidence } from './recovery-table.ts';
import type { Segment } from './segment.ts';

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

/** The report of a reader, which changes nothing; without a finding where a living writer vouches for the log. */
export function reportOf(finding: Finding | undefined, segments: readonly Segment[], state: {
  readonly controlValid: boolean; readonly closedCleanly: boolean; readonly firstLsn: number; readonly lastLsn: number;
}): RecoveryReport {
  const { controlValid, closedCleanly, firstLsn, lastLsn } = state;
  const torn = finding !== undefined && finding.outcome === 'cut';
  const here = segments[finding?.at ?? -1];
  const because = finding?.because ?? 'a writer has the store open and vouches for it';
  return {
    outcome: finding?.outcome ?? 'whole',
    because: controlValid ? because : `CONTROL is missing or damaged; ${finding?.because ?? ''}`,
    evidence: finding?.evidence,
    closedCleanly,
    segments: segments.length,
    scannedRecords: finding?.scannedRecords ?? 0,
    firstLsn,
    lastLsn,
    epoch: segments.at(-1)?.epoch ?? 0,
    tornBytes: torn ? finding.restBytes : 0,
    tornAt: torn && here !== undefined ? { segment: here.baseLsn, offset: finding.offset } : undefined,
    cutFiles: [],
    controlRebuilt: false,
  };
}
