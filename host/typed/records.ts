/**
 * Records, as plain objects, into a row and out of one.
 *
 * Fields are taken eight at a time by code that names each of the eight by itself: the engine then learns which
 * property stands at which place, which makes a record of a store several times as fast as a loop over its fields. (It
 * learns one name for each place: of several stores with different fields in one thread the second pays more.)
 */
import { outOfRange, VarveError, wrongType } from '../errors/varve-error.ts';
import type { Layout } from './layout.ts';
import { cellOf, NO_CELL, type Cell, type Row } from './row.ts';

const STAMP_BYTES = 8;

/** A record whose fields are not known to the compiler. */
export type AnyRecord = Record<string, unknown>;

/** Eight fields of a record, or the last of them. */
class EightFields {
  private readonly count: number;
  private readonly cells: readonly [Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell];

  constructor(cells: readonly Cell[]) {
    this.count = cells.length;
    const at = (index: number) => cells[index] ?? NO_CELL;
    this.cells = [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)];
  }

  /** Takes the fields out of a row, which is a copy of record `index`. */
  read(row: Row, into: AnyRecord, index: number): void {
    const { count, cells } = this;
    const { f64 } = row;
    into[cells[0].name] = cells[0].isF64 ? f64[cells[0].at] : row.read(cells[0], index);
    if (count === 1) return;
    into[cells[1].name] = cells[1].isF64 ? f64[cells[1].at] : row.read(cells[1], index);
    if (count === 2) return;
    into[cells[2].name] = cells[2].isF64 ? f64[cells[2].at] : row.read(cells[2], index);
    if (count === 3) return;
    into[cells[3].name] = cells[3].isF64 ? f64[cells[3].at] : row.read(cells[3], index);
    if (count === 4) return;
    into[cells[4].name] = cells[4].isF64 ? f64[cells[4].at] : row.read(cells[4], index);
    if (count === 5) return;
    into[cells[5].name] = cells[5].isF64 ? f64[cells[5].at] : row.read(cells[5], index);
    if (count === 6) return;
    into[cells[6].name] = cells[6].isF64 ? f64[cells[6].at] : row.read(cells[6], index);
    if (count === 7) return;
    into[cells[7].name] = cells[7].isF64 ? f64[cells[7].at] : row.read(cells[7], index);
  }

  /**
   * Puts the fields into a row. All are taken from the record before the first is put: taking one may run a getter, and
   * whatever that does may use the row.
   */
  write(row: Row, from: AnyRecord): void {
    const { count, cells } = this;
    const { f64 } = row;
    const value0 = from[cells[0].name];
    const value1 = from[cells[1].name];
    const value2 = from[cells[2].name];
    const value3 = from[cells[3].name];
    const value4 = from[cells[4].name];
    const value5 = from[cells[5].name];
    const value6 = from[cells[6].name];
    const value7 = from[cells[7].name];
    if (cells[0].isF64 && typeof value0 === 'number') f64[cells[0].at] = value0;
    else row.write(cells[0], value0);
    if (count === 1) return;
    if (cells[1].isF64 && typeof value1 === 'number') f64[cells[1].at] = value1;
    else row.write(cells[1], value1);
    if (count === 2) return;
    if (cells[2].isF64 && typeof value2 === 'number') f64[cells[2].at] = value2;
    else row.write(cells[2], value2);
    if (count === 3) return;
    if (cells[3].isF64 && typeof value3 === 'number') f64[cells[3].at] = value3;
    else row.write(cells[3], value3);
    if (count === 4) return;
    if (cells[4].isF64 && typeof value4 === 'number') f64[cells[4].at] = value4;
    else row.write(cells[4], value4);
    if (count === 5) return;
    if (cells[5].isF64 && typeof value5 === 'number') f64[cells[5].at] = value5;
    else row.write(cells[5], value5);
    if (count === 6) return;
    if (cells[6].isF64 && typeof value6 === 'number') f64[cells[6].at] = value6;
    else row.write(cells[6], value6);
    if (count === 7) return;
    if (cells[7].isF64 && typeof value7 === 'number') f64[cells[7].at] = value7;
    else row.write(cells[7], value7);
  }
}

/** The records of one layout. */
export class Records {
  /** Whether a whole record may have properties that are no fields, which are left then. */
  mayHaveMore = false;
  private readonly cells: ReadonlyMap<string, Cell>;
  private readonly parts: readonly EightFields[];
  private readonly first: EightFields;
  private readonly row: Row;
  private readonly stride: number;
  /** Whether fields do not cover the record, so that what is between them must be cleared. */
  private readonly hasGaps: boolean;
  /** Whether there are arrays, whose elements may run code when they are taken. */
  private readonly hasArrays: boolean;

  constructor({ fields, stride }: Layout, row: Row) {
    const cells = fields.map(cellOf);
    this.cells = new Map(cells.map((cell) => [cell.name, cell]));
    this.parts = Array.from({ length: Math.ceil(cells.length / 8) }, (_, at) => (
      new EightFields(cells.slice(at * 8, at * 8 + 8))));
    this.first = this.parts[0]!;
    this.row = row;
    this.stride = stride;
    this.hasArrays = cells.some(({ count }) => count > 0);
    const covered = fields.reduce((bytes, { type, size }) => bytes + (type === 'string' || type === 'bytes' ? 0 : size), 0);
    this.hasGaps = covered < stride - STAMP_BYTES;
  }

  /** Takes a record out of the row. */
  read(into: AnyRecord, index: number): void {
    if (this.parts.length === 1) this.first.read(this.row, into, index);
    else for (const part of this.parts) part.read(this.row, into, index);
  }

  /** Whether every field of the row, a copy of record `index`, holds what its type allows. */
  isValid(index: number): boolean {
    for (const cell of this.cells.values()) {
      try {
        this.row.read(cell, index);
      } catch (error) {
        if (VarveError.is(error, 'ERR_VARVE_BAD_VALUE')) return false;
        // A number too large to be given as one is a good integer all the same.
        if (!VarveError.is(error, 'ERR_VARVE_INEXACT')) throw error;
      }
    }
    return true;
  }

  /** Puts a record into the row. Throws where a field is missing, unknown, or does not take its value. */
  write(record: AnyRecord): void {
    if (typeof record !== 'object' || record === null) throw wrongType('record', 'an object', record);
    if (!this.mayHaveMore) this.refuseMore(record);
    if (this.parts.length === 1 && !this.hasArrays) {
      if (this.hasGaps) this.row.clear(this.stride);
      this.first.write(this.row, record);
      return;
    }
    // As above: nothing of the record may run while the row is being filled.
    const values: AnyRecord = {};
    for (const [name, cell] of this.cells) values[name] = this.row.take(cell, record[name]);
    if (this.hasGaps) this.row.clear(this.stride);
    for (const part of this.parts) part.write(this.row, values);
  }

  /** Puts the fields of a partial record into the row and marks them. Throws as `write`, but none need be there. */
  writeSome(partial: AnyRecord): void {
    if (typeof partial !== 'object' || partial === null) throw wrongType('partial', 'an object', partial);
    const entries = Object.entries(partial);
    if (this.hasArrays) this.takeArrays(entries);
    this.row.clear(this.stride);
    this.row.clearMask(this.stride);
    for (const [name, value] of entries) {
      const cell = this.cells.get(name);
      if (cell === undefined) throw this.unknown(name);
      this.row.write(cell, value);
      this.row.mark(cell);
    }
  }

  private takeArrays(entries: [string, unknown][]): void {
    for (const entry of entries) {
      const cell = this.cells.get(entry[0]);
      if (cell !== undefined) entry[1] = this.row.take(cell, entry[1]);
    }
  }

  /** Throws where a record has a field too many; one that is missing is found when it is written. */
  private refuseMore(record: AnyRecord): void {
    let names = 0;
    for (const name in record) names += name === '' ? 0 : 1;
    if (names === this.cells.size) return;
    for (const name in record) {
      if (!this.cells.has(name)) throw this.unknown(name);
    }
  }

  private unknown(name: string): RangeError {
    return outOfRange('record', `made of the fields ${[...this.cells.keys()].join(', ')}`, name);
  }
}
