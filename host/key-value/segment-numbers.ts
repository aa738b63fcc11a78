/**
 * The numbers that segments have in a key directory, and its accounts of them.
 *
 * Invariants: what the table points at has a number; the core knows of each where it is mapped now; a number is given
 * anew only when nothing points at it any more.
 */
import type { SegmentAccount } from '../core/keydir-file.ts';
import type { Keydir } from '../core/keydir.ts';
import { VarveError } from '../errors/varve-error.ts';
import { KEYDIR_SEGMENTS_MAX } from '../generated/abi.ts';
import type { PoolListener } from '../log/pool.ts';
import type { Segment } from '../log/segment.ts';
import type { TableLog } from './table.ts';

export class SegmentNumbers implements PoolListener {
  /** Base LSNs by number; 0 for a number that is free. */
  readonly baseLsns: number[] = [];
  private readonly dir: Keydir;
  private readonly log: TableLog;
  private readonly numbers = new Map<number, number>();
  private readonly free: number[] = [];
  /** The segment whose number was asked for last. */
  private latest: Segment | undefined;
  private latestNumber = 0;

  constructor(dir: Keydir, log: TableLog) {
    this.dir = dir;
    this.log = log;
  }

  /** The number of a segment, which gets one where it has none. Errors: ERR_VARVE_MEMORY_FULL */
  of(segment: Segment): number {
    if (segment !== this.latest) {
      this.latestNumber = this.numbers.get(segment.baseLsn) ?? this.take(segment);
      this.latest = segment;
    }
    return this.latestNumber;
  }

  /** The segment of a number; `undefined` where the log has it no more. */
  segment(number: number): Segment | undefined {
    const baseLsn = this.baseLsns[number] ?? 0;
    const segment = baseLsn === 0 ? undefined : this.log.segments().find(baseLsn);
    return segment?.baseLsn === baseLsn ? segment : undefined;
  }

  /** Gives numbers to the segments of the log that have none yet. */
  adopt(): void {
    for (const segment of this.log.segments().list) if (!this.numbers.has(segment.baseLsn)) this.take(segment);
  }

  /** Takes over the numbers that `KEYDIR` has kept; other segments get new ones. */
  restore(accounts: readonly SegmentAccount[]): void {
    for (const [number, account] of accounts.entries()) {
      const segment = account.baseLsn === 0 ? undefined : this.log.segments().find(account.baseLsn);
      if (segment?.baseLsn === account.baseLsn) {
        this.number(segment, number, account.liveBytes, account.liveRecords);
      } else {
        this.baseLsns[number] = 0;
        this.free.push(number);
      }
    }
    this.adopt();
  }

  private take(segment: Segment): number {
    const number = this.free.pop() ?? this.baseLsns.length;
    if (number === KEYDIR_SEGMENTS_MAX) {
      throw new VarveError('ERR_VARVE_MEMORY_FULL',
        `a key-value store has at most ${KEYDIR_SEGMENTS_MAX} segments; compact it, or copy it to a store with larger `
        + 'ones', { path: this.log.context.directory });
    }
    this.number(segment, number, 0, 0);
    return number;
  }

  private number(segment: Segment, number: number, liveBytes: number, liveRecords: number): void {
    this.numbers.set(segment.baseLsn, number);
    this.baseLsns[number] = segment.baseLsn;
    this.dir.openSegment(number, liveBytes, liveRecords);
    if (segment.view !== undefined) this.dir.setView(number, segment.view.at);
  }

  /** Takes out the segments that the log has dropped; whether the table points at some of them, and is to be purged. */
  dropMissing(): boolean {
    const kept = new Set(this.log.segments().list.map((segment) => segment.baseLsn));
    let isPointedAt = false;
    for (const [number, baseLsn] of this.baseLsns.entries()) {
      if (baseLsn === 0 || kept.has(baseLsn)) continue;
      isPointedAt ||= this.dir.liveRecords(number) > 0;
      this.dir.dropSegment(number);
      this.numbers.delete(baseLsn);
      this.baseLsns[number] = 0;
      this.free.push(number);
      this.latest = undefined;
    }
    return isPointedAt;
  }

  /** Whether no segment has a number. */
  isFree(number: number): boolean {
    return (this.baseLsns[number] ?? 0) === 0;
  }

  /** Says that nothing is alive in any segment. */
  clearAccounts(): void {
    for (const [number, baseLsn] of this.baseLsns.entries()) {
      if (baseLsn === 0) continue;
      this.dir.openSegment(number);
      const view = this.segment(number)?.view;
      if (view !== undefined) this.dir.setView(number, view.at);
    }
  }

  /** Forgets all segments. */
  clear(): void {
    this.numbers.clear();
    this.baseLsns.length = 0;
    this.free.length = 0;
    this.latest = undefined;
  }

  mounted(segment: Segment): void {
    const number = this.numbers.get(segment.baseLsn);
    if (number !== undefined) this.dir.setView(number, segment.view!.at);
  }

  unmounted(segment: Segment): void {
    const number = this.numbers.get(segment.baseLsn);
    if (number !== undefined) this.dir.setView(number, 0);
  }

  used(segment: Segment): boolean {
    const number = this.numbers.get(segment.baseLsn);
    return number !== undefined && this.dir.takeUsed(number);
  }
}
