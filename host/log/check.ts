/**
 * Checking every frame of a log, in the core alone, and saying what is damaged. Changes nothing.
 */
import { dirname, join } from 'node:path';
import { Kind, Status } from '../generated/abi.ts';
import type { Finding } from './examine.ts';
import { segmentName } from './names.ts';
import { kindAt, sizeAt } from './record.ts';
import type { Segment } from './segment.ts';
import { statusName, type SegmentSet } from './segments.ts';

/** A place where a valid frame should be and is not. */
export interface Damage {
  /** LSN of the first record that is damaged there. */
  readonly lsn: number;
  /** Records that are damaged there, one after the other. */
  readonly records: number;
  /** Base LSN of the segment. */
  readonly segment: number;
  readonly path: string;
  /** Offset of the damage in the segment file, in bytes. */
  readonly offset: number;
  /** What is wrong: the name of a status, see docs/format.md. */
  readonly status: string;
}

/** What `RecordLog.check` found. */
export interface CheckReport {
  /** `ok`, `torn` where an interrupted write lies behind the last record, `corrupt` where synced bytes are damaged. */
  readonly outcome: 'ok' | 'torn' | 'corrupt';
  /** Why, in words. */
  readonly because: string;
  readonly segments: number;
  /** Records whose checksum is right. */
  readonly records: number;
  /** Bytes of their frames. */
  readonly bytes: number;
  readonly damaged: readonly Damage[];
  /** LSNs that an earlier repair has given up. */
  readonly lostLsns: readonly number[];
  /** Bytes of the torn tail. */
  readonly tornBytes: number;
  readonly tornAt: { readonly segment: number; readonly offset: number } | undefined;
}

/** What a check can be told. */
export interface CheckOptions {
  /** Told after each segment how many bytes of frames were checked, of how many. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

interface Tally {
  records: number;
  bytes: number;
  readonly damaged: Damage[];
  readonly lostLsns: number[];
}

const ALL = 0xffffffff;

/** Checks all segments; `finding` is what opening a log that no writer vouches for found at its end. */
export function checkLog(
  segments: SegmentSet, finding: Finding | undefined, options: CheckOptions,
): CheckReport {
  const tally: Tally = { records: 0, bytes: 0, damaged: [], lostLsns: [] };
  const { list } = segments;
  const total = list.reduce((sum, segment) => sum + segment.dataEnd, 0);
  let done = 0;
  for (const segment of [...list]) {
    checkSegment(segments, segment, tally);
    done += segment.dataEnd;
    options.onProgress?.(done, total);
  }
  noteGaps(list, tally);
  if (finding?.outcome === 'corrupt') noteFinding(list, finding, tally);
  tally.damaged.sort((a, b) => a.lsn - b.lsn);
  const torn = finding?.outcome === 'cut' || finding?.outcome === 'truncate';
  const here = list[finding?.at ?? -1];
  return {
    outcome: tally.damaged.length > 0 ? 'corrupt' : torn ? 'torn' : 'ok',
    because: tally.damaged.length > 0 && finding?.outcome !== 'corrupt'
      ? 'a frame that was sealed and synced does not match its checksum' : finding?.because ?? 'every frame is valid',
    segments: list.length,
    ...tally,
    tornBytes: torn ? finding.restBytes : 0,
    tornAt: torn && here !== undefined ? { segment: here.baseLsn, offset: finding.offset } : undefined,
  };
}

function checkSegment(segments: SegmentSet, segment: Segment, tally: Tally): void {
  const view = segments.pool.view(segment);
  let { first: offset, ordinal } = { first: view.records === 0 ? view.dataEnd : view.locate(0), ordinal: 0 };
  while (offset >= 0 && offset < view.dataEnd) {
    const count = view.scan(offset, ordinal, ALL, ALL);
    const end = view.resultOffset;
    const status = view.resultStatus;
    if (view.resultLost > 0) noteLost(segments, segment, offset, end, ordinal, tally);
    tally.records += count - view.resultLost;
    tally.bytes += end - offset;
    if (status === Status.Ok) return;
    const next = view.findLater(end + 8, view.dataEnd, ordinal + count + 1);
    const nextOrdinal = next === 0 ? view.records : view.resultRecords;
    tally.damaged.push({
      lsn: segment.baseLsn + ordinal + count,
      records: nextOrdinal - ordinal - count,
      segment: segment.baseLsn,
      path: segment.path,
      offset: end,
      status: statusName(status),
    });
    if (next === 0) return;
    offset = next;
    ordinal = nextOrdinal;
  }
}

function noteLost(
  segments: SegmentSet, segment: Segment, from: number, to: number, ordinal: number, tally: Tally,
): void {
  const view = segments.pool.view(segment);
  const words = view.core.memory.unsigned;
  let lsn = segment.baseLsn + ordinal;
  for (let offset = from; offset < to; lsn++) {
    const at = view.base + offset;
    if (kindAt(words, at) === Kind.Lost) tally.lostLsns.push(lsn);
    offset += (sizeAt(words, at) + 7) & ~7;
  }
}

/** Records between two segments: a file is gone, or the end of one. */
function noteGaps(list: readonly Segment[], tally: Tally): void {
  for (const [at, segment] of list.entries()) {
    const next = list[at + 1];
    if (next !== undefined && next.baseLsn > segment.lastLsn + 1) noteMissing(segment, next.baseLsn - 1, tally);
  }
}

/** Records behind the last one of `before` that should be there, up to `lastLsn`. */
function noteMissing(before: Segment, lastLsn: number, tally: Tally): void {
  const lsn = before.lastLsn + 1;
  // A segment whose footer says that it is whole cannot be what the records are missing from.
  const whole = before.footer !== undefined && before.footer.records === before.records;
  tally.damaged.push({
    lsn,
    records: Math.max(1, lastLsn - lsn + 1),
    segment: whole ? lsn : before.baseLsn,
    path: whole ? join(dirname(before.path), segmentName(lsn)) : before.path,
    offset: whole ? 0 : before.dataEnd,
    status: statusName(Status.Absent),
  });
}

/** What opening found missing or damaged and no segment's own frames can show. */
function noteFinding(list: readonly Segment[], finding: Finding, tally: Tally): void {
  const lsn = finding.lastLsn + 1;
  if (tally.damaged.some((damage) => damage.lsn === lsn)) return;
  const here = list[finding.at];
  const first = list[0] ?? finding.headless[0];
  if (here === undefined) {
    tally.damaged.push({
      lsn,
      records: Math.max(1, (list[0]?.baseLsn ?? finding.durableLsn + 1) - lsn),
      segment: first?.baseLsn ?? lsn,
      path: first?.path ?? '',
      offset: 0,
      status: statusName(Status.Absent),
    });
  } else if (finding.status === Status.Ok || finding.status === Status.Absent) {
    noteMissing(here, finding.durableLsn, tally);
  } else {
    tally.damaged.push({
      lsn,
      records: 1,
      segment: here.baseLsn,
      path: here.path,
      offset: finding.offset,
      status: statusName(finding.status),
    });
  }
}
