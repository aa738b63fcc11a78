/**
 * The layout that follows from a schema: where each field stands, the stride, and the hashes by which a file says which
 * schema it was written with. docs/format.md, "Typed record".
 */
import { createHash } from 'node:crypto';
import type { Core } from '../core/core.ts';
import { placeFields, type Unplaced } from '../core/typed-layout.ts';
import { outOfRange } from '../errors/varve-error.ts';
import { FieldSlot, FieldType, SCRATCH_BYTES, TYPED_STRIDE_MAX } from '../generated/abi.ts';
import { TYPE_NUMBERS, type Field, type Schema } from './schema.ts';

/** A field in its place. */
export interface PlacedField extends Field {
  readonly name: string;
  readonly max: number;
  readonly as: 'bigint' | 'number';
  /** The bit of the record that is set where the field has a value; 0 where it always has one. */
  readonly presence: number;
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

/** The presence bits, one for each field that may be null, stand in front of the fields as an array of bytes. */
function presenceOf(fields: readonly Field[]): Unplaced[] {
  const count = fields.filter((field) => field.nullable === true).length;
  return count === 0 ? [] : [{ type: FieldType.U8, bound: Math.ceil(count / 8) }];
}

/** The field that stands behind all others where records have checksums. */
const CHECKSUM: Unplaced = { type: FieldType.U32, bound: 1 };

/** Layouts of schemas without and with checksums, and their ordered hashes: who opens a store again has the same. */
const plainLayouts = new WeakMap<Schema, Layout>();
const checkedLayouts = new WeakMap<Schema, Layout>();
const hashes = new WeakMap<Layout, Uint8Array>();

/**
 * Lays a schema of `defineSchema` out, with room for a checksum or without. Throws ERR_VARVE_INVALID_ARGUMENT where the
 * record would be too long.
 */
export function layoutOf(core: Core, schema: Schema, checksums = false): Layout {
  const known = checksums ? checkedLayouts : plainLayouts;
  let layout = known.get(schema);
  if (layout === undefined) {
    layout = place(core, schema, checksums);
    known.set(schema, layout);
  }
  return layout;
}

function place(core: Core, schema: Schema, checksums: boolean): Layout {
  const entries = Object.entries(schema.fields);
  const hidden = presenceOf(Object.values(schema.fields));
  const unplaced = [
    ...hidden, ...entries.map(([, { type, max, count }]) => ({ type: TYPE_NUMBERS[type], bound: max ?? count ?? 1 })),
    ...checksums ? [CHECKSUM] : [],
  ];
  if (unplaced.length > FIELDS_MAX) {
    throw outOfRange('schema', `at most ${FIELDS_MAX + entries.length - unplaced.length} fields`, entries.length);
  }
  const placed = placeFields(core, unplaced);
  if (typeof placed === 'number') {
    throw outOfRange(`the record of '${schema.name}'`, `at most ${TYPED_STRIDE_MAX} bytes`, `${entries.length} fields`);
  }
  let bit = hidden.length === 0 ? 0 : placed.places[0]!.offset * 8;
  const fields = entries.map(([name, field], at) => Object.freeze({
    ...field, name, max: field.max ?? 0, as: field.as ?? 'bigint', presence: field.nullable === true ? bit++ : 0,
    ...placed.places[hidden.length + at]!,
  }));
  const checksumAt = checksums ? placed.places.at(-1)!.offset : 0;
  return Object.freeze({ schema, fields: Object.freeze(fields), stride: placed.stride, checksumAt });
}

/** The same schema, laid out with room for a checksum or without. */
export function withChecksums(core: Core, layout: Layout, checksums: boolean): Layout {
  return layout.checksumAt !== 0 === checksums ? layout : layoutOf(core, layout.schema, checksums);
}

/** Whether a schema has more than plain fields, which only readers that know of such may read. */
export function hasKinds({ fields }: Layout): boolean {
  return fields.some(({ values, count, unit, nullable }) => (values ?? count ?? unit ?? nullable) !== undefined);
}

/** The hash of format mmfg-1: SHA-256 of `name:type:size` of each field, sorted by name. */
export function sortedHash({ fields }: Layout): Uint8Array {
  return hashOf([...fields].sort((a, b) => (a.name < b.name ? -1 : 1)));
}

/** The hash of the own format: the same of the fields in their order, so that two that were swapped differ. */
export function orderedHash(layout: Layout): Uint8Array {
  let hash = hashes.get(layout);
  if (hash === undefined) {
    hash = hashOf(layout.fields);
    hashes.set(layout, hash);
  }
  return hash;
}

function hashOf(fields: readonly PlacedField[]): Uint8Array {
  return createHash('sha256').update(fields.map(tokenOf).join(',')).digest();
}

/** What a field is, in a hash: `name:type`, what more it is, `:size`. */
function tokenOf({ name, type, unit, values, count, nullable, size }: PlacedField): string {
  const kinds = [
    unit === undefined ? '' : `(${unit})`, values === undefined ? '' : JSON.stringify(values),
    count === undefined ? '' : `[${count}]`, nullable === true ? '?' : '',
  ];
  return `${name}:${type}${kinds.join('')}:${size}`;
}
