/**
 * A store's key directory with what belongs to it: the range of its table, the numbers of the log's segments, the heap
 * of what expires, and the snapshots that are told what was replaced. Taking records in is the core's work; here is
 * done what it asks for meanwhile.
 */
import { usedBytes, type LogState } from '../core/keydir-file.ts';
import { Keydir } from '../core/keydir.ts';
import { RANGE_ALIGNMENT, rangeBytes } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';
import {
  FRAME_HEADER_BYTES, KEYDIR_ENTRY_BYTES, KEYDIR_HINT_BYTES, KEYDIR_SEGMENTS_MAX, KEYDIR_SEGMENT_BYTES, KEYDIR_SPARE,
  Status,
} from '../generated/abi.ts';
import type { SegmentPool } from '../log/pool.ts';
import type { LogContext, Segment } from '../log/segment.ts';
import { corruptFrame, type SegmentSet } from '../log/segments.ts';
import { looksLikeClear, placeBehind, type FramePlace } from './damaged-frames.ts';
import type { Unusable } from './derived-file.ts';
import { ExpiryHeap, locationOf, offsetOf, segmentOf } from './expiry.ts';
import { writeKeydirFile, type KeydirFile } from './keydir-file.ts';
import { SegmentNumbers } from './segment-numbers.ts';
import type { DamagedRecord } from './types.ts';

/** Address space for a table: this part of what is free, so that it seldom has to move. */
const RESERVED_PART = 8;
const LEAST_TABLE_BYTES = 4 * RANGE_ALIGNMENT;
/** The table grows where it is, to twice its slots at most, so a range must have room for that. */
const GROWTH = 2;
/** Segments that are mapped for one call at a time: keys of one hash are two, and now and then three. */
const HELD_MAX = 4;
/** Entries of what expires that are looked at for each new one. */
const SWEPT = 2;

/** What is known of a snapshot under way. */
export interface SnapshotState {
  /** Locations of records that were their keys' newest when it began, and are not any more. */
  readonly replaced: Set<number>;
  /** Segments that it has still to look through; none of them may be dropped. */
  readonly segments: Set<Segment>;
}

/** The log that a table is of. */
export interface TableLog {
  readonly context: LogContext;
  readonly pool: SegmentPool;
  segments(): SegmentSet;
}

export class KeyTable {
  readonly dir: Keydir;
  expiry = new ExpiryHeap();
  /** Snapshots under way. */
  readonly snapshots = new Set<SnapshotState>();
  /** Told of each record that a replay finds damaged. */
  damaged: (record: DamagedRecord) => void = () => undefined;
  /** Whether a replay takes damaged records for such that have never been. */
  passesOver = false;
  private readonly log: TableLog;
  private range: { readonly address: number; readonly length: number };
  private readonly listAddress: number;
  private readonly numbers: SegmentNumbers;
  /** Segments that a call of the core needs at once. */
  private readonly held: Segment[] = [];
  /** The file that the table is mapped from. */
  private file: KeydirFile | undefined;
  private released = false;

  /** The hash's key is the store's id. Errors: ERR_VARVE_MEMORY_FULL */
  constructor(log: TableLog, idLow: bigint, idHigh: bigint) {
    const { core, storage } = log.context;
    this.log = log;
    this.listAddress = core.memory.reserve(KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    storage.discard(core.memory, this.listAddress, KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    try {
      this.range = this.reserve(0);
    } catch (error) {
      core.memory.release(this.listAddress, KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
      throw error;
    }
    this.dir = new Keydir(core, this.listAddress, idLow, idHigh);
    this.dir.place(this.range.address, this.range.length);
    this.dir.reset();
    this.numbers = new SegmentNumbers(this.dir, log);
    log.pool.listen(this.numbers);
  }

  /** Takes a range for a table of at least so many bytes; it holds zeros. */
  private reserve(bytes: number): { readonly address: number; readonly length: number } {
    const { core: { memory }, storage } = this.log.context;
    const least = Math.max(LEAST_TABLE_BYTES, rangeBytes(bytes * GROWTH));
    const part = Math.floor(memory.largestFree() / RESERVED_PART / RANGE_ALIGNMENT) * RANGE_ALIGNMENT;
    const length = Math.max(least, part);
    const address = memory.reserve(length);
    storage.discard(memory, address, length);
    storage.adviseHuge(memory, address, length);
    return { address, length };
  }

  /** Moves the table, which its range has no room for any more, to a larger one. */
  private enlarge(): void {
    const { core: { memory }, storage } = this.log.context;
    const { address, length } = this.range;
    const range = this.reserve(length);
    memory.bytes.copyWithin(range.address, address, address + usedBytes(this.dir));
    this.dir.place(range.address, range.length);
    this.range = range;
    this.closeFile();
    storage.discard(memory, address, length);
    memory.release(address, length);
  }

  /** Takes out the file that the table was mapped from; its range must be given back, or filled anew. */
  private closeFile(): void {
    this.file?.close();
    this.file = undefined;
  }

  /** Bytes of the table that are used. */
  get bytes(): number { return (this.dir.slots + KEYDIR_SPARE) * KEYDIR_ENTRY_BYTES; }
  /** Keys, those that have expired and were not removed yet among them. */
  get count(): number { return this.dir.count; }

  /** The number of a segment. */
  numberOf(segment: Segment): number {
    return this.numbers.of(segment);
  }

  /** The segment of a number; `undefined` where the log has it no more. */
  segmentOf(number: number): Segment | undefined {
    return this.numbers.segment(number);
  }

  /** Gives numbers to the segments of the log that have none yet. */
  adopt(): void {
    this.numbers.adopt();
  }

  /**
   * Takes out the segments that the log has dropped. Nothing points at them in a writer's table; in that of a reader
   * who was far behind, what does is dead.
   */
  dropMissing(): void {
    if (this.numbers.dropMissing()) this.dir.purge();
    // Their numbers are given anew.
    this.expiry.removeAll((location) => this.numbers.isFree(segmentOf(location)));
  }

  /** Takes in what was just committed: frames of [offset, end) of a mapped segment. */
  apply(segment: Segment, offset: number, end: number): void {
    if (this.snapshots.size > 0) {
      this.applyEach(segment, offset, end);
      return;
    }
    const status = this.dir.apply(this.numberOf(segment), offset, end, 0, false);
    if (status !== Status.Ok) this.applyRest(segment, end, false, status, 0);
  }

  /** Takes frames in that nobody vouches for; damaged ones are told of. */
  applyChecked(segment: Segment, offset: number, end: number, ordinal: number): void {
    const status = this.dir.apply(this.numberOf(segment), offset, end, ordinal, true);
    if (status !== Status.Ok) this.applyRest(segment, end, true, status, ordinal);
  }

  /** Does what a run that ended early needs, and goes on with it, to its end. */
  private applyRest(segment: Segment, end: number, check: boolean, why: number, first: number): void {
    const { dir, log: { pool } } = this;
    const number = this.numberOf(segment);
    let status = why;
    let ordinal = first + dir.records;
    pool.hold(segment);
    try {
      while (status !== Status.Ok) {
        let { offset } = dir;
        if (status === Status.Clear) {
          this.clear();
          offset += FRAME_HEADER_BYTES;
          ordinal++;
        } else if (status === Status.Unmapped || status === Status.Full || status === Status.Expires) {
          this.serve(status, number);
        } else {
          if (!check) throw corruptFrame(segment, offset, segment.baseLsn + ordinal, status);
          ({ offset, ordinal } = this.skip(segment, { offset, ordinal }, end));
        }
        if (offset >= end) return;
        status = dir.apply(number, offset, end, ordinal, check);
        ordinal += dir.records;
        if (dir.records > 0) this.letGo();
      }
    } finally {
      this.letGo();
      pool.release(segment);
    }
  }

  /** Takes in the entries of a hint; false where one of them leads out of the segment. */
  applyHints(segment: Segment, address: number, count: number): boolean {
    const { dir, log: { pool } } = this;
    const number = this.numberOf(segment);
    pool.hold(segment);
    try {
      for (let taken = 0; taken < count;) {
        const status = dir.applyHints(number, address + taken * KEYDIR_HINT_BYTES, count - taken);
        taken += dir.records;
        if (dir.records > 0) this.letGo();
        if (status === Status.Clear) {
          this.clear();
          taken++;
        } else if (status === Status.Unmapped || status === Status.Full || status === Status.Expires) {
          this.serve(status, number);
        } else if (status !== Status.Ok) {
          return false;
        }
      }
      return true;
    } finally {
      this.letGo();
      pool.release(segment);
    }
  }

  /** Does what a call of the core asked for before it can go on. */
  serve(status: number, number: number): void {
    const { dir } = this;
    if (status === Status.Expires) {
      this.expiry.push(dir.expiresAt, locationOf(number, dir.offset - dir.stride));
      this.sweepExpiry(1);
    } else if (status === Status.Full) {
      const { slots } = dir;
      // Where there was room, it is keys of one hash that are too many.
      const crowded = slots * GROWTH + KEYDIR_SPARE < dir.room;
      if (crowded) throw new VarveError('ERR_VARVE_MEMORY_FULL', 'too many keys of this store have the same hash');
      this.enlarge();
    } else {
      this.map(dir.segment);
    }
  }

  /**
   * Maps the segment of a number; one that is gone is taken out of the table. It stays mapped until `letGo`: keys of
   * one hash lie in several segments, of which mapping one could otherwise cost another, for ever.
   */
  map(number: number): void {
    const { pool } = this.log;
    const segment = this.segmentOf(number);
    if (segment === undefined) {
      this.dropMissing();
      // Whoever asks again must not find it again.
      this.dir.dropSegment(number);
      this.dir.purge();
      return;
    }
    pool.hold(segment);
    if (this.held.push(segment) > HELD_MAX) pool.release(this.held.shift()!);
  }

  /** Whoever has called `map` needs the segments no more. */
  letGo(): void {
    for (const segment of this.held.splice(0)) this.log.pool.release(segment);
  }

  /** Passes over a damaged frame; where it can be told whose it is, that key's gets say so. Returns what comes next. */
  private skip(segment: Segment, place: FramePlace, end: number): FramePlace {
    const { dir, log: { context: { core } } } = this;
    const { offset, ordinal } = place;
    const next = placeBehind(core, segment, place, end);
    for (let lost = ordinal; lost < next.ordinal; lost++) {
      this.damaged({ path: segment.path, segment: segment.baseLsn, offset, lsn: segment.baseLsn + lost });
    }
    if (this.passesOver) return next;
    if (looksLikeClear(core, segment, offset)) {
      this.clear();
      return next;
    }
    const number = this.numberOf(segment);
    for (;;) {
      const status = dir.applyDamaged(number, offset, next.offset - offset);
      if (status !== Status.Unmapped && status !== Status.Full) return next;
      this.serve(status, number);
    }
  }

  /** Takes frames in one by one, and tells the snapshots what they replaced. */
  private applyEach(segment: Segment, from: number, end: number): void {
    const { dir } = this;
    const number = this.numberOf(segment);
    const { unsigned } = this.log.context.core.memory;
    this.log.pool.hold(segment);
    try {
      for (let offset = from; offset < end;) {
        const next = offset + ((unsigned[(segment.view!.base + offset) / 4 + 1]! + 7) & ~7);
        const status = dir.apply(number, offset, next, 0, false);
        const retry = status === Status.Unmapped || status === Status.Full;
        if (status === Status.Ok || status === Status.Expires) this.noteReplaced();
        if (status === Status.Clear) this.clear();
        else if (retry || status === Status.Expires) this.serve(status, number);
        else if (status !== Status.Ok) throw corruptFrame(segment, offset, 0, status);
        if (retry) continue;
        this.letGo();
        offset = next;
      }
    } finally {
      this.letGo();
      this.log.pool.release(segment);
    }
  }

  private noteReplaced(): void {
    CANARY: if (globalThis.varveCanary === 'undo') return;
    const { replaced } = this.dir;
    if (replaced !== undefined) this.tell(locationOf(replaced.segment, replaced.offset));
  }

  /** Tells the snapshots that a record is not the newest of its key any more. */
  tell(location: number): void {
    for (const { replaced } of this.snapshots) replaced.add(location);
  }

  /** Empties the table. */
  private clear(): void {
    const { core: { memory }, storage } = this.log.context;
    if (this.snapshots.size > 0) {
      for (const { segment, offset } of this.dir.entries()) this.tell(locationOf(segment, offset));
    }
    this.closeFile();
    storage.discard(memory, this.range.address, this.range.length);
    storage.adviseHuge(memory, this.range.address, this.range.length);
    this.dir.reset();
    this.numbers.clearAccounts();
    this.expiry.clear();
  }

  /** Begins anew, with no key and no segment. */
  reset(): void {
    this.clear();
    this.numbers.clear();
  }

  /** Removes stale ones of what expires: enough that so many new ones do not make them more and more. */
  sweepExpiry(added: number): void {
    this.expiry.sweep(this.isStale, added * SWEPT);
  }

  /** Where the segment is not mapped, that is not worth mapping it: what is stale goes with the segment. */
  private readonly isStale = (location: number): boolean => (this.numbers.isFree(segmentOf(location))
    || this.dir.holds({ segment: segmentOf(location), offset: offsetOf(location) }) === 0);

  /** Removes what has expired by `now`. */
  expire(now: number): void {
    this.expiry.popDue(now, this.expireAt);
  }

  private readonly expireAt = (location: number, expiresAt: number): void => {
    const place = { segment: segmentOf(location), offset: offsetOf(location) };
    if (this.segmentOf(place.segment) === undefined) return;
    while (this.dir.expire(place, expiresAt) === Status.Unmapped) this.map(place.segment);
    this.letGo();
  };

  /** Takes over the table of `KEYDIR`, into an empty one; why not, where it cannot be used, and then it is empty. */
  restore(file: KeydirFile): Unusable | undefined {
    const { core: { memory } } = this.log.context;
    if (file.tableBytes * GROWTH > this.range.length) {
      memory.release(this.range.address, this.range.length);
      this.range = this.reserve(file.tableBytes);
      this.dir.place(this.range.address, this.range.length);
    }
    const unusable = file.mapTable(this.range.address, this.range.length);
    if (unusable !== undefined) return unusable;
    this.file = file;
    this.dir.state = file.state;
    this.numbers.restore(file.segments);
    this.expiry = ExpiryHeap.restore(file.expiry);
    return undefined;
  }

  /**
   * Writes the table to `KEYDIR`, for the next opening. All of the log must be durable.
   *
   * Errors: ERR_VARVE_DISK_FULL, ERR_VARVE_IO
   */
  save(log: LogState): void {
    const expiry = new Uint8Array(this.expiry.bytes);
    this.expiry.serialise(expiry);
    writeKeydirFile(this.log.context, { log, keydir: this.dir, segments: this.numbers.baseLsns, expiry });
  }

  /** Gives everything back. */
  release(): void {
    if (this.released) return;
    this.released = true;
    this.log.pool.ignore(this.numbers);
    const { core: { memory }, storage } = this.log.context;
    this.closeFile();
    storage.discard(memory, this.range.address, this.range.length);
    memory.release(this.range.address, this.range.length);
    storage.discard(memory, this.listAddress, KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    memory.release(this.listAddress, KEYDIR_SEGMENTS_MAX * KEYDIR_SEGMENT_BYTES);
    this.dir.release();
  }
}
