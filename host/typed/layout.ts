/**
 * The layout that follows from a schema: where each field stands, the stride, and the hashes by which a file says which
 * schema it was written with. docs/format.md, "Typed record".
 */
import { createHash } from 'node:crypto';
import type { Core } from '../core/core.ts';
import { placeFields } from '../core/typed-layout.ts';
import { outOfRange } from '../errors/varve-error.ts';
import { FieldSlot, FieldType, SCRATCH_BYTES, TYPED_STRIDE_MAX } from '../generated/abi.ts';
import { TYPE_NUMBERS, type Schema, type TypeName } from './schema.ts';

/** A field in its place. */
export interface PlacedField {
  readonly name: string;
  readonly type: TypeName;
  readonly max: number;
  readonly as: 'bigint' | 'number';
  /** From the beginning of the record, in bytes. */
  readonly offset: number;
  readonly size: number;
}

export interface Layout {
  readonly schema: Schema;
  readonly fields: readonly PlacedField[];
  /** Bytes of a record, its stamp included. */
  readonly stride: number;
  /** Where in a record the checksum of its fields stands, behind all of them; 0 where there is none. */
  readonly checksumAt: number;
}

const FIELDS_MAX = SCRATCH_BYTES / FieldSlot.BYTES;

/** The field that stands behind all others where records have checksums. */
const CHECKSUM = { type: FieldType.U32, bound: 1 };

/**
 * Lays a schema out, with room for a checksum or without. Throws ERR_VARVE_INVALID_ARGUMENT where the record would be
 * too long.
 */
export function layoutOf(core: Core, schema: Schema, checksums = false): Layout {
  const entries = Object.entries(schema.fields);
  const unplaced = entries.map(([, { type, max }]) => ({ type: TYPE_NUMBERS[type], bound: max ?? 1 }));
  if (checksums) unplaced.push(CHECKSUM);
  if (unplaced.length > FIELDS_MAX) throw outOfRange('schema', `at most ${FIELDS_MAX} fields`, unplaced.length);
  const placed = placeFields(core, unplaced);
  if (typeof placed === 'number') {
    throw outOfRange(`the record of '${schema.name}'`, `at most ${TYPED_STRIDE_MAX} bytes`, `${entries.length} fields`);
  }
  const fields = entries.map(([name, { type, max = 0, as = 'bigint' }], at) => Object.freeze({
    name, type, max, as, ...placed.places[at]!,
  }));
  const checksumAt = checksums ? placed.places.at(-1)!.offset : 0;
  return Object.freeze({ schema, fields: Object.freeze(fields), stride: placed.stride, checksumAt });
}

/** The same schema, laid out with room for a checksum or without. */
export function withChecksums(core: Core, layout: Layout, checksums: boolean): Layout {
  return layout.checksumAt !== 0 === checksums ? layout : layoutOf(core, layout.schema, checksums);
}

/** The hash of format mmfg-1: SHA-256 of `name:type:size` of each field, sorted by name. */
export function sortedHash({ fields }: Layout): Uint8Array {
  return hashOf([...fields].sort((a, b) => (a.name < b.name ? -1 : 1)));
}

/** The hash of the own format: the same of the fields in their order, so that two that were swapped differ. */
export function orderedHash({ fields }: Layout): Uint8Array {
  return hashOf(fields);
}

function hashOf(fields: readonly PlacedField[]): Uint8Array {
  return createHash('sha256').update(fields.map(({ name, type, size }) => `${name}:${type}:${size}`).join(',')).digest();
}
