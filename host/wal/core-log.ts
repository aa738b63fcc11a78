/**
 * What reading a group needs of the log of one of its cores, and the parts of segments that a range of it lies in.
 */
import type { SegmentView } from '../core/segment-view.ts';
import { VarveError } from '../errors/varve-error.ts';
import type { Segment } from '../log/segment.ts';
import type { SegmentSet } from '../log/segments.ts';

/** An opened log: host/log's LogWriter, or its LogReader, which alone has the last two. */
export interface CoreLog {
  readonly segments: SegmentSet;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** The epoch of a record, or of the placeholder in its place; `undefined` where it is not there or damaged. */
  epochOf(lsn: number): number | undefined;
  scanGuard?(): { readonly before: () => VarveError | undefined; readonly failed: (error: unknown) => unknown };
  reading?<T>(lsn: number, read: (segments: SegmentSet) => T): T;
}

/** Records of one segment, one behind the other, mapped when it is given and until the next one is. */
export interface LogPart {
  readonly segment: Segment;
  readonly view: SegmentView;
  /** Ordinals in the segment: the first, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  /** Offsets in the segment: of the first frame, and just past the last. Negative where the index leads nowhere. */
  readonly offset: number;
  readonly end: number;
}

/** The records from `from` to `to`, by segments. Errors, where one is missing: ERR_VARVE_CORRUPT, _OUT_OF_RANGE */
export function* partsOf({ segments }: CoreLog, from: number, to: number): Generator<LogPart, void> {
  for (let lsn = from; lsn <= to;) {
    const segment = segments.find(lsn);
    const view = segment === undefined ? undefined : segments.pool.view(segment);
    const first = lsn - (segment?.baseLsn ?? 0);
    if (segment === undefined || first >= view!.records) {
      throw segments.missing(lsn)
        ?? new VarveError('ERR_VARVE_OUT_OF_RANGE', `record ${lsn} is not in the log any more`, { lsn });
    }
    const records = view!.records;
    const behind = Math.min(to - segment.baseLsn + 1, records);
    const end = behind < records ? view!.locate(behind) : view!.dataEnd;
    yield { segment, view: view!, from: first, to: behind, offset: view!.locate(first), end };
    lsn = segment.baseLsn + behind;
  }
}

/** Runs what reads one of several logs; where the address space is full, others give up what they have mapped. */
export function withRoom<T>(logs: readonly (CoreLog | undefined)[], run: () => T): T {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_MEMORY_FULL')) throw error;
      if (!logs.some((log) => log?.segments.pool.spare() === true)) throw error;
    }
  }
}
