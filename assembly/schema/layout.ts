/**
 * Where the fields of a record stand: each at the next offset that its natural alignment allows, in the order given.
 * docs/format.md, "Typed record".
 */
import { FieldType, TYPED_STRIDE_MAX } from '../abi/field';
import { Status } from '../abi/status';
import { FieldSlot } from '../layout/typed';

/** Bytes of a stamp, with which each record begins. */
const STAMP_BYTES: u32 = 8;
/** Bytes of the length in front of text and bytes. */
const LENGTH_BYTES: u32 = 4;

/** Returns the bytes of one value of a type, which is its alignment too; 0 for what has a bound, or is no type. */
@inline
function bytesOf(type: i32): u32 {
  if (type <= FieldType.U8) return 1;
  if (type <= FieldType.U16) return 2;
  if (type <= FieldType.U32 || type == FieldType.F32) return 4;
  return type <= FieldType.F64 ? 8 : 0;
}

/**
 * Gives each field its place.
 *
 * @param fields address of `count` field slots with type and bound
 * @returns the stride, or `BadSchema` where a type or a bound is none, or `OutOfRange` where the record is too long
 * Reads and writes: [fields, fields + 16 * count).
 */
export function layoutFields(fields: usize, count: u32): i32 {
  let end: u64 = STAMP_BYTES;
  for (let i: u32 = 0; i < count; i++) {
    const field = changetype<FieldSlot>(fields + <usize>i * offsetof<FieldSlot>());
    const type = <i32>field.type;
    const bound = field.bound;
    if (type < 0 || type > FieldType.Bytes || bound == 0) return Status.BadSchema;
    const unit = bytesOf(type);
    const alignment: u64 = unit == 0 ? LENGTH_BYTES : unit;
    const size: u64 = unit == 0 ? <u64>LENGTH_BYTES + bound : <u64>unit * bound;
    const offset = (end + alignment - 1) & ~(alignment - 1);
    end = offset + size;
    if (end > TYPED_STRIDE_MAX) return Status.OutOfRange;
    field.offset = <u32>offset;
    field.size = <u32>size;
  }
  return <i32>((end + 7) & ~7);
}
