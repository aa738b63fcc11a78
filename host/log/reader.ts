/**
 * The read-only side of a log: no lock, no write, nothing created, on a directory that a writer may have open.
 *
 * A reader touches mapped bytes only below the committed watermark, because a writer may trim what lies behind it at
 * any moment and a mapped page beyond the end of a file kills the process. What no watermark vouches for - the tail
 * that a dead writer left - is therefore read into memory, not mapped, before it is examined.
 *
 * A generation that has risen means that records were cut: the reader forgets all it knew and loads again.
 */
import type { StoreIdentity } from '../core/control-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET } from '../generated/abi.ts';
import { ControlFile, requireKind } from './control.ts';
import { examine, scanSegment, type Finding } from './examine.ts';
import { holdsStore, loadSegments, refuseForeign, type Loaded } from './load.ts';
import type { SegmentPool } from './pool.ts';
import { reportOf, type RecoveryReport } from './report.ts';
import type { LogContext } from './segment.ts';
import { SegmentSet } from './segments.ts';
import { extendToWatermark, isCutting } from './watermark.ts';

/** How often a directory is read again when a writer changes it meanwhile. */
export const ATTEMPTS = 50;

/** Records that are not in the log any more, as a reader notices it. */
export interface LogChange {
  /** `truncate`: records at the end were cut off; `retain`: those before `firstLsn` were dropped. */
  readonly event: 'truncate' | 'retain';
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** How often the files are looked at where there is no CONTROL and so no wake word. */
const POLL_MS = 100;

/** Whether a segment is gone since it was listed, or another file has taken its place. */
export function isMoved(error: unknown): boolean {
  return VarveError.is(error, 'ERR_VARVE_NOT_FOUND') || VarveError.is(error, 'ERR_VARVE_TRUNCATED');
}

export class LogReader {
  readonly segments: SegmentSet;
  readonly report: RecoveryReport;
  /** What was found at opening; absent where a living writer vouches for the log. */
  readonly finding: Finding | undefined;
  private readonly context: LogContext;
  private readonly pool: SegmentPool;
  private readonly control: ControlFile | undefined;
  private readonly storeKind: number;
  /** The truncations that what is known takes into account. */
  generation = 0;
  private known = 0;
  /** The wake word before it was looked last. */
  private wakeSeen = 0;
  /** Told when records were cut off or dropped. */
  noticed: (change: LogChange) => void = () => undefined;
  /** What a dead writer told readers: records that it promised and that were not found are not waited for. */
  private stale = -1;
  private staleFirst = -1;
  /** Epoch of a writer whose process seems to live but whose watermark is not borne out: another one has its id. */
  private impostor = 0;
  private closed = false;

  /** Errors: ERR_VARVE_NOT_FOUND, ERR_VARVE_FOREIGN_DIRECTORY, ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO */
  constructor(context: LogContext, pool: SegmentPool, storeKind: number) {
    this.context = { ...context, current: () => this.isCurrent() };
    this.pool = pool;
    this.storeKind = storeKind;
    const names = this.names();
    this.control = ControlFile.open(context);
    try {
      this.segments = new SegmentSet([], pool, context.core);
      const identity = this.control?.identity();
      this.finding = this.load(names, identity);
      this.report = this.describe(identity !== undefined);
    } catch (error) {
      pool.unmountAll();
      this.control?.close();
      throw error;
    }
  }

  private names(): string[] {
    const { storage, directory } = this.context;
    const names = storage.list(directory);
    if (names === undefined || !holdsStore(names)) {
      if (names !== undefined) refuseForeign(directory, names);
      throw new VarveError('ERR_VARVE_NOT_FOUND',
        `there is no store in ${directory}; check the path, or open it for writing to create one`, { path: directory });
    }
    return names;
  }

  private get page() { return this.control?.page; }

  /** Whether a writer has the store open now, as far as its process can be seen from here. */
  get live(): boolean {
    const writer = this.page?.writer;
    return writer !== undefined && writer.open && writer.epoch !== this.impostor
      && this.context.storage.alive(writer.pid);
  }

  /** Loads until nothing changed meanwhile; what was found where no writer lives. */
  private load(names: string[], identity: StoreIdentity | undefined): Finding | undefined {
    for (let attempt = 1; ; attempt++) {
      this.generation = this.page?.generation ?? 0;
      try {
        const finding = this.loadOnce(names, identity);
        if (this.generation === (this.page?.generation ?? 0)) return finding;
      } catch (error) {
        // A segment that was listed may be gone when it is opened.
        const gone = isMoved(error) && attempt < ATTEMPTS;
        const denied = this.live && (VarveError.is(error, 'ERR_VARVE_CORRUPT') || (isMoved(error) && !gone));
        this.forget();
        if (denied) this.impostor = this.page!.writer!.epoch;
        else if (!gone) throw error;
      }
      this.forget();
      names = this.names();
    }
  }

  private forget(): void {
    for (const segment of [...this.segments.list]) this.segments.drop(segment);
    // No writer's: where loading fails, whoever asks next loads again.
    this.generation = -1;
  }

  private loadOnce(names: string[], identity: StoreIdentity | undefined): Finding | undefined {
    const { directory } = this.context;
    if (identity !== undefined) requireKind(directory, identity, this.storeKind);
    const loaded = loadSegments(this.context, names, identity);
    const header = loaded.segments[0]?.header;
    if (header !== undefined) requireKind(directory, header.identity, this.storeKind);
    const { marks } = identity === undefined ? { marks: undefined } : this.page!;
    const firstLsn = marks?.firstLsn ?? 0;
    this.stale = -1;
    const list = loaded.segments.filter((_, at) => (loaded.segments[at + 1]?.baseLsn ?? Infinity) > firstLsn);
    this.segments.list.push(...list);
    for (const segment of loaded.segments) if (!list.includes(segment)) segment.closeFile();
    const last = list.at(-1);
    if (last !== undefined) last.mayChange = true;
    // A living writer has all segments from the first on.
    const complete = list[0] === undefined || list[0].baseLsn <= firstLsn;
    if (identity !== undefined && this.live && complete) {
      this.known = (last?.baseLsn ?? firstLsn) - 1;
      this.follow();
      return undefined;
    }
    return this.examineStill({ segments: list, headless: loaded.headless }, marks);
  }

  /** Examines copies of what is not known to be whole. */
  private examineStill(loaded: Loaded, marks: Parameters<typeof examine>[2]): Finding {
    this.stale = this.page?.lsn ?? -1;
    this.staleFirst = this.page?.firstLsn ?? -1;
    for (const segment of loaded.segments) segment.still = !segment.synced;
    const finding = examine(loaded, this.pool, marks);
    // Of a log that is only torn, what lies behind the prefix is not part of it; of a corrupt one it may be read.
    for (const segment of finding.later) {
      if (finding.outcome !== 'corrupt') this.segments.drop(segment);
      else if (!segment.synced) scanSegment(segment, this.pool);
    }
    this.known = finding.outcome === 'corrupt' ? this.segments.last?.lastLsn ?? finding.lastLsn : finding.lastLsn;
    return finding;
  }

  /** Whether records are being cut now, or were cut since this reader looked. */
  private get cutting(): boolean { return isCutting(this.page, this.generation); }

  /**
   * Whether no truncation was finished since this reader looked. One that is under way has not given its new files to
   * the writer yet: they have their final length.
   */
  private isCurrent(): boolean {
    const generation = this.page?.generation ?? this.generation;
    return generation === this.generation || (generation === this.generation + 1 && generation % 2 !== 0);
  }

  /** Whether a read failed only because the writer has cut or dropped the record, or is about to. */
  private overtaken(error: unknown): boolean {
    if (!VarveError.is(error, 'ERR_VARVE_CORRUPT') && !isMoved(error)) return false;
    return this.cutting || (this.page?.firstLsn ?? 0) > (this.segments.first?.baseLsn ?? 0);
  }

  /** Reads one record after a refresh: what was cut since then is not in the log any more, and not damaged. */
  reading<T>(lsn: number, read: (segments: SegmentSet) => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = read(this.segments);
        // A truncation that was finished in between has put another file in the place of one that was read.
        const generation = this.page?.generation ?? this.generation;
        if (generation === this.generation || generation % 2 !== 0 || attempt === ATTEMPTS) return result;
        this.refresh();
      } catch (error) {
        if (!this.overtaken(error)) throw error;
        const underWay = this.page!.generation % 2 !== 0;
        if ((underWay && attempt > 2) || attempt === ATTEMPTS) {
          throw new VarveError('ERR_VARVE_OUT_OF_RANGE', `record ${lsn} is being cut from the log`, { lsn }, error);
        }
        if (underWay) this.reload();
        else this.refresh();
      }
    }
  }

  /** What guards a scan: the error where records were cut or dropped since it began. */
  scanGuard(): { readonly before: () => VarveError | undefined; readonly failed: (error: unknown) => unknown } {
    const { generation } = this;
    const cut = (cause?: unknown) => new VarveError('ERR_VARVE_TRUNCATED',
      'records were cut off or dropped while the log was being scanned; start again from firstLsn or lastLsn', {}, cause);
    return {
      before: () => {
        this.refresh();
        return this.generation === generation ? undefined : cut();
      },
      failed: (error) => (this.overtaken(error) ? cut(error) : error),
    };
  }

  /** Takes notice of what the writer has done since; cheap where it has done nothing. */
  refresh(): void {
    const { control } = this;
    if (control === undefined || this.closed) return;
    // Loaded before the rest: whoever waits for it to change misses nothing that comes after.
    this.wakeSeen = control.bell.word;
    const { lsn, firstLsn, generation } = control.page;
    if (generation !== this.generation || generation % 2 !== 0) {
      // While a truncation is under way the reader stays with what it knows; reads re-check every frame.
      if (generation % 2 === 0) this.reloadAfterCut();
      return;
    }
    if (lsn <= this.known && firstLsn <= (this.segments.first?.baseLsn ?? 0)) return;
    // No checksum covers these words: what a dead writer left there is not believed, so that damage hides no record.
    if (lsn === this.stale && firstLsn === this.staleFirst && !this.live) return;
    const before = this.firstLsn;
    // Where the whole of what was known was dropped, segments are missing in between.
    if (firstLsn > (this.segments.last?.baseLsn ?? Infinity)) this.reload();
    else if (lsn > this.known) this.followOrReload();
    if (firstLsn > (this.segments.first?.baseLsn ?? 0)) this.dropExpired(firstLsn);
    if (this.firstLsn > before) this.notice('retain');
  }

  private notice(event: LogChange['event']): void {
    this.noticed({ event, firstLsn: this.firstLsn, lastLsn: this.lastLsn });
  }

  /** A generation may rise without a loss: where a torn tail went that no reader had seen. */
  private reloadAfterCut(): void {
    const { firstLsn, lastLsn } = this;
    const { last } = this.segments;
    // The frame of the last record known before may be gone by now.
    const epoch = last?.lastLsn === lastLsn ? last.epoch : undefined;
    let kept: boolean | undefined;
    for (let attempt = 1; kept === undefined; attempt++) {
      this.reload();
      try {
        kept = lastLsn < this.firstLsn || (lastLsn <= this.lastLsn && this.segments.epochOf(lastLsn) === epoch);
      } catch (error) {
        // A segment that was loaded a moment ago may be gone when its frames are looked at.
        if (!isMoved(error) || attempt === ATTEMPTS) throw error;
      }
    }
    if (this.firstLsn > firstLsn) this.notice('retain');
    if (!kept) this.notice('truncate');
  }

  /** The epoch of a record; `undefined` where it is not there, or is just being cut. */
  epochOf(lsn: number): number | undefined {
    const within = () => lsn >= this.firstLsn && lsn <= this.lastLsn;
    try {
      return this.reading(lsn, (segments) => (within() ? segments.epochOf(lsn) : undefined));
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE')) return undefined;
      throw error;
    }
  }

  /** Resolves when something may have changed since the last `refresh`, at the latest after so many milliseconds. */
  changed(milliseconds: number): Promise<void> {
    if (this.control !== undefined) return this.control.bell.wait(this.wakeSeen, milliseconds);
    return new Promise((resolve) => { setTimeout(resolve, Math.min(milliseconds, POLL_MS)); });
  }

  private followOrReload(): void {
    try {
      this.follow();
    } catch (error) {
      // A segment that was listed may be gone when it is opened.
      if (!isMoved(error)) throw error;
      this.reload();
    }
  }

  private reload(): void {
    this.forget();
    this.load(this.names(), this.control?.identity());
  }

  private dropExpired(firstLsn: number): void {
    const { list } = this.segments;
    while (list.length > 1 && list[1]!.baseLsn <= firstLsn) this.segments.drop(list[0]!);
  }

  /** Extends what is known to the watermark. */
  private follow(): void {
    const { context, pool, segments, generation } = this;
    const known = extendToWatermark({ context, pool, segments, control: this.control!, generation });
    this.known = Math.max(this.known, known);
  }

  /** The store's identity; `undefined` where neither CONTROL nor a segment is intact. */
  get identity(): StoreIdentity | undefined {
    return this.control?.identity() ?? this.segments.first?.header.identity;
  }

  get firstLsn(): number { return this.segments.first?.baseLsn ?? Math.max(1, this.page?.firstLsn ?? 1); }
  get lastLsn(): number { return this.segments.last === undefined ? this.firstLsn - 1 : this.known; }
  get position(): number { return this.segments.last?.endPosition ?? 0; }
  get durableLsn(): number { return Math.min(this.page?.durableLsn ?? 0, this.lastLsn); }

  /** Position just past the last durable record. */
  get durablePosition(): number {
    const lsn = this.durableLsn + 1;
    const segment = this.segments.find(lsn);
    if (segment === undefined) return 0;
    const view = this.pool.view(segment);
    const ordinal = lsn - segment.baseLsn;
    const offset = ordinal < view.records ? Math.max(view.locate(ordinal), FRAMES_OFFSET) : view.dataEnd;
    return segment.header.basePosition + offset - FRAMES_OFFSET;
  }

  private describe(controlValid: boolean): RecoveryReport {
    const { finding, segments, firstLsn, lastLsn } = this;
    const closedCleanly = this.page?.writer?.open === false;
    return reportOf(finding, segments.list, { controlValid, closedCleanly, firstLsn, lastLsn });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.pool.unmountAll();
    for (const segment of this.segments.list) segment.closeFile();
    this.control?.close();
  }
}
