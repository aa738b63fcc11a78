/**
 * Taking whole segments into a table that is made anew, fast: their records are listed first, brought into the order of
 * their hashes, and then taken in, so that one part of the table after the other is touched. The first of them tell how
 * many keys the rest will bring, so that the table grows once for all of them.
 *
 * The lists need memory. Where there is none, or where a record clears the store, which nothing may pass, the caller
 * takes the records in as they come.
 */
import { rangeBytes } from '../core/memory.ts';
import { HINTS_MAX } from '../core/keydir.ts';
import { VarveError } from '../errors/varve-error.ts';
import { KEYDIR_HINT_BYTES, VALUES_OFFSET } from '../generated/abi.ts';
import type { LogContext, Segment } from '../log/segment.ts';
import type { KeyTable } from './table.ts';

/** Fewer records do not pay for it. */
const LEAST_RECORDS = 64;
/** This part of the records tells of the rest. */
const SAMPLE_PART = 64;

/** A range of the core's memory. */
interface Range { readonly address: number; readonly length: number }

export class Replay {
  private readonly context: LogContext;
  private readonly table: KeyTable;
  private listed: Range | undefined;
  private ordered: Range | undefined;

  constructor(context: LogContext, table: KeyTable) {
    this.context = context;
    this.table = table;
  }

  /**
   * Takes in the records of a mapped segment, all of which were checked; false where not all of them were taken.
   */
  takeFrames(segment: Segment): boolean {
    const view = segment.view!;
    const { records, dataEnd } = view;
    if (records < LEAST_RECORDS) return false;
    const range = this.listed = this.room(this.listed, records);
    if (range === undefined) return false;
    const { table: { dir }, context: { core: { memory: { bytes } } } } = this;
    const number = this.table.numberOf(segment);
    let to = range.address;
    for (let ordinal = 0; ordinal < records; ordinal += HINTS_MAX) {
      const next = ordinal + HINTS_MAX;
      const end = next < records ? view.locate(next) : dataEnd;
      const size = dir.hints(number, view.locate(ordinal), end) * KEYDIR_HINT_BYTES;
      if (dir.offset !== end) return false;
      bytes.copyWithin(to, VALUES_OFFSET, VALUES_OFFSET + size);
      to += size;
    }
    return this.takeHints(segment, range.address, (to - range.address) / KEYDIR_HINT_BYTES);
  }

  /**
   * Takes in hints of a segment that stand at an address, in their order or another one that comes to the same.
   *
   * @returns false where one of them leads out of the segment, and then not all of them were taken
   */
  takeHints(segment: Segment, address: number, count: number): boolean {
    const { table } = this;
    const { dir } = table;
    const range = count < LEAST_RECORDS ? undefined : this.ordered = this.room(this.ordered, count);
    if (range === undefined || !dir.order(address, count, range.address)) {
      return table.applyHints(segment, address, count);
    }
    // They have the lowest hashes of all, so they tell how often a key comes, too.
    const sample = Math.ceil(count / SAMPLE_PART);
    // Where there is no room for that, the table grows on as it must.
    dir.reserve(dir.count + Math.round(dir.newHashes(range.address, sample) * count / sample));
    return table.applyHints(segment, range.address, count);
  }

  /** A range with room for so many hints: this one, or a larger one; `undefined` where the memory has none. */
  private room(range: Range | undefined, count: number): Range | undefined {
    const { core: { memory }, storage } = this.context;
    const length = rangeBytes(count * KEYDIR_HINT_BYTES);
    if (range !== undefined && range.length >= length) return range;
    this.discard(range);
    try {
      const address = memory.reserve(length);
      storage.discard(memory, address, length);
      storage.adviseHuge(memory, address, length);
      return { address, length };
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_MEMORY_FULL')) return undefined;
      throw error;
    }
  }

  private discard(range: Range | undefined): void {
    if (range === undefined) return;
    const { core: { memory }, storage } = this.context;
    storage.discard(memory, range.address, range.length);
    memory.release(range.address, range.length);
  }

  /** Gives the lists back. */
  release(): void {
    this.discard(this.listed);
    this.discard(this.ordered);
    this.listed = this.ordered = undefined;
  }
}
