/**
 * Where the fields of a typed record stand, computed by the core (assembly/schema/layout.ts) in its scratch area.
 */
import { FieldSlot, SCRATCH_OFFSET } from '../generated/abi.ts';
import type { Core } from './core.ts';

/** A field that is to be placed. */
export interface Unplaced {
  /** A `FieldType`. */
  readonly type: number;
  /** Text and bytes: most bytes; all others: how many of them. */
  readonly bound: number;
}

/** Where a field stands in its record, in bytes. */
export interface Place {
  readonly offset: number;
  readonly size: number;
}

/** Places fields one behind the other; a `Status` where the core refuses them. */
export function placeFields(core: Core, fields: readonly Unplaced[]): { stride: number; places: Place[] } | number {
  const { unsigned } = core.memory;
  const word = (at: number, offset: number) => (SCRATCH_OFFSET + at * FieldSlot.BYTES + offset) / 4;
  for (const [at, { type, bound }] of fields.entries()) {
    unsigned[word(at, FieldSlot.type)] = type;
    unsigned[word(at, FieldSlot.bound)] = bound;
  }
  const stride = core.exports.layoutFields(SCRATCH_OFFSET, fields.length);
  if (stride < 0) return stride;
  const places = fields.map((_, at) => ({
    offset: unsigned[word(at, FieldSlot.offset)]!, size: unsigned[word(at, FieldSlot.size)]!,
  }));
  return { stride, places };
}
