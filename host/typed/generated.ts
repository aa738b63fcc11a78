/**
 * What generated classes extend: a typed store whose schema is known to its class, so that opening it takes a path.
 *
 * It is part of `varve/codegen-v1`: what generated classes call here stays as it is for as long as that entry is there.
 */
import type { TypedView } from '../core/typed-view.ts';
import { outOfRange } from '../errors/varve-error.ts';
import type { TypedStoreOptions } from './options.ts';
import type { RowImage } from './row-image.ts';
import type { Fields, Schema } from './schema.ts';
import { TypedStore } from './typed-store.ts';

export type { TypedStoreOptions as StoreOptions } from './options.ts';

/** Options of `open` and `openSync` of a generated class. */
export type OpenOptions = Omit<TypedStoreOptions, 'create'> & {
  /** Whether a store is made where there is none. Default true; without meaning when `readOnly`. */
  readonly create?: boolean;
};

/** Options of `create` of a generated class. */
export type CreateOptions = Omit<TypedStoreOptions, 'create' | 'readOnly'>;

/**
 * TypedStore without its static members: `open` of a generated class takes no schema, and could not stand in the place
 * of one that does.
 */
const Store = TypedStore as unknown as new <F extends Fields>(
  path: string, schema: Schema<F>, options: TypedStoreOptions,
) => TypedStore<F>;

/**
 * The store that a generated class adds accessors to; see TypedStore for what it does.
 *
 * A generated class reads and writes through the views and the row at once, and where these answer with anything but a
 * value or `Ok` it does the same once more by what it has from TypedStore, which knows what to do. It differs in one
 * thing: a record that has more properties than fields is taken, as its type allows it to have, and these are left.
 */
export abstract class GeneratedStore<F extends Fields> extends Store<F> {
  /** Single fields; sees nothing where they are only good with their record. */
  protected readonly fieldView: TypedView;
  /** Whole records, to the row and from it; sees nothing of a ring. */
  protected readonly rowView: TypedView;
  protected readonly row: RowImage;

  /** `offsets` are those of the fields in the records that the class was written for. */
  protected constructor(path: string, schema: Schema<F>, options: TypedStoreOptions, offsets: readonly number[]) {
    super(path, schema, options);
    const { fieldView, rowView, row, records, layout } = this.parts;
    if (layout.fields.some(({ offset }, at) => offset !== offsets[at])) {
      this.closeSync();
      throw outOfRange('offsets', 'those of the schema; run `varve generate` again', offsets.join(', '));
    }
    this.fieldView = fieldView;
    this.rowView = rowView;
    this.row = row;
    records.mayHaveMore = true;
  }
}

/** Whether a record can be read into something, or into nothing that is there yet. */
export function isTarget(into: unknown): boolean {
  return into === undefined || (typeof into === 'object' && into !== null);
}
