/**
 * Finding the longest valid prefix of a loaded log and the evidence at its end. Maps and reads, changes nothing on
 * disk: both the writer's recovery and the lock-free inspection stand on it.
 */
import type { Marks } from '../core/control-page.ts';
import { FRAMES_OFFSET, Status } from '../generated/abi.ts';
import type { Headless, Loaded } from './load.ts';
import type { SegmentPool } from './pool.ts';
import { decide, type Evidence, type Outcome } from './recovery-table.ts';
import type { Segment } from './segment.ts';

/** What was found. */
export interface Finding {
  readonly outcome: Outcome;
  readonly because: string;
  readonly evidence: Evidence;
  /** Index of the segment in which the prefix ends; -1 where there is no segment. */
  readonly at: number;
  /** LSN of the last record of the prefix; one less than the first where there is none. */
  readonly lastLsn: number;
  /** Offset in that segment just past the prefix. */
  readonly offset: number;
  /** Why the frame there is not valid; `Ok` where the data simply end. */
  readonly status: number;
  /** Bytes behind the prefix in its segment that are not zero, counted up to the last of them. */
  readonly restBytes: number;
  /** Segments and headless files that lie behind the prefix. */
  readonly later: readonly Segment[];
  readonly headless: readonly Headless[];
  /** Records whose frames were scanned, as opposed to trusted by a footer. */
  readonly scannedRecords: number;
  /** Highest epoch seen. */
  readonly epoch: number;
  /** The durable LSN that the marks of CONTROL name; 0 where they are absent. */
  readonly durableLsn: number;
}

interface Prefix {
  at: number;
  lastLsn: number;
  offset: number;
  status: number;
  scanned: number;
  epoch: number;
}

/** Where frames may stand in a segment: before its footer, if it has one, else in the whole file. */
function frameLimit(segment: Segment): number {
  return segment.footer?.dataEnd ?? segment.mapping!.length;
}

/** Where the bytes of a mapped segment end that are not known to be zeros. */
function endOfKnown(segment: Segment): number {
  const { length } = segment.mapping!;
  // A reader's copy is of another moment than the file.
  return segment.still ? length : Math.min(length, Math.ceil(segment.stored.endOfData() / 8) * 8);
}

/** Finds the longest valid prefix of one segment; returns why the next frame is not valid. */
export function scanSegment(segment: Segment, pool: SegmentPool): number {
  segment.checked = true;
  const view = pool.view(segment);
  // What a crash left is cold as a rule; a mapping for writing is not read ahead.
  if (!segment.still) segment.mapping!.advise(0, endOfKnown(segment), 'willneed');
  const status = view.recover(frameLimit(segment), segment.footer?.records ?? 0xffffffff);
  segment.noteEnd();
  return status;
}

function isContinuation(before: Segment | undefined, segment: Segment): boolean {
  if (before === undefined) return true;
  return segment.baseLsn === before.lastLsn + 1 && segment.header.basePosition === before.endPosition
    && segment.header.epoch >= before.epoch;
}

/** Walks the segments as far as they are valid and follow on one another. */
function findPrefix(segments: readonly Segment[], pool: SegmentPool, marks: Marks | undefined): Prefix {
  const first = segments[0];
  const prefix: Prefix = {
    at: -1, lastLsn: (marks?.firstLsn ?? first?.baseLsn ?? 1) - 1, offset: FRAMES_OFFSET, status: Status.Ok, scanned: 0,
    epoch: 0,
  };
  // Where the oldest segment is missing, nothing follows on nothing.
  if (first !== undefined && first.baseLsn > prefix.lastLsn + 1) return { ...prefix, status: Status.BadLsn };
  const keepLsn = marks?.truncateLsn;
  for (const [at, segment] of segments.entries()) {
    if (!isContinuation(segments[at - 1], segment)) return { ...prefix, status: Status.BadLsn };
    prefix.at = at;
    prefix.status = Status.Ok;
    if (!segment.synced) {
      prefix.status = scanSegment(segment, pool);
      const view = segment.view!;
      prefix.scanned += view.records;
      // Behind the last frame of a segment without a footer, zeros are what belongs there.
      if (prefix.status === Status.Absent || prefix.status === Status.Ok) {
        if (view.resultOffset !== view.dataEnd) prefix.status = Status.Truncated;
      }
    }
    prefix.lastLsn = segment.lastLsn;
    prefix.offset = segment.dataEnd;
    prefix.epoch = Math.max(prefix.epoch, segment.epoch);
    const whole = segment.footer === undefined || segment.records === segment.footer.records;
    if (!whole || (keepLsn !== undefined && segment.lastLsn >= keepLsn)) return prefix;
    const next = segments[at + 1];
    if (next !== undefined && next.baseLsn !== segment.lastLsn + 1) return prefix;
  }
  return prefix;
}

/** Whether a segment shows that a sync had covered everything before it. */
function showsSync(segment: Segment, pool: SegmentPool): boolean {
  if (segment.synced) return true;
  scanSegment(segment, pool);
  const view = segment.view!;
  if (view.resultDurable > 0) return true;
  view.findLater(FRAMES_OFFSET, frameLimit(segment), 0);
  return view.resultDurable > 0;
}

/** Finds prefix and evidence, and decides. */
export function examine(loaded: Loaded, pool: SegmentPool, marks: Marks | undefined): Finding {
  const { segments } = loaded;
  const prefix = findPrefix(segments, pool, marks);
  const here = segments[prefix.at];
  const later = segments.slice(prefix.at + 1);
  const headless = loaded.headless;
  let restBytes = 0;
  let laterFrames: Evidence['laterFrames'] = 'none';
  if (here !== undefined && !here.synced) {
    const view = pool.view(here);
    const limit = frameLimit(here);
    // Room that was only allocated is not looked at: each page of it would be made first.
    const end = here.footer === undefined ? Math.max(here.dataEnd, Math.min(limit, endOfKnown(here))) : limit;
    restBytes = view.endOfBytes(here.dataEnd, end) - here.dataEnd;
    if (restBytes > 0) {
      const found = view.findLater(here.dataEnd, limit, here.records);
      if (found !== 0) laterFrames = view.resultDurable > here.dataEnd ? 'synced' : 'unsynced';
    }
  }
  const evidence: Evidence = {
    marks: marks === undefined ? 'absent' : marks.durableLsn > prefix.lastLsn ? 'beyond' : 'behind',
    rest: restBytes > 0 ? 'bytes' : 'zeros',
    laterFrames,
    laterSegments: laterEvidence(later, headless, pool, marks),
    truncation: marks?.truncateLsn === undefined ? 'none' : prefix.lastLsn >= marks.truncateLsn ? 'reached' : 'short',
  };
  return {
    ...decide(evidence), evidence, at: prefix.at, lastLsn: prefix.lastLsn, offset: prefix.offset, status: prefix.status,
    restBytes, later, headless, scannedRecords: prefix.scanned, epoch: prefix.epoch,
    durableLsn: marks?.durableLsn ?? 0,
  };
}

function laterEvidence(
  later: readonly Segment[], headless: readonly Headless[], pool: SegmentPool, marks: Marks | undefined,
): Evidence['laterSegments'] {
  // All of them, because of a corrupt log the intact records are read all the same.
  if (later.map((segment) => showsSync(segment, pool)).includes(true)) return 'synced';
  // A header is synced before the marks can cover its records. Without marks, only a blank page is sure to be unsynced.
  const suspicious = headless.some((file) => !file.blank && marks === undefined);
  if (suspicious) return 'synced';
  return later.length > 0 || headless.length > 0 ? 'unsynced' : 'none';
}
