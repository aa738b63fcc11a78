/**
 * Making the table of a store that is opened, and keeping a reader's up to date. A table is taken from `KEYDIR` where
 * that shows the log as it is; else from the hints of the sealed segments and the frames of the others, in the order of
 * the log.
 */
import { join } from 'node:path';
import { KEYDIR_NAME } from '../log/names.ts';
import type { RecoveryReport } from '../log/report.ts';
import type { Segment } from '../log/segment.ts';
import { isUnusable, type IgnoredFile, type Unusable } from './derived-file.ts';
import { readHintFile } from './hint-file.ts';
import { ATTEMPTS, isMoved } from '../log/reader.ts';
import { hintedSegment } from './hints.ts';
import { openKeydirFile } from './keydir-file.ts';
import { Replay } from './replay.ts';
import type { LogSource, Run } from './source.ts';
import type { KeyTable } from './table.ts';
import type { DamagedRecord } from './types.ts';

/** What opening a store found and did. */
export interface KeyValueRecovery {
  /** What it found of the log. */
  readonly log: RecoveryReport;
  /** `loaded`: the key directory was there as the last writer left it; `rebuilt`: it was made anew from the log. */
  readonly keydir: 'loaded' | 'rebuilt';
  /** Segments whose hint files were used instead of their frames. */
  readonly hints: number;
  /** The key directory and hint files that were there and not used, and why. Nothing is lost by it but time. */
  readonly ignored: readonly IgnoredFile[];
  /** Records that are damaged; the gets of their keys say so, as far as it can be told whose they are. */
  readonly damaged: readonly DamagedRecord[];
}

export class TableLoader {
  private readonly source: LogSource;
  private readonly table: KeyTable;
  /** LSN up to which the table holds the log, and of the first record then. */
  private applied = 0;
  private first = 0;
  private generation = 0;

  constructor(source: LogSource, table: KeyTable) {
    this.source = source;
    this.table = table;
  }

  /** Makes the table. */
  load(): KeyValueRecovery {
    const { source, table } = this;
    const damaged: DamagedRecord[] = [];
    const ignored: IgnoredFile[] = [];
    let hints = 0;
    table.damaged = (record) => { damaged.push(record); };
    this.generation = source.generation;
    const { lastLsn, firstLsn } = source;
    const unused = this.loadFile();
    if (unused !== undefined) {
      note(ignored, unused);
      table.adopt();
      const replay = new Replay(source.context, table);
      try {
        for (const run of source.runs(0, lastLsn)) if (this.takeRun(run, replay, ignored)) hints++;
      } catch (error) {
        if (source.reader === undefined || !isMoved(error)) throw error;
        // Dropped by the writer meanwhile: begun again, as it is now.
        hints = 0;
        this.rebuild();
      } finally {
        replay.release();
      }
    }
    this.applied = Math.max(this.applied, lastLsn);
    this.first = Math.max(this.first, firstLsn);
    return { log: source.report, keydir: unused === undefined ? 'loaded' : 'rebuilt', hints, ignored, damaged };
  }

  /** Takes the table from `KEYDIR`; why not, where it does not. */
  private loadFile(): Unusable | undefined {
    const { source, table } = this;
    const file = openKeydirFile(source.context, source.state());
    if (isUnusable(file)) return file;
    // A reader goes on where a segment cannot be read; the table would lead into it.
    const there = (baseLsn: number): boolean => source.segments().find(baseLsn)?.baseLsn === baseLsn;
    const lost = file.segments.find(({ baseLsn }) => baseLsn !== 0 && !there(baseLsn));
    if (lost === undefined) return table.restore(file);
    file.close();
    const path = join(source.context.directory, KEYDIR_NAME);
    return { reason: 'outdated', path, because: `it leads to segment ${lost.baseLsn}, which the log does not have` };
  }

  /** Takes in the run of a segment; whether its hint was used. */
  private takeRun({ segment, offset, end, ordinal }: Run, replay: Replay, ignored: IgnoredFile[]): boolean {
    CANARY: if (globalThis.varveCanary === 'replay' && segment.footer === undefined) return false;
    const whole = ordinal === 0 && end === segment.dataEnd;
    if (whole && this.takeHint(segment, replay, ignored)) return true;
    // What recovery has just looked through need not be checked once more.
    if (segment.checked && this.source.writer !== undefined) {
      if (!whole || !replay.takeFrames(segment)) this.table.apply(segment, offset, end);
    } else this.table.applyChecked(segment, offset, end, ordinal);
    return false;
  }

  private takeHint(segment: Segment, replay: Replay, ignored: IgnoredFile[]): boolean {
    const { source } = this;
    const facts = hintedSegment(segment);
    if (facts === undefined) return false;
    const hints = readHintFile({ ...source.context, identity: source.identity }, facts);
    if (isUnusable(hints)) {
      note(ignored, hints);
      return false;
    }
    try {
      if (replay.takeHints(segment, hints.address, hints.count)) return true;
      // What it said before is said again, in the same order, by the frames.
      ignored.push({ path: segment.path, because: 'its hint leads out of the segment' });
      return false;
    } finally {
      hints.release();
    }
  }

  /** Reader: takes in what the writer has done since. */
  catchUp(): void {
    for (let attempt = 1; ; attempt++) {
      try {
        this.catchUpOnce();
        return;
      } catch (error) {
        // The writer has dropped a segment since the list of them was read. What was taken in is taken in again.
        if (!isMoved(error) || attempt === ATTEMPTS) throw error;
      } finally {
        this.table.letGo();
      }
    }
  }

  private catchUpOnce(): void {
    const reader = this.source.reader!;
    reader.refresh();
    if (reader.generation !== this.generation) this.rebuild();
    else if (reader.lastLsn > this.applied || reader.firstLsn > this.first) this.takeNew();
  }

  private takeNew(): void {
    const reader = this.source.reader!;
    let { firstLsn } = reader;
    for (;;) {
      const { lastLsn } = reader;
      for (const { segment, offset, end } of this.source.runs(this.applied + 1, lastLsn)) {
        this.table.apply(segment, offset, end);
      }
      this.applied = lastLsn;
      // What was copied forward before a segment was dropped is committed, but may lie behind the end that was seen.
      reader.refresh();
      if (reader.lastLsn === lastLsn && reader.firstLsn === firstLsn) break;
      ({ firstLsn } = reader);
    }
    if (firstLsn > this.first) this.table.dropMissing();
    this.first = firstLsn;
  }

  /** Records were cut off: what the table holds of them cannot be told apart. */
  private rebuild(): void {
    this.table.reset();
    this.applied = 0;
    this.first = 0;
    this.generation = this.source.generation;
    this.catchUp();
  }
}

function note(ignored: IgnoredFile[], { reason, path, because }: Unusable): void {
  // After a crash, and in a new store, there is none, or one of before.
  if (reason !== 'absent') ignored.push({ path, because });
}
