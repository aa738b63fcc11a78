/**
 * Making the table of a store that is opened, and keeping a reader's up to date: by the frames of the log, in their order.
 */
import type { RecoveryReport } from '../log/report.ts';
import type { LogSource } from './source.ts';
import type { DamagedRecord, KeyTable } from './table.ts';

/** What opening a store found and did. */
export interface KeyValueRecovery {
  /** What it found of the log. */
  readonly log: RecoveryReport;
  /** Records that are damaged; the gets of their keys say so, as far as it can be told whose they are. */
  readonly damaged: readonly DamagedRecord[];
  /** Records that were taken in one by one. */
  readonly replayed: number;
}

export class TableLoader {
  private readonly source: LogSource;
  private readonly table: KeyTable;
  /** LSN up to which the table holds the log. */
  private applied = 0;
  private generation = 0;

  constructor(source: LogSource, table: KeyTable) {
    this.source = source;
    this.table = table;
  }

  load(): KeyValueRecovery {
    const { source, table } = this;
    const damaged: DamagedRecord[] = [];
    table.damaged = (record) => { damaged.push(record); };
    const { lastLsn } = source;
    this.generation = source.reader?.generation ?? 0;
    let replayed = 0;
    for (const { segment, offset, end, ordinal } of source.runs(0, lastLsn)) {
      table.applyChecked(segment, offset, end, ordinal);
      replayed++;
    }
    this.applied = lastLsn;
    return { log: source.report, damaged, replayed };
  }

  /** Reader: takes in what the writer has done since. */
  catchUp(): void {
    const reader = this.source.reader!;
    reader.refresh();
    if (reader.generation !== this.generation) this.rebuild();
    else if (reader.lastLsn > this.applied || reader.firstLsn > this.first) this.takeNew();
  }

  /** LSN of the first record when it was looked last. */
  private first = 0;

  private takeNew(): void {
    const reader = this.source.reader!;
    let { firstLsn } = reader;
    for (;;) {
      const { lastLsn } = reader;
      for (const { segment, offset, end } of this.source.runs(this.applied + 1, lastLsn)) {
        this.table.apply(segment, offset, end);
      }
      this.applied = lastLsn;
      // What was copied forward before a segment was dropped is committed, but may be behind the end that was seen.
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
    this.generation = this.source.reader!.generation;
    this.takeNew();
  }
}
