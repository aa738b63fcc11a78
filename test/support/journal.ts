/**
 * What a log must hold after its writer was killed, from the journal that the writer kept (children/victim.mjs): every
 * record whose append returned, and of the operation that was under way all or nothing.
 */
import { expect } from 'vitest';
import type { LogRecord, RecordLog } from '../../host/index.ts';
import { keyOf, kindOf, payloadOf } from '../process/children/records.mjs';

/** Which operation appended a record, and its index there. */
interface Origin { readonly serial: number; readonly index: number }

type Pending =
  | { readonly what: 'append'; readonly serial: number; readonly count: number }
  | { readonly what: 'truncateAfter'; readonly lsn: number }
  | { readonly what: 'truncateBefore'; readonly lsn: number };

const text = new TextDecoder();

/** Whether a record is the one that the operation appended. */
function isFrom(record: LogRecord, { serial, index }: Origin): boolean {
  return record.kind === kindOf(serial, index) && text.decode(record.key) === keyOf(serial, index)
    && Buffer.compare(record.payload, payloadOf(serial, index)) === 0;
}

export class Journal {
  /** Serial number of the last operation that was begun. */
  serial = 0;
  /** Operations that have returned. */
  returned = 0;
  private firstLsn = 1;
  private origins: Origin[] = [];
  private pending: Pending | undefined;

  /** Takes in what the writer has noted; a line that was not finished does not count. */
  apply(journal: string): void {
    for (const line of journal.split('\n').slice(0, -1)) {
      const [word, ...rest] = line.split(' ');
      const [first = 0, second = 0] = rest.map(Number);
      this.applyLine(word!, first, second);
    }
  }

  private applyLine(word: string, first: number, second: number): void {
    if (word === 'open') expect([first, second], 'what the writer found').toEqual([this.firstLsn, this.lastLsn]);
    else if (word === 'append') this.pending = { what: 'append', serial: this.serial = first, count: second };
    else if (word === 'truncateAfter' || word === 'truncateBefore') this.pending = { what: word, lsn: first };
    else this.finish(word, first);
  }

  private finish(word: string, lsn: number): void {
    const { pending } = this;
    this.pending = undefined;
    this.returned++;
    if (word === 'appended' && pending?.what === 'append') {
      expect(lsn).toBe(this.lastLsn + 1);
      this.append(pending);
    } else if (word === 'truncated' && pending?.what === 'truncateAfter') {
      this.origins.length = pending.lsn - this.firstLsn + 1;
    } else if (word === 'dropped') {
      this.dropBefore(lsn);
    } else {
      throw new Error(`the journal says '${word}' of nothing`);
    }
  }

  private append({ serial, count }: { readonly serial: number; readonly count: number }): void {
    for (let index = 0; index < count; index++) this.origins.push({ serial, index });
  }

  private dropBefore(lsn: number): void {
    this.origins.splice(0, lsn - this.firstLsn);
    this.firstLsn = lsn;
  }

  get lastLsn(): number {
    return this.firstLsn + this.origins.length - 1;
  }

  /** Takes what the log shows of the operation that was under way; fails where that is not all or nothing. */
  private settle(log: RecordLog): void {
    const { pending } = this;
    if (pending?.what === 'append' && log.lastLsn > this.lastLsn) this.append(pending);
    if (pending?.what === 'truncateAfter' && log.lastLsn < this.lastLsn) {
      // Without recovery, an interrupted truncation may show any length in between.
      const lastLsn = log.readOnly ? Math.max(log.lastLsn, pending.lsn) : pending.lsn;
      this.origins.length = lastLsn - this.firstLsn + 1;
    }
    if (pending?.what === 'truncateBefore' && log.firstLsn > this.firstLsn) {
      expect(log.firstLsn).toBeLessThanOrEqual(pending.lsn);
      this.dropBefore(log.firstLsn);
    }
  }

  /** Compares every record of a log; opened for writing, what it shows is what counts from now on. */
  compare(log: RecordLog): void {
    const before = { firstLsn: this.firstLsn, origins: [...this.origins] };
    this.settle(log);
    expect([log.firstLsn, log.lastLsn], `first and last LSN after ${JSON.stringify(this.pending)}`)
      .toEqual([this.firstLsn, this.lastLsn]);
    let lsn = this.firstLsn;
    for (const record of log.scan()) {
      const origin = this.origins[record.lsn - this.firstLsn]!;
      if (record.lsn !== lsn || !isFrom(record, origin)) {
        expect.fail(`record ${record.lsn} at ${lsn} is not record ${origin.index} of operation ${origin.serial}`);
      }
      lsn++;
    }
    expect(lsn).toBe(this.lastLsn + 1);
    if (log.readOnly) Object.assign(this, before);
    else this.pending = undefined;
  }
}
