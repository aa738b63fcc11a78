/**
 * Columns: the numbers of one field over many records. Each record is read in one state; the column as a whole is not a
 * snapshot where others write meanwhile.
 */
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import type { FieldAccessor } from './access.ts';
import type { Fields, RecordOf } from './schema.ts';

/** Names of the fields that have numbers. */
export type NumericFields<F extends Fields> = {
  [K in keyof F]: RecordOf<F>[K] extends number | bigint ? K : never
}[keyof F] & string;

/** Which records: `from` to `to`, both included. Default: all that are there. */
export interface ColumnRange {
  readonly from?: number;
  readonly to?: number;
}

/** How `count` and `where` compare. NaN is not equal to itself, and neither less nor greater than anything. */
export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

const COMPARISONS: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b, '!=': (a, b) => a !== b, '<': (a, b) => a < b, '<=': (a, b) => a <= b, '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/** One field's numbers. All methods throw ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE and what `get` throws. */
export class Column {
  readonly name: string;
  private readonly accessor: FieldAccessor<unknown>;
  private readonly length: () => number;

  constructor(accessor: FieldAccessor<unknown>, length: () => number) {
    this.name = accessor.name;
    this.accessor = accessor;
    this.length = length;
  }

  /** Their sum, added up in order; 0 of none. */
  sum(range?: ColumnRange): number {
    let sum = 0;
    this.visit(range, (value) => { sum += value; });
    return sum;
  }

  /** The least; NaN where one of them is, `Infinity` of none, as `Math.min`. */
  min(range?: ColumnRange): number {
    let least = Infinity;
    this.visit(range, (value) => { least = Math.min(least, value); });
    return least;
  }

  /** The greatest; NaN where one of them is, `-Infinity` of none, as `Math.max`. */
  max(range?: ColumnRange): number {
    let most = -Infinity;
    this.visit(range, (value) => { most = Math.max(most, value); });
    return most;
  }

  /** Their sum divided by their number; NaN of none. */
  mean(range?: ColumnRange): number {
    const { from, to } = this.bounds(range);
    return this.sum({ from, to }) / (to + 1 - from);
  }

  /** How many compare so with a value. */
  count(comparison: Comparison, value: number, range?: ColumnRange): number {
    return this.where(comparison, value, range).length;
  }

  /** The indices of those that compare so with a value, ascending. */
  where(comparison: Comparison, value: number, range?: ColumnRange): Uint32Array {
    if (typeof value !== 'number') throw wrongType('value', 'a number', value);
    if (!Object.hasOwn(COMPARISONS, comparison)) {
      throw outOfRange('comparison', Object.keys(COMPARISONS).join(', '), comparison);
    }
    const holds = COMPARISONS[comparison];
    const { from, to } = this.bounds(range);
    const found = new Uint32Array(Math.max(to + 1 - from, 0));
    let count = 0;
    this.visit({ from, to }, (number, index) => {
      if (holds(number, value)) found[count++] = index;
    });
    return found.slice(0, count);
  }

  /** All of them, copied. */
  toFloat64Array(range?: ColumnRange): Float64Array {
    const { from, to } = this.bounds(range);
    const values = new Float64Array(Math.max(to + 1 - from, 0));
    this.visit({ from, to }, (value, index) => { values[index - from] = value; });
    return values;
  }

  private visit(range: ColumnRange | undefined, visit: (value: number, index: number) => void): void {
    const { from, to } = this.bounds(range);
    const { accessor } = this;
    for (let index = from; index <= to; index++) visit(Number(accessor.get(index)), index);
  }

  private bounds(range: ColumnRange = {}): { readonly from: number; readonly to: number } {
    if (typeof range !== 'object' || range === null) throw wrongType('range', '{ from, to }', range);
    const last = this.length() - 1;
    const { from = 0, to = last } = range;
    for (const [name, value] of [['range.from', from], ['range.to', to]] as const) {
      if (typeof value !== 'number') throw wrongType(name, 'a number', value);
    }
    if (!Number.isInteger(from) || from < 0 || from > last + 1) {
      throw outOfRange('range.from', `an integer from 0 to ${last + 1}`, from);
    }
    if (!Number.isInteger(to) || to < from - 1 || to > last) {
      throw outOfRange('range.to', `an integer from ${from - 1} to ${last}`, to);
    }
    return { from, to };
  }
}
