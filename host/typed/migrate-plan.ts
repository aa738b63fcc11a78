/**
 * What a migration may change of a schema, and how a record of the old one becomes one of the new: fields behind the
 * last, values behind the last of an enum, more room for text and bytes, a higher version. All else would need a
 * decision that nobody but the owner of the records can make.
 *
 * Records are copied as bytes, so that every value stays what it is, bit by bit.
 */
import type { Layout, PlacedField } from './layout.ts';
import { differences, type Difference } from './schema-text.ts';

/** Returns in what `to` differs from `from` that no migration bridges; nothing where it only appends. */
export function obstacles(from: Layout, to: Layout): Difference[] {
  return differences(to, from).filter((difference) => !isBridged(difference, from, to));
}

/** Whether a file of `from` can be brought to `to`, which is another schema. */
export function isUpgrade(from: Layout, to: Layout): boolean {
  return differences(to, from).length > 0 && obstacles(from, to).length === 0;
}

function isBridged({ what, field, expected, actual }: Difference, from: Layout, to: Layout): boolean {
  switch (what) {
    case 'version':
    case 'max': return Number(expected) > Number(actual);
    case 'missing': return to.fields.findIndex(({ name }) => name === field) >= from.fields.length;
    case 'values': return isBeginning(actual, expected);
    case 'type': return isLongerIndex(named(from, field), named(to, field));
    default: return false;
  }
}

function named({ fields }: Layout, wanted: string | undefined): PlacedField | undefined {
  return fields.find(({ name }) => name === wanted);
}

function isBeginning(beginning: unknown, whole: unknown): boolean {
  return Array.isArray(beginning) && Array.isArray(whole) && beginning.every((value, at) => value === whole[at]);
}

/** Whether an enum got so many values that its index takes two bytes instead of one. */
function isLongerIndex(from: PlacedField | undefined, to: PlacedField | undefined): boolean {
  return from?.type === 'uint8' && to?.type === 'uint16' && isBeginning(from.values, to.values);
}

/** Fields that `to` has and `from` has not. */
export function appendedFields(from: Layout, to: Layout): readonly PlacedField[] {
  return to.fields.slice(from.fields.length);
}

/** Bytes that stand in an old record and stay, somewhere in the new one. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/** The bytes that say which fields have a value: they are the same in both, but that the new one may have more bits. */
export function presencePiece({ fields }: Layout): { readonly at: number; readonly length: number } {
  const bits = fields.flatMap(({ nullable, presence }) => (nullable === true ? [presence] : []));
  if (bits.length === 0) return { at: 0, length: 0 };
  const at = Math.floor(bits[0]! / 8);
  return { at, length: Math.floor(bits.at(-1)! / 8) + 1 - at };
}

/** The pieces of a record, those that lie side by side in both as one. */
export function piecesOf(from: Layout, to: Layout): Piece[] {
  const pieces: Piece[] = [];
  for (const [at, field] of from.fields.entries()) {
    const target = to.fields[at]!;
    const last = pieces.at(-1);
    // What lies between two fields is zero in both.
    const goesOn = last !== undefined && target.offset - field.offset === last.to - last.from
      && last.from + last.length <= field.offset && last.to + last.length <= target.offset;
    if (goesOn) pieces[pieces.length - 1] = { ...last, length: field.offset + field.size - last.from };
    else pieces.push({ from: field.offset, to: target.offset, length: field.size });
  }
  return pieces;
}
