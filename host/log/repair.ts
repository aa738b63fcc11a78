/**
 * Repairing a corrupt log: explicit, and the only thing in varve that gives up records that had been durable.
 *
 * Damaged frames are replaced by placeholders of kind Lost, so that every intact record keeps its LSN and its place;
 * whole files that are gone or cannot be read are replaced by segments of placeholders. What is overwritten is saved in
 * `.cut` files first. A dry run does the same on copies in memory.
 *
 * A crash in between leaves a store that is still corrupt, with the damage that is left, and can be repaired again.
 */
import { join } from 'node:path';
import type { Marks } from '../core/control-page.ts';
import { writeHeader, type HeaderFields } from '../core/segment-file.ts';
import { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET, SEGMENT_BYTES_MAX, Status } from '../generated/abi.ts';
import { ControlFile, requireKind } from './control.ts';
import { loadSegments, type Headless, type Loaded } from './load.ts';
import { segmentName } from './names.ts';
import type { SegmentPool } from './pool.ts';
import { expired, saveCut, setAside } from './recovery.ts';
import type { CutFile } from './report.ts';
import { Segment, type LogContext } from './segment.ts';

/** Records that a repair gave up. */
export interface LostRange {
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Base LSN of the segment, and where in it. */
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** What `RecordLog.repair` did, or would do. */
export interface RepairReport {
  /** Whether anything had to be changed. */
  readonly changed: boolean;
  readonly lost: readonly LostRange[];
  /** Bytes behind the last record that were cut. */
  readonly cutBytes: number;
  /** Files that hold what was overwritten, cut or set aside. */
  readonly cutFiles: readonly CutFile[];
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** What was amiss, in words. */
  readonly because: string;
}

const ALL = 0xffffffff;

export class Repair {
  readonly lost: LostRange[] = [];
  readonly cutFiles: CutFile[] = [];
  cutBytes = 0;
  private readonly context: LogContext;
  private readonly pool: SegmentPool;
  private readonly storeKind: number;
  private readonly dryRun: boolean;

  /** In a dry run the context must be read-only. */
  constructor(context: LogContext, pool: SegmentPool, storeKind: number) {
    this.context = context;
    this.pool = pool;
    this.storeKind = storeKind;
    this.dryRun = context.readOnly;
  }

  /** Goes through the whole store. The caller holds the lock, and opens the log for writing afterwards. */
  run(): { readonly firstLsn: number; readonly lastLsn: number } {
    const { storage, directory } = this.context;
    const control = ControlFile.open(this.context);
    try {
      const identity = control?.identity();
      const marks = identity === undefined ? undefined : control!.page.marks;
      const loaded = loadSegments(this.context, storage.list(directory) ?? [], identity);
      const { segments } = loaded;
      // What another face has written means something else to it; nothing was changed yet.
      const known = identity ?? segments[0]?.header.identity;
      if (known !== undefined) requireKind(directory, known, this.storeKind);
      this.dropExpired(loaded, marks);
      for (let at = 0; at < segments.length; at++) {
        this.repairSegment(segments[at]!, segments[at + 1]);
        this.bridge(loaded, at);
      }
      const firstLsn = segments[0]?.baseLsn ?? marks?.firstLsn ?? 1;
      const lastLsn = segments.at(-1)?.lastLsn ?? firstLsn - 1;
      this.setAsideRest(loaded.headless);
      this.noteMissing(marks, segments, firstLsn, lastLsn);
      if (!this.dryRun && identity !== undefined) this.lowerMarks(control!, marks, firstLsn, segments.at(-1));
      return { firstLsn, lastLsn };
    } finally {
      this.pool.unmountAll();
      control?.close();
    }
  }

  /** Lets go of what an interrupted retention had dropped. */
  private dropExpired(loaded: Loaded, marks: Marks | undefined): void {
    for (const segment of expired(loaded, marks)) {
      loaded.segments.shift();
      segment.closeFile();
    }
  }

  /** Makes every frame of a segment valid, by placeholders where nothing else is left. */
  private repairSegment(segment: Segment, next: Segment | undefined): void {
    const { footer } = segment;
    const follows = next !== undefined && next.header.basePosition >= segment.header.basePosition;
    const end = footer?.dataEnd
      ?? (follows ? next.header.basePosition - segment.header.basePosition + FRAMES_OFFSET : undefined);
    const records = footer?.records ?? (follows ? next.baseLsn - segment.baseLsn : undefined);
    // The whole file is checked, whatever its footer says: mapped as one that may change.
    segment.mayChange = true;
    segment.synced = false;
    segment.still = this.dryRun;
    const view = this.pool.view(segment);
    const limit = Math.min(end ?? view.mapped, view.mapped);
    let changed = false;
    let mended = 0;
    for (;;) {
      const status = view.recover(limit, records ?? ALL);
      const offset = view.resultOffset;
      const known = view.resultRecords;
      if (known === view.records && known === records) break;
      const restEnd = view.endOfBytes(offset, limit);
      if (records === undefined && restEnd === offset && known === view.records) break;
      // Placeholders that are not valid where they stand would be replaced for ever.
      if (offset <= mended) throw unrepairable(segment, offset);
      mended = offset;
      changed = true;
      if (!this.mend(segment, offset, known, limit, records, restEnd, status)) break;
    }
    segment.noteEnd();
    if (changed && !this.dryRun) this.finish(segment, next !== undefined || footer !== undefined);
    this.pool.unmount(segment);
    segment.closeFile();
  }

  /** Deals with one place of damage; whether there may be more behind it. */
  private mend(
    segment: Segment, offset: number, ordinal: number, limit: number, records: number | undefined, restEnd: number,
    status: number,
  ): boolean {
    const view = segment.view!;
    const later = status === Status.BadEpoch ? 0 : view.findLater(offset + 8, limit, ordinal + 1);
    const laterOrdinal = view.resultRecords;
    if (later === 0 && records === undefined) {
      // Nothing follows: a torn tail, or an unfinished batch at the very end.
      const from = Math.min(view.dataEnd, offset);
      this.cutBytes += restEnd - from;
      this.save(segment, from, restEnd - from);
      view.core.memory.bytes.fill(0, view.base + from, view.base + restEnd);
      return false;
    }
    const end = later === 0 ? limit : later;
    const count = (later === 0 ? records! : laterOrdinal) - ordinal;
    if (count === 0 && later === 0) {
      // All records are there, but the last belongs to a batch that never ended: a placeholder cannot end it.
      throw unrepairable(segment, offset);
    }
    this.save(segment, offset, end - offset);
    // The frames of an unfinished batch are valid too: no placeholder behind them may be of an earlier epoch.
    view.setEnd(ordinal, offset, view.epoch);
    const epoch = segment.epochAt(ordinal) || segment.header.epoch;
    if (view.fillLost(offset, end, ordinal, count, epoch) !== Status.Ok) throw unrepairable(segment, offset);
    this.note(segment.baseLsn, ordinal, count, offset, end - offset);
    return true;
  }

  private note(segment: number, ordinal: number, count: number, offset: number, bytes: number): void {
    const firstLsn = segment + ordinal;
    this.lost.push({ firstLsn, lastLsn: firstLsn + count - 1, segment, offset, bytes });
  }

  private save(segment: Segment, offset: number, bytes: number): void {
    if (this.dryRun || bytes === 0) return;
    this.cutFiles.push(saveCut(this.context, segment, offset, bytes, segment.header.epoch));
    this.context.storage.syncDirectoryNow(this.context.directory);
  }

  /** Writes index and footer anew where the segment had or needs them, and syncs it. */
  private finish(segment: Segment, seal: boolean): void {
    segment.stored.syncNow();
    if (!seal) return;
    segment.footer = undefined;
    segment.seal(this.pool, this.context.storage.now());
    segment.trimNow();
    segment.stored.syncNow();
    segment.markSynced();
    segment.stored.syncNow();
  }

  /** Puts a segment of placeholders where files between two segments are missing or unreadable. */
  private bridge(loaded: Loaded, at: number): void {
    const segment = loaded.segments[at]!;
    const next = loaded.segments[at + 1];
    if (next === undefined || next.baseLsn === segment.lastLsn + 1) return;
    const baseLsn = segment.lastLsn + 1;
    const count = next.baseLsn - baseLsn;
    const bytes = next.header.basePosition - segment.endPosition;
    this.setAsideRest(loaded.headless.splice(0).filter((file) => {
      if (file.baseLsn >= baseLsn && file.baseLsn < next.baseLsn) return true;
      loaded.headless.push(file);
      return false;
    }));
    if (count < 0 || bytes < 0 || FRAMES_OFFSET + bytes > SEGMENT_BYTES_MAX) throw unrepairable(next, 0);
    this.note(baseLsn, 0, count, FRAMES_OFFSET, bytes);
    if (!this.dryRun) this.createLost(segment, baseLsn, count, bytes);
  }

  private createLost(before: Segment, baseLsn: number, count: number, bytes: number): void {
    const { storage, directory, core } = this.context;
    const path = join(directory, segmentName(baseLsn));
    const salt = new Uint32Array(1);
    storage.random(new Uint8Array(salt.buffer));
    const header: HeaderFields = {
      ...before.header, baseLsn, basePosition: before.endPosition, capacity: FRAMES_OFFSET + bytes, salt: salt[0]!,
      epoch: before.epoch, createdAt: storage.now(),
    };
    const file = storage.create(path);
    file.allocate(header.capacity);
    const segment = new Segment(this.context, path, header, undefined);
    segment.attach(file);
    const view = this.pool.view(segment);
    writeHeader(core, view.base, header);
    if (view.fillLost(FRAMES_OFFSET, FRAMES_OFFSET + bytes, 0, count, before.epoch) !== Status.Ok) {
      throw unrepairable(segment, FRAMES_OFFSET);
    }
    view.recover(header.capacity, count);
    segment.noteEnd();
    this.finish(segment, true);
    storage.syncDirectoryNow(directory);
    this.pool.unmount(segment);
    segment.closeFile();
  }

  private setAsideRest(files: readonly Headless[]): void {
    if (this.dryRun) return;
    for (const file of files) this.cutFiles.push(setAside(this.context, file.path, file.baseLsn, 0));
    if (files.length > 0) this.context.storage.syncDirectoryNow(this.context.directory);
  }

  /** Records that CONTROL knows to have been durable and of which no file is left. */
  private noteMissing(
    marks: Marks | undefined, segments: readonly Segment[], firstLsn: number, lastLsn: number,
  ): void {
    if (marks === undefined) return;
    if (marks.firstLsn < firstLsn) {
      const { firstLsn: from } = marks;
      this.lost.unshift({ firstLsn: from, lastLsn: firstLsn - 1, segment: from, offset: 0, bytes: 0 });
    }
    if (marks.durableLsn > lastLsn && marks.truncateLsn === undefined) {
      const segment = segments.at(-1)?.baseLsn ?? firstLsn;
      this.lost.push({ firstLsn: lastLsn + 1, lastLsn: marks.durableLsn, segment, offset: 0, bytes: 0 });
    }
  }

  /** Takes back what CONTROL promises of records that are gone; an announced truncation stays announced. */
  private lowerMarks(
    control: ControlFile, marks: Marks | undefined, firstLsn: number, last: Segment | undefined,
  ): void {
    const truncateLsn = marks?.truncateLsn;
    const lastLsn = last?.lastLsn ?? firstLsn - 1;
    control.page.writeMarks({
      durableLsn: Math.min(lastLsn, truncateLsn ?? lastLsn), durablePosition: last?.endPosition ?? 0, firstLsn,
      truncateLsn,
    });
    control.sync();
  }
}

function unrepairable(segment: Segment, offset: number): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT',
    `${segment.path}: the damage at offset ${offset} cannot be bridged; restore a copy, or read what is intact with `
    + 'readOnly: true', { path: segment.path, segment: segment.baseLsn, offset });
}
