/**
 * How a reader takes in what a living writer has committed: from the watermark in CONTROL to records in mapped files.
 *
 * Looking for a record in a segment that ends before it is fatal, because a sealed file is trimmed and a mapped page
 * beyond its end kills the process. So the watermark is believed of the active segment alone; every other segment says
 * itself, by its footer, how far it reaches. A listing that was made while the writer worked may lack a file that lies
 * between two others: then the footer and the next file's name do not meet, and the reader loads again.
 */
import type { ControlFile } from './control.ts';
import { VarveError } from '../errors/varve-error.ts';
import { Status } from '../generated/abi.ts';
import { loadSegments, readFooter } from './load.ts';
import { baseLsnOf } from './names.ts';
import type { SegmentPool } from './pool.ts';
import type { LogContext, Segment } from './segment.ts';
import { statusName, type SegmentSet } from './segments.ts';

/** What a reader knows of a log. */
export interface Known {
  readonly context: LogContext;
  readonly pool: SegmentPool;
  readonly segments: SegmentSet;
  readonly control: ControlFile;
  /** The truncations that it takes into account. */
  readonly generation: number;
}

/**
 * Extends the segments to the watermark; returns the LSN of the last record known then.
 *
 * Errors: ERR_VARVE_TRUNCATED and ERR_VARVE_NOT_FOUND where the segments change meanwhile: load again;
 * ERR_VARVE_CORRUPT, ERR_VARVE_MEMORY_FULL, ERR_VARVE_IO
 */
export function extendToWatermark(known: Known): number {
  const { segments } = known;
  const { page } = known.control;
  // In this order: the writer names the active segment before it commits a record in it.
  const { lsn: committed, segment: active } = page;
  if (segments.last === undefined || active > segments.last.baseLsn) loadNew(known);
  const lsn = uncut(known, committed);
  for (const [at, segment] of segments.list.entries()) {
    const end = Math.min(lsn, (segments.list[at + 1]?.baseLsn ?? Infinity) - 1);
    if (end <= segment.lastLsn) continue;
    if (segment.baseLsn !== active) requireWithin(known, segment, segments.list[at + 1], end);
    extend(known, segment, end);
  }
  return Math.min(lsn, segments.last?.lastLsn ?? 0);
}

/** Whether records are being cut now, or were cut since the reader looked. */
export function isCutting(page: { readonly generation: number } | undefined, generation: number): boolean {
  const now = page?.generation ?? generation;
  return now !== generation || now % 2 !== 0;
}

/** Which of the records up to `lsn`, which was read before the segments were listed, no cut since has touched. */
function uncut({ control, generation: known }: Known, lsn: number): number {
  // The marks come first: they announce a truncation before it takes a file away, until its generation is even.
  const { marks, generation } = control.page;
  if (generation % 2 !== 0 && generation - known <= 1) return Math.min(lsn, marks?.truncateLsn ?? lsn);
  return generation === known ? lsn : -1;
}

function loadNew({ context, segments, control }: Known): void {
  const after = segments.last?.baseLsn ?? 0;
  const names = (context.storage.list(context.directory) ?? []).filter((name) => (baseLsnOf(name) ?? 0) > after);
  for (const segment of loadSegments(context, names, control.identity()).segments) {
    segment.mayChange = true;
    segments.push(segment);
  }
}

/** Refuses to look for a record in a segment that is not the active one, unless its footer says that it is there. */
function requireWithin({ context }: Known, segment: Segment, next: Segment | undefined, lsn: number): void {
  const footer = readFooter(context, segment.stored, segment.header, next?.header);
  if (footer !== undefined && lsn < segment.baseLsn + footer.records) return;
  throw new VarveError('ERR_VARVE_TRUNCATED',
    `${segment.path} does not hold record ${lsn}, but no later segment was found that does; read again`,
    { path: segment.path, segment: segment.baseLsn, lsn });
}

/** Makes the records up to `lsn` of a segment known. */
function extend({ pool, control, generation }: Known, segment: Segment, lsn: number): void {
  const records = lsn - segment.baseLsn + 1;
  if (segment.still || segment.footer !== undefined) {
    segment.still = false;
    segment.footer = undefined;
    segment.mayChange = true;
    pool.unmount(segment);
  }
  let status = pool.view(segment).advance(records);
  if (status === Status.Truncated) {
    // The file has grown since it was mapped.
    pool.unmount(segment);
    status = pool.view(segment).advance(records);
  }
  segment.noteEnd();
  if (status !== Status.Ok && !isCutting(control.page, generation)) {
    throw new VarveError('ERR_VARVE_CORRUPT',
      `${segment.path}: record ${segment.lastLsn + 1} at offset ${segment.dataEnd} was committed but is damaged `
      + `(${statusName(status)})`,
      { path: segment.path, segment: segment.baseLsn, offset: segment.dataEnd, lsn: segment.lastLsn + 1 });
  }
}
