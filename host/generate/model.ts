/**
 * What the generator knows of a record between reading its interface and writing its class, and the mistakes that it
 * finds on the way. A model holds only what can be generated; whatever else stands in a source is a mistake.
 */

/** Where something stands in a source; both count from 1, columns in UTF-16 units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One mistake in a source. */
export interface Mistake extends Place {
  /** The source, as it was named by who asked. */
  readonly file: string;
  readonly message: string;
}

/** A doc comment: lines of prose, and the block tags behind them. */
export interface Doc {
  readonly prose: readonly string[];
  readonly tags: readonly string[];
}

export const NO_DOC: Doc = { prose: [], tags: [] };

/** Kinds of fields whose values are single numbers, by the names that they have in varve/schema. */
export const NUMBER_KINDS = ['i8', 'i16', 'i32', 'u8', 'u16', 'u32', 'i64', 'u64', 'f32', 'f64'] as const;
export type NumberKind = (typeof NUMBER_KINDS)[number];

/** What a field holds where there is a value. */
export type ValueModel =
  | { readonly kind: 'bool' | 'timestamp' }
  | { readonly kind: NumberKind; readonly as: 'number' | 'bigint' }
  | { readonly kind: 'str' | 'bytes'; readonly max: number }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'array'; readonly element: ValueModel & { readonly kind: NumberKind }; readonly count: number };
export type Kind = ValueModel['kind'];

export interface FieldModel {
  readonly name: string;
  readonly doc: Doc;
  readonly value: ValueModel;
  readonly nullable: boolean;
  readonly place: Place;
}

/** An annotated interface. */
export interface RecordModel {
  readonly name: string;
  readonly version: number;
  readonly doc: Doc;
  readonly fields: readonly FieldModel[];
  /** Where its name stands. */
  readonly place: Place;
  /** Absolute path of the source, and the one for messages. */
  readonly source: string;
  readonly file: string;
}
