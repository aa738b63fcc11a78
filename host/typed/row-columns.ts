/**
 * Columns of records that are only good as a whole: of stores with checksums, where each record is verified, and of
 * rings, where each must still be the one that was asked for. The core copies the values out; what is made of them is
 * made here.
 *
 * A range that begins nowhere begins at the oldest record of a ring, and where that is overwritten before its turn, at
 * the oldest then. A range that begins at a given record has it, or there is an error.
 */
import { VALUES_MAX } from '../core/typed-view.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { MASK_OFFSET, Outcome, Status, VALUES_OFFSET } from '../generated/abi.ts';
import { Column, wantedOf, type ColumnRange, type Comparison } from './columns.ts';

function outcomeOf(value: number, other: number): number {
  if (value < other) return Outcome.Less;
  if (value > other) return Outcome.Greater;
  return value === other ? Outcome.Equal : Outcome.Unordered;
}

/** Errors as `Column`, and ERR_VARVE_CORRUPT, ERR_VARVE_OUT_OF_RANGE (records of a given range were overwritten). */
export class RowColumn extends Column {
  override sum(range?: ColumnRange): number {
    let sum = 0;
    this.visit(range, (value) => { sum += value; });
    return sum;
  }

  override min(range?: ColumnRange): number {
    let least = Infinity;
    this.visit(range, (value) => { least = Math.min(least, value); });
    return least;
  }

  override max(range?: ColumnRange): number {
    let most = -Infinity;
    this.visit(range, (value) => { most = Math.max(most, value); });
    return most;
  }

  override mean(range?: ColumnRange): number {
    let sum = 0;
    let count = 0;
    this.visit(range, (value) => {
      sum += value;
      count++;
    });
    return sum / count;
  }

  override count(comparison: Comparison, value: number, range?: ColumnRange): number {
    const wanted = wantedOf(comparison, value);
    let found = 0;
    this.visit(range, (each) => { found += (outcomeOf(each, value) & wanted) === 0 ? 0 : 1; });
    return found;
  }

  override where(comparison: Comparison, value: number, range?: ColumnRange): Uint32Array | Float64Array {
    const wanted = wantedOf(comparison, value);
    const found: number[] = [];
    this.visit(range, (each, index) => { if ((outcomeOf(each, value) & wanted) !== 0) found.push(index); });
    return this.file.isRing ? Float64Array.from(found) : Uint32Array.from(found);
  }

  override toFloat64Array(range?: ColumnRange): Float64Array {
    const { from, to } = this.bounds(range);
    const values = new Float64Array(to + 1 - from);
    let count = 0;
    this.visit(range, (value) => { values[count++] = value; }, to, () => { values[count++] = NaN; });
    return count === values.length ? values : values.slice(0, count);
  }

  /**
   * Calls `look` for the values of a range, in their order.
   *
   * @param last the last record, where it was found out before
   * @param pass is called for the nulls among them
   */
  private visit(
    range: ColumnRange | undefined, look: (value: number, index: number) => void, last?: number, pass?: () => void,
  ): void {
    const { from, to } = this.bounds(range);
    const { file: { view }, presence } = this;
    const { bytes, doubles } = view.core.memory;
    const end = last ?? to;
    let next = from;
    while (next <= end) {
      const done = view.gatherRows(this.type, this.offset, presence, next, Math.min(end + 1 - next, VALUES_MAX));
      for (let at = 0; at < done; at++) {
        if (presence === 0 || bytes[MASK_OFFSET + at] === 1) look(doubles[VALUES_OFFSET / 8 + at]!, next + at);
        else pass?.();
      }
      next += done;
      const status = view.takeStatus();
      if (status === Status.Ok) continue;
      if (status === Status.OutOfRange && this.file.isRing && range?.from === undefined) {
        next = Math.max(next, this.file.first);
        if (next <= end) this.file.moveTo(next);
      } else {
        this.answers.settle(status, next, this.name);
      }
    }
  }

  protected override bounds(range: ColumnRange = {}): { readonly from: number; readonly to: number } {
    if (!this.file.isRing) return super.bounds(range);
    if (typeof range !== 'object' || range === null) throw wrongType('range', '{ from, to }', range);
    const last = this.answers.length() - 1;
    const { from = Math.min(this.file.first, last + 1), to = last } = range;
    for (const [name, value] of [['range.from', from], ['range.to', to]] as const) {
      if (typeof value !== 'number') throw wrongType(name, 'a number', value);
    }
    if (!Number.isInteger(from) || from < 0 || from > last + 1) {
      throw outOfRange('range.from', `an integer from 0 to ${last + 1}`, from);
    }
    // Where the ring has moved on since `to` was found out, a range that begins nowhere is empty.
    const least = range.from === undefined ? -1 : from - 1;
    if (!Number.isInteger(to) || to < least || to > last) {
      throw outOfRange('range.to', `an integer from ${least} to ${last}`, to);
    }
    return { from: Math.min(from, to + 1), to };
  }
}
