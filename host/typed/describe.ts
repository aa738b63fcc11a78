/**
 * Where the fields of a schema lie, for those who read typed records by other means.
 */
import { Core } from '../core/core.ts';
import { wrongType } from '../errors/varve-error.ts';
import type { FormatName } from './header.ts';
import { layoutOf, orderedHash, sortedHash } from './layout.ts';
import { defineSchema, type Schema, type TypeName } from './schema.ts';

/** A field in its place; docs/format.md, "Typed record", says how its type is stored. */
export interface FieldLayout {
  readonly name: string;
  /** The stored type. */
  readonly type: TypeName;
  /** From the beginning of the record, whose stamp takes the first 8 bytes. */
  readonly offset: number;
  /** Bytes of the whole field. */
  readonly size: number;
}

export interface RecordLayout {
  /** Bytes from one record to the next, a multiple of 8. */
  readonly stride: number;
  readonly fields: readonly FieldLayout[];
  /** SHA-256 by which a file knows its schema. */
  readonly hash: Uint8Array;
}

/**
 * Returns where the fields of a schema lie in a record without a checksum, and the hash that stands in a file's header.
 *
 * @param format the hash of `'mmfg-1'` does not cover the order of the fields; default `'varve'`
 * @throws ERR_VARVE_INVALID_ARGUMENT where it is no schema, or its record would take more than 64 KiB
 */
export function recordLayout(schema: Schema, format: FormatName = 'varve'): RecordLayout {
  if (typeof schema !== 'object' || schema === null) throw wrongType('schema', 'a schema', schema);
  const layout = layoutOf(Core.shared(), defineSchema(schema.name, schema));
  const fields = layout.fields.map(({ name, type, offset, size }) => ({ name, type, offset, size }));
  return { stride: layout.stride, fields, hash: format === 'varve' ? orderedHash(layout).slice() : sortedHash(layout) };
}
