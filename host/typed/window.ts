/**
 * The part of a typed store's file that is mapped into the core: a range of the core's memory that is reserved for as
 * long as the store is open, and stays where it is while the file grows under it. A file that is larger than the range
 * is seen through it part by part.
 *
 * Invariant: no byte behind the room for `capacity` records is ever mapped as a record.
 */
import { type CoreMemory, RANGE_ALIGNMENT, rangeBytes } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';
import type { Mapping, StoredFile } from '../io/storage.ts';

/** Reserved where nothing else is asked for. */
export const RESERVED_BYTES = 256 << 20;
/** A record of 64 KiB that begins just before the end of the first 64 KiB must fit. */
export const RESERVED_BYTES_MIN = 2 * RANGE_ALIGNMENT;
/** From here on a quarter of the range shows what lies before the record that was asked for. */
const BACKWARD_FROM = 16 * RANGE_ALIGNMENT;

/** Where the records of a file lie. */
export interface RecordPlaces {
  readonly recordsOffset: number;
  readonly stride: number;
}

/** A range of the core's memory. */
interface Range { readonly address: number; readonly length: number }

/** Reserves what was asked for; else what the file needs, or as much of that as there is. */
function reserve(memory: CoreMemory, needed: number, asked: number | undefined): Range {
  let length = rangeBytes(asked === undefined ? Math.max(RESERVED_BYTES, needed) : Math.max(RESERVED_BYTES_MIN, asked));
  for (;;) {
    try {
      return { address: memory.reserve(length), length };
    } catch (error) {
      const smaller = rangeBytes(length / 2);
      const fits = asked === undefined && VarveError.is(error, 'ERR_VARVE_MEMORY_FULL') && smaller >= RESERVED_BYTES_MIN;
      if (!fits) throw error;
      length = smaller;
    }
  }
}

export class RecordWindow {
  private readonly memory: CoreMemory;
  private readonly file: StoredFile;
  private readonly places: RecordPlaces;
  private readonly writable: boolean;
  private readonly range: Range;
  private mapping: Mapping | undefined;
  /** Where in the file the range begins. */
  private offset = 0;
  private firstIndex = 0;
  private roomCount = 0;

  /**
   * Reserves a range and maps the first records into it.
   *
   * @param reserved bytes of the range; where not given, 256 MiB or what the file needs, less where there is no room
   */
  constructor(
    memory: CoreMemory, file: StoredFile, places: RecordPlaces, writable: boolean, capacity: number,
    reserved: number | undefined,
  ) {
    this.memory = memory;
    this.file = file;
    this.places = places;
    this.writable = writable;
    this.range = reserve(memory, this.endOf(capacity), reserved);
    try {
      this.map(0, capacity);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Index of the first record that is mapped whole. */
  get first(): number { return this.firstIndex; }
  /** Records from there on that the mapped part has room for. */
  get room(): number { return this.roomCount; }
  /** Address of the first of them. */
  get base(): number { return this.range.address + this.startOf(this.firstIndex) - this.offset; }
  /** Address of the byte behind the last. */
  get end(): number { return this.base + this.roomCount * this.places.stride; }

  contains(index: number): boolean {
    return index >= this.firstIndex && index < this.firstIndex + this.roomCount;
  }

  /** Shows the part of the file that `index`, one of `capacity` records, is in. */
  moveTo(index: number, capacity: number): void {
    const start = this.startOf(index);
    const backward = this.range.length < BACKWARD_FROM ? 0 : this.range.length / 4;
    // No further than the end of the file needs.
    const last = Math.max(0, Math.ceil((this.endOf(capacity) - this.range.length) / RANGE_ALIGNMENT));
    const wanted = Math.max(0, Math.floor((start - backward) / RANGE_ALIGNMENT));
    this.map(Math.min(wanted, last) * RANGE_ALIGNMENT, capacity);
  }

  /** Shows more of the same part, now that there is room for `capacity` records. */
  extend(capacity: number): void {
    const mapped = this.offset + (this.mapping?.length ?? 0);
    if (mapped < this.offset + this.range.length) this.map(this.offset, capacity);
  }

  /**
   * Makes the pages of record `index`, which is shown, and of some bytes behind it ready to be stored to: at once they
   * cost less than a fault each. Returns the index of the first record behind them.
   */
  makeReady(index: number, bytes: number): number {
    const { stride } = this.places;
    const mapping = this.mapping!;
    const from = this.startOf(index) - this.offset;
    const to = Math.min(from + Math.max(bytes, stride), mapping.length);
    mapping.populate(from, to - from);
    return index + Math.floor((to - from) / stride);
  }

  /** Takes the file out and gives the range back. */
  release(): void {
    this.mapping?.unmap();
    this.mapping = undefined;
    this.roomCount = 0;
    this.memory.release(this.range.address, this.range.length);
  }

  private map(offset: number, capacity: number): void {
    const { recordsOffset, stride } = this.places;
    const length = Math.min(this.range.length, this.endOf(capacity) - offset);
    // A new mapping at the same address takes the place of the old one at once.
    this.mapping = this.file.map(this.memory, this.range.address, length, this.writable ? 'write' : 'read', offset);
    this.offset = offset;
    this.firstIndex = Math.max(0, Math.ceil((offset - recordsOffset) / stride));
    this.roomCount = Math.max(0, Math.floor((offset + length - this.startOf(this.firstIndex)) / stride));
  }

  private startOf(index: number): number {
    return this.places.recordsOffset + index * this.places.stride;
  }

  private endOf(capacity: number): number {
    return this.startOf(capacity);
  }
}
