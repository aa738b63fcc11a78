/**
 * Columns: the numbers of one field over many records. Each record is read in one state; the column as a whole is not a
 * snapshot where others write meanwhile.
 */
import { VALUES_MAX, type TypedView } from '../core/typed-view.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { Fold, Outcome, Status, VALUES_OFFSET, type FieldType } from '../generated/abi.ts';
import type { Answers } from './answers.ts';
import type { PlacedField } from './layout.ts';
import { TYPE_NUMBERS, type Fields, type RecordOf } from './schema.ts';
import type { TypedFile } from './typed-file.ts';

/** Names of the fields that have numbers, or null. */
export type NumericFields<F extends Fields> = {
  [K in keyof F]: RecordOf<F>[K] extends number | bigint | null ? K : never
}[keyof F] & string;

/** Which records: `from` to `to`, both included. Default: all that are there. */
export interface ColumnRange {
  readonly from?: number;
  readonly to?: number;
}

/** How `count` and `where` compare. NaN is not equal to itself, and neither less nor greater than anything. */
export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

const { Less, Equal, Greater, Unordered } = Outcome;
/** What a value may be, seen from the other one, to be counted. */
const WANTED: Readonly<Record<Comparison, number>> = {
  '=': Equal, '!=': Less | Greater | Unordered, '<': Less, '<=': Less | Equal, '>': Greater, '>=': Greater | Equal,
};

/**
 * One field's numbers. Where it may be null, those that are null do not take part: they are neither summed up nor
 * counted, and compare in no way.
 *
 * All methods throw ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_CONTENTION and ERR_VARVE_CLOSED.
 */
export class Column {
  readonly name: string;
  protected readonly file: TypedFile;
  protected readonly answers: Answers;
  protected readonly type: FieldType;
  protected readonly offset: number;
  /** The bit of a record that says whether there is a value; 0 where there always is. */
  protected readonly presence: number;

  constructor(file: TypedFile, answers: Answers, { name, type, offset, presence }: PlacedField) {
    this.name = name;
    this.file = file;
    this.answers = answers;
    this.type = TYPE_NUMBERS[type];
    this.offset = offset;
    this.presence = presence;
  }

  /** Their sum, added up in order; 0 of none. */
  sum(range?: ColumnRange): number {
    return this.fold(range, Fold.Sum, 0).result;
  }

  /** The least; NaN where one of them is, `Infinity` of none, as `Math.min`. */
  min(range?: ColumnRange): number {
    return this.fold(range, Fold.Min, Infinity).result;
  }

  /** The greatest; NaN where one of them is, `-Infinity` of none, as `Math.max`. */
  max(range?: ColumnRange): number {
    return this.fold(range, Fold.Max, -Infinity).result;
  }

  /** Their sum divided by their number; NaN of none. */
  mean(range?: ColumnRange): number {
    const { result, values } = this.fold(range, Fold.Sum, 0);
    return result / values;
  }

  /** How many compare so with a value. */
  count(comparison: Comparison, value: number, range?: ColumnRange): number {
    const wanted = wantedOf(comparison, value);
    const { file: { view }, type, offset, presence } = this;
    let found = 0;
    this.walk(range, (from, count) => {
      found += presence === 0 ? view.count(type, offset, from, count, wanted, value)
        : view.countNullable(type, offset, presence, from, count, wanted, value);
    });
    return found;
  }

  /** The indices of those that compare so with a value, ascending; sequence numbers, of a ring, as float64. */
  where(comparison: Comparison, value: number, range?: ColumnRange): Uint32Array | Float64Array {
    const wanted = wantedOf(comparison, value);
    const { file: { view }, type, offset, presence } = this;
    const { unsigned } = view.core.memory;
    const parts: Uint32Array[] = [];
    this.walk(range, (from, count) => {
      const found = presence === 0 ? view.select(type, offset, from, count, wanted, value)
        : view.selectNullable(type, offset, presence, from, count, wanted, value);
      parts.push(unsigned.slice(VALUES_OFFSET / 4, VALUES_OFFSET / 4 + found));
    });
    const all = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** All of them, copied; NaN in the place of a null. */
  toFloat64Array(range?: ColumnRange): Float64Array {
    const { file: { view }, type, offset, presence } = this;
    const { doubles } = view.core.memory;
    const bounds = this.bounds(range);
    const values = new Float64Array(bounds.to + 1 - bounds.from);
    this.walk(bounds, (from, count) => {
      const found = presence === 0 ? view.gather(type, offset, from, Math.min(count, VALUES_MAX))
        : view.gatherNullable(type, offset, presence, from, Math.min(count, VALUES_MAX));
      values.set(doubles.subarray(VALUES_OFFSET / 8, VALUES_OFFSET / 8 + found), from - bounds.from);
    });
    return values;
  }

  /** Goes on from `start` with the values of a range; with the number of those that are no nulls. */
  private fold(range: ColumnRange | undefined, how: Fold, start: number): { result: number; values: number } {
    const { file: { view }, type, offset, presence } = this;
    let result = start;
    let values = 0;
    this.walk(range, (from, count) => {
      if (presence === 0) {
        result = foldPlain(view, type, offset, from, count, result, how);
        values += view.next - from;
      } else {
        result = view.foldNullable(type, offset, presence, from, count, result, how);
        values += view.values;
      }
    });
    return { result, values };
  }

  /** Calls `look` for what is mapped of a range, and on from where it came to, until it came to the end. */
  private walk(range: ColumnRange | undefined, look: (from: number, count: number) => void): void {
    const { from, to } = this.bounds(range);
    const { view } = this.file;
    let next = from;
    while (next <= to) {
      const mapped = view.first + view.limit - next;
      if (next < view.first || mapped <= 0) {
        this.answers.settle(Status.OutOfRange, next, this.name);
        continue;
      }
      look(next, Math.min(to + 1 - next, mapped));
      next = view.next;
      const status = view.takeStatus();
      if (status !== Status.Ok) this.answers.settle(status, next, this.name);
    }
  }

  protected bounds(range: ColumnRange = {}): { readonly from: number; readonly to: number } {
    if (typeof range !== 'object' || range === null) throw wrongType('range', '{ from, to }', range);
    const last = this.answers.length() - 1;
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

/** What of the outcomes of comparing with `value` is wanted. */
export function wantedOf(comparison: Comparison, value: number): number {
  if (typeof value !== 'number') throw wrongType('value', 'a number', value);
  if (!Object.hasOwn(WANTED, comparison)) throw outOfRange('comparison', Object.keys(WANTED).join(', '), comparison);
  return WANTED[comparison];
}

function foldPlain(
  view: TypedView, type: FieldType, offset: number, from: number, count: number, start: number, how: Fold,
): number {
  if (how === Fold.Sum) return view.sum(type, offset, from, count, start);
  return how === Fold.Min ? view.min(type, offset, from, count, start) : view.max(type, offset, from, count, start);
}
