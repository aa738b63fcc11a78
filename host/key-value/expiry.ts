/**
 * What expires when: a binary heap of (expiresAt, location) with the earliest at the top, in two Float64Arrays.
 *
 * - A location is segment number * 2^32 + offset / 8 of the record that expires: an exact integer.
 * - An entry stays when its record is replaced or deleted; it is *stale* then, and whoever pops it asks the table
 *   whether the record is still what its key leads to. `sweep` removes stale entries, some at a time.
 * - In bytes: pairs of f64, little-endian, in the order of the heap; the order of equal times means nothing.
 */
import { VarveError } from '../errors/varve-error.ts';

const FIRST_CAPACITY = 64;
/** Room is given back where less than one part of so many is used. */
const SHRINK = 8;
const OFFSET_RANGE = 2 ** 32;
const ALIGNMENT = 8;
/** Bytes of an entry in the serialised form. */
export const EXPIRY_ENTRY_BYTES = 16;

/** The location of a record, by the number of its segment and the offset of its frame there. */
export function locationOf(segment: number, offset: number): number {
  return segment * OFFSET_RANGE + offset / ALIGNMENT;
}

/** The number of the segment of a location. */
export function segmentOf(location: number): number {
  return Math.floor(location / OFFSET_RANGE);
}

/** The offset of the frame of a location, in bytes. */
export function offsetOf(location: number): number {
  return (location % OFFSET_RANGE) * ALIGNMENT;
}

export class ExpiryHeap {
  private times = new Float64Array(FIRST_CAPACITY);
  private locations = new Float64Array(FIRST_CAPACITY);
  private count = 0;
  /** The entry that `sweep` looks at next. */
  private cursor = 0;

  /** Entries, stale ones included. */
  get size(): number {
    return this.count;
  }

  /** When the earliest entry is due, in milliseconds since 1970; Infinity where there is none. */
  get nextAt(): number {
    return this.count === 0 ? Infinity : this.times[0]!;
  }

  /** The location of the earliest entry; only where there is one. */
  get next(): number {
    return this.locations[0]!;
  }

  /** Adds an entry. */
  push(expiresAt: number, location: number): void {
    if (this.count === this.times.length) this.resize(this.count * 2);
    this.rise(this.count++, expiresAt, location);
  }

  /** Removes the earliest entry and returns its location; only where there is one. */
  pop(): number {
    const location = this.locations[0]!;
    const last = --this.count;
    if (last > 0) this.sink(0, this.times[last]!, this.locations[last]!);
    return location;
  }

  /**
   * Removes what is due at `now`, the earliest first, and tells of each before; what `due` throws leaves that one.
   *
   * @param most entries that are removed at most, so that no call takes long; what is left is due still
   * @returns how many were removed
   */
  popDue(now: number, due: (location: number, expiresAt: number) => void, most = Infinity): number {
    let removed = 0;
    while (removed < most && this.count > 0 && this.times[0]! <= now) {
      due(this.locations[0]!, this.times[0]!);
      // Not before: what it could not be done with is due still.
      this.pop();
      removed++;
    }
    return removed;
  }

  /**
   * Looks at the next few entries, wherever they stand, and removes those that are stale. Called at each push with a
   * number above 1, it keeps the entries at a small multiple of those that stand for records, without ever taking long.
   */
  sweep(isStale: (location: number) => boolean, most: number): void {
    for (let looked = 0; looked < most && this.count > 0; looked++) {
      if (this.cursor >= this.count) this.cursor = 0;
      if (isStale(this.locations[this.cursor]!)) this.remove(this.cursor);
      else this.cursor++;
    }
    this.giveBack();
  }

  /** Removes all entries that are stale, in time linear in the size. */
  removeAll(isStale: (location: number) => boolean): void {
    const { times, locations, count } = this;
    let kept = 0;
    for (let at = 0; at < count; at++) {
      if (isStale(locations[at]!)) continue;
      times[kept] = times[at]!;
      locations[kept++] = locations[at]!;
    }
    if (kept === count) return;
    this.count = kept;
    this.order();
    this.giveBack();
  }

  private giveBack(): void {
    if (this.count * SHRINK < this.times.length && this.times.length > FIRST_CAPACITY) this.resize(this.count * 2);
  }

  private remove(at: number): void {
    const expiresAt = this.times[--this.count]!;
    const location = this.locations[this.count]!;
    if (at === this.count) return;
    if (expiresAt < this.times[at]!) this.rise(at, expiresAt, location);
    else this.sink(at, expiresAt, location);
  }

  /** Removes all entries. */
  clear(): void {
    this.count = 0;
    this.resize(FIRST_CAPACITY);
  }

  /** Bytes of the serialised form. */
  get bytes(): number {
    return this.count * EXPIRY_ENTRY_BYTES;
  }

  /** Writes the serialised form at `at` of `target`, which has room for it; returns its bytes. */
  serialise(target: Uint8Array, at = 0): number {
    const view = new DataView(target.buffer, target.byteOffset + at, this.bytes);
    for (let i = 0; i < this.count; i++) {
      view.setFloat64(i * EXPIRY_ENTRY_BYTES, this.times[i]!, true);
      view.setFloat64(i * EXPIRY_ENTRY_BYTES + 8, this.locations[i]!, true);
    }
    return this.bytes;
  }

  /**
   * The heap of a serialised form. Its order is made anew where it is not one of a heap.
   *
   * Errors: ERR_VARVE_CORRUPT where the bytes cannot be what `serialise` wrote
   */
  static restore(bytes: Uint8Array): ExpiryHeap {
    const heap = new ExpiryHeap();
    const count = bytes.length / EXPIRY_ENTRY_BYTES;
    if (!Number.isInteger(count)) throw corrupt(`${bytes.length} bytes are no whole entries`);
    heap.resize(Math.max(FIRST_CAPACITY, count));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < count; i++) {
      const expiresAt = view.getFloat64(i * EXPIRY_ENTRY_BYTES, true);
      const location = view.getFloat64(i * EXPIRY_ENTRY_BYTES + 8, true);
      // NaN would stop all that lies below it from ever being due.
      if (!(expiresAt > 0 && expiresAt <= Number.MAX_SAFE_INTEGER && location >= 0 && Number.isSafeInteger(location))) {
        throw corrupt(`entry ${i} is (${expiresAt}, ${location})`);
      }
      heap.times[i] = expiresAt;
      heap.locations[i] = location;
    }
    heap.count = count;
    heap.order();
    return heap;
  }

  /** Makes a heap of entries in any order. */
  private order(): void {
    for (let at = (this.count >> 1) - 1; at >= 0; at--) this.sink(at, this.times[at]!, this.locations[at]!);
  }

  /** Puts an entry where it belongs, on the way from `at` to the top. */
  private rise(from: number, expiresAt: number, location: number): void {
    const { times, locations } = this;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (times[parent]! <= expiresAt) break;
      times[at] = times[parent]!;
      locations[at] = locations[parent]!;
      at = parent;
    }
    times[at] = expiresAt;
    locations[at] = location;
  }

  /** Puts an entry where it belongs, on the way from `at` to the bottom. */
  private sink(from: number, expiresAt: number, location: number): void {
    const { times, locations, count } = this;
    let at = from;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= count) break;
      if (child + 1 < count && times[child + 1]! < times[child]!) child++;
      if (times[child]! >= expiresAt) break;
      times[at] = times[child]!;
      locations[at] = locations[child]!;
      at = child;
    }
    times[at] = expiresAt;
    locations[at] = location;
  }

  private resize(capacity: number): void {
    const { times, locations } = this;
    this.times = new Float64Array(Math.max(FIRST_CAPACITY, capacity));
    this.locations = new Float64Array(Math.max(FIRST_CAPACITY, capacity));
    this.times.set(times.subarray(0, this.count));
    this.locations.set(locations.subarray(0, this.count));
  }
}

function corrupt(what: string): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT', `the expiry entries are damaged: ${what}`, {});
}
