/**
 * The log under a key-value store, opened for writing or for reading, and the table that knows its records: taking in
 * what a reader has not seen yet, and giving everything back.
 */
import type { StoreIdentity } from '../core/control-page.ts';
import type { LogState } from '../core/keydir-file.ts';
import type { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET, STORE_KIND_KEY_VALUE, Status } from '../generated/abi.ts';
import type { Follower } from '../log/follower.ts';
import { Followers } from '../log/followers.ts';
import { openReader, openWriter } from '../log/open.ts';
import type { SegmentPool } from '../log/pool.ts';
import type { LogReader } from '../log/reader.ts';
import type { RecoveryReport } from '../log/report.ts';
import { Scanner } from '../log/scanner.ts';
import type { LogContext, Segment } from '../log/segment.ts';
import { corruptFrame, type SegmentSet } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import { KeyTable } from './table.ts';

/** What opening needs of the options. */
export interface SourceOptions {
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly segmentBytes: number;
  readonly mappedBytesMax: number;
}

/** The part of a segment that lies between two records. */
export interface Run {
  readonly segment: Segment;
  readonly offset: number;
  readonly end: number;
  /** Of the first record in its segment. */
  readonly ordinal: number;
}

export class LogSource {
  readonly context: LogContext;
  readonly pool: SegmentPool;
  readonly writer: LogWriter | undefined;
  readonly reader: LogReader | undefined;
  readonly report: RecoveryReport;
  private readonly followers = new Followers();

  constructor(context: LogContext, options: SourceOptions) {
    this.context = context;
    const storeKind = STORE_KIND_KEY_VALUE;
    if (options.readOnly) {
      const { reader, pool } = openReader(context, options.mappedBytesMax, storeKind);
      this.pool = pool;
      this.reader = reader;
      this.writer = undefined;
      this.report = reader.report;
    } else {
      const { writer, pool, report } = openWriter(context, { ...options, storeKind, syncLater: true });
      this.pool = pool;
      this.reader = undefined;
      this.writer = writer;
      this.report = report;
    }
  }

  segments(): SegmentSet { return (this.writer ?? this.reader!).segments; }
  get firstLsn(): number { return (this.writer ?? this.reader!).firstLsn; }
  get lastLsn(): number { return (this.writer ?? this.reader!).lastLsn; }
  get durableLsn(): number { return (this.writer ?? this.reader!).durableLsn; }

  get identity(): StoreIdentity { return (this.writer ?? this.reader!).identity!; }
  /** Changes with each truncation. */
  get generation(): number { return this.writer === undefined ? this.reader!.generation : this.writer.page.generation; }

  /** The state of the log, as `KEYDIR` names it. */
  state(): LogState {
    const log = this.writer ?? this.reader!;
    const { firstLsn, lastLsn, position } = log;
    const epoch = lastLsn < firstLsn ? 0 : log.epochOf(lastLsn) ?? 0;
    return { identity: this.identity, firstLsn, lastLsn, position, generation: this.generation, epoch };
  }

  /** The runs that hold the records from `from` to `to`, mapped one at a time as they are asked for. */
  * runs(from: number, to: number): Generator<Run, void> {
    const list = [...this.segments().list];
    for (const [at, segment] of list.entries()) {
      if (segment.baseLsn > to) return;
      if ((list[at + 1]?.baseLsn ?? Infinity) <= from) continue;
      const view = this.pool.view(segment);
      const first = Math.max(from, segment.baseLsn) - segment.baseLsn;
      const last = Math.min(to, segment.baseLsn + view.records - 1) - segment.baseLsn;
      if (first > last) continue;
      // An index that was made anew knows no place of damaged records, but where the first one stands is known.
      const offset = first === 0 ? FRAMES_OFFSET : view.locate(first);
      const end = last + 1 < view.records ? view.locate(last + 1) : view.dataEnd;
      if (offset < 0 || end < 0) throw corruptFrame(segment, 0, segment.baseLsn + first, Status.BadIndex);
      yield { segment, offset, end, ordinal: first };
    }
  }

  /** Bytes of all frames, and of those that the table points at. */
  account(table: KeyTable): { readonly bytes: number; readonly liveBytes: number } {
    let bytes = 0;
    let liveBytes = 0;
    for (const segment of this.segments().list) {
      segment.noteEnd();
      bytes += segment.dataEnd - FRAMES_OFFSET;
      liveBytes += table.dir.liveBytes(table.numberOf(segment));
    }
    return { bytes, liveBytes };
  }

  /** Follows the log from `from` on. Errors: ERR_VARVE_OUT_OF_RANGE */
  follow(from: number | undefined, signal: AbortSignal | undefined): Follower {
    const log = this.writer ?? this.reader!;
    return this.followers.start(log, {
      from: from ?? log.lastLsn + 1, durable: false, signal,
      scan: (begin, end) => {
        const guard = this.reader?.scanGuard();
        return new Scanner(this.segments(), {
          from: begin, to: end, reverse: false, view: false, ended: () => guard?.before(), failed: guard?.failed,
        });
      },
    });
  }

  /** Ends those who follow. */
  stopFollowers(error: VarveError): void {
    this.followers.stop(error);
  }

  /** Waits for the sync under way and closes the log. */
  async close(): Promise<void> {
    this.reader?.close();
    await this.writer?.close();
  }

  /** Closes the log, blocking. */
  closeNow(): void {
    this.reader?.close();
    this.writer?.closeNow();
  }

  /** A table for this log, empty. */
  makeTable(): KeyTable {
    const { idLow, idHigh } = this.identity;
    return new KeyTable({ context: this.context, pool: this.pool, segments: () => this.segments() }, idLow, idHigh);
  }
}
