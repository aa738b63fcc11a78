/**
 * What a log must hold after its writer was killed, from the journal that the writer kept (children/victim.mjs): every
 * record whose append returned, and of the operation that was under way all or nothing.
 */
import { expect } from 'vitest';
import type { LogRecord, RecordLog } from '../../host/index.ts';
import { keyOf, kindOf, payloadOf } from '../process/children/records.mjs';

/** Which operation appended a record, and its index there. */
interface Origin { readonly serial: number; readonly index: number }

/** Words of the journal that append a record or a batch, those that take records away, and those that do neither. */
const APPENDS = ['append', 'batch', 'large'];
const CUTS = ['truncateAfter', 'truncateBefore', 'retain'];
const QUIET = ['sync', 'rotate', 'close'];

interface Pending {
  readonly what: string;
  /** What was appended. */
  readonly serial: number;
  readonly count: number;
  /** The last LSN that stays; or one at or above the new first. */
  readonly lsn: number;
}

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
  /** Records that were compared. */
  compared = 0;
  private firstLsn = 1;
  private origins: Origin[] = [];
  private pending: Pending | undefined;
  /** Whether an opening was begun that has not returned; what was pending before is pending still. */
  private opening = false;

  /** Takes in what the writer has noted; a line that was not finished does not count. */
  apply(journal: string): void {
    for (const line of journal.split('\n').slice(0, -1)) {
      const [word, ...rest] = line.split(' ');
      const [first = 0, second = 0] = rest.map(Number);
      this.applyLine(word!, first, second);
    }
  }

  /** The operation that was under way when the writer noted something last. */
  get underWay(): string | undefined {
    return this.opening ? 'open' : this.pending?.what;
  }

  private applyLine(word: string, first: number, second: number): void {
    if (APPENDS.includes(word)) this.begin(word, { serial: this.serial = first, count: second });
    else if (CUTS.includes(word)) this.begin(word, { lsn: first });
    else if (QUIET.includes(word)) this.begin(word, {});
    else if (word === 'opening') this.opening = true;
    else if (word === 'open') this.opened(first, second);
    else this.finish(word, first);
  }

  private begin(what: string, fields: Partial<Pending>): void {
    this.pending = { what, serial: 0, count: 0, lsn: 0, ...fields };
  }

  /** Takes in what a writer found when it had recovered. */
  private opened(firstLsn: number, lastLsn: number): void {
    this.settle({ firstLsn, lastLsn, readOnly: false });
    expect([firstLsn, lastLsn], 'what the writer found').toEqual([this.firstLsn, this.lastLsn]);
    this.pending = undefined;
    this.opening = false;
  }

  private finish(word: string, lsn: number): void {
    const { pending } = this;
    this.pending = undefined;
    this.returned++;
    if (word === 'appended' && pending !== undefined) {
      expect(lsn).toBe(this.lastLsn + 1);
      this.append(pending);
    } else if (word === 'truncated' && pending?.what === 'truncateAfter') {
      this.origins.length = pending.lsn - this.firstLsn + 1;
    } else if (word === 'dropped') {
      this.dropBefore(lsn);
    } else if (word !== 'done' || !QUIET.includes(pending?.what ?? '')) {
      throw new Error(`the journal says '${word}' of nothing`);
    }
  }

  private append({ serial, count }: Pending): void {
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
  private settle(log: Pick<RecordLog, 'firstLsn' | 'lastLsn' | 'readOnly'>): void {
    const { pending } = this;
    if (pending === undefined) return;
    if (APPENDS.includes(pending.what) && log.lastLsn > this.lastLsn) this.append(pending);
    if (pending.what === 'truncateAfter' && log.lastLsn < this.lastLsn) {
      // Without recovery, an interrupted truncation may show any length in between.
      const lastLsn = log.readOnly ? Math.max(log.lastLsn, pending.lsn) : pending.lsn;
      this.origins.length = lastLsn - this.firstLsn + 1;
    }
    if ((pending.what === 'truncateBefore' || pending.what === 'retain') && log.firstLsn > this.firstLsn) {
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
    this.compared += lsn - this.firstLsn;
    if (log.readOnly) Object.assign(this, before);
    else Object.assign(this, { pending: undefined, opening: false });
  }
}
