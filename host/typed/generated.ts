/**
 * What generated classes extend: a typed store whose schema is known to its class, so that opening it takes a path.
 *
 * It is part of `varve/codegen-v1`: what generated classes call here stays as it is for as long as that entry is there.
 */
import type { TypedStoreOptions } from './options.ts';
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

/** The store that a generated class adds accessors to; see TypedStore for what it does. */
export abstract class GeneratedStore<F extends Fields> extends Store<F> {
  protected constructor(path: string, schema: Schema<F>, options: TypedStoreOptions) {
    super(path, schema, options);
  }
}
