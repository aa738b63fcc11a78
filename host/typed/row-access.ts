/**
 * Access to one field through the row: for fields that are more than one number or text in one place, and for records
 * that are only good as a whole. Reading takes a copy of the record in one state, writing patches the field into the
 * record as one change: one call of the core each.
 */
import type { TypedView } from '../core/typed-view.ts';
import type { FieldAccessor, Means } from './access.ts';
import type { Answers } from './answers.ts';
import type { PlacedField } from './layout.ts';
import { cellOf, type Cell, type Row } from './row.ts';
import type { TypeName } from './schema.ts';
import { isIndex } from './values.ts';

export class RowAccessor implements FieldAccessor<unknown> {
  readonly name: string;
  readonly type: TypeName;
  private readonly view: TypedView;
  private readonly answers: Answers;
  private readonly row: Row;
  private readonly stride: number;
  private readonly cell: Cell;

  constructor({ view, answers, row, stride }: Means, field: PlacedField) {
    this.name = field.name;
    this.type = field.type;
    this.view = view;
    this.answers = answers;
    this.row = row;
    this.stride = stride;
    this.cell = cellOf(field);
  }

  get(index: number): unknown {
    if (!isIndex(index)) this.answers.requireIndex(index);
    let status = this.view.readRow(index);
    while (status !== 0) {
      this.answers.settle(status, index, this.name);
      status = this.view.readRow(index);
    }
    return this.row.read(this.cell, index);
  }

  set(index: number, value: unknown): void {
    if (!isIndex(index)) this.answers.requireIndex(index);
    this.put(value);
    let status = this.view.patchRow(index);
    while (status !== 0) {
      this.answers.settle(status, index, this.name);
      this.put(value);
      status = this.view.patchRow(index);
    }
  }

  /** Puts the value alone into the row and marks it. Throws where the field does not take it. */
  private put(value: unknown): void {
    const { row, stride, cell } = this;
    const taken = row.take(cell, value);
    row.clear(stride);
    row.clearMask(stride);
    row.write(cell, taken);
    row.mark(cell);
  }
}
