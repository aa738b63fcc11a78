/**
 * What a core's log says of epochs. They never fall along a log, and a barrier is the last record of its epoch, so that
 * the last record alone tells which epoch was ended last.
 */
import { BarrierEntry, Kind } from '../generated/abi.ts';
import type { SegmentSet } from '../log/segments.ts';

/** Part of a log that is open, for writing or for reading. */
export interface EpochLog {
  readonly segments: SegmentSet;
  readonly firstLsn: number;
  readonly lastLsn: number;
  epochOf(lsn: number): number | undefined;
}

/** The last epoch that was ended in a log; 0 where it holds no record. Errors: as reading the last record */
export function endedEpoch(log: EpochLog): number {
  const { lastLsn } = log;
  if (lastLsn < log.firstLsn) return 0;
  const epoch = log.epochOf(lastLsn) ?? 1;
  if (log.segments.kindOf(lastLsn) !== Kind.Barrier) return epoch - 1;
  const { payload } = log.segments.read(lastLsn, false);
  if (payload.length !== BarrierEntry.BYTES) return epoch - 1;
  return Number(new DataView(payload.buffer, payload.byteOffset).getBigUint64(BarrierEntry.ended, true));
}
