/**
 * Where the fields of typed records stand: against offsets that were worked out by hand, and against every rule of
 * alignment for random lists of fields.
 */
import { FieldType, TYPED_STRIDE_MAX } from '../assembly/abi/field';
import { Status } from '../assembly/abi/status';
import { FieldSlot } from '../assembly/layout/typed';
import { layoutFields } from '../assembly/schema/layout';
import { SPARE } from './support/segment';

function slot(i: u32): FieldSlot {
  return changetype<FieldSlot>(SPARE + i * 16);
}

/** Fills in pairs of type and bound. */
function fields(list: StaticArray<u32>): u32 {
  for (let i = 0; i < list.length; i += 2) {
    slot(i >> 1).type = list[i];
    slot(i >> 1).bound = list[i + 1];
    slot(i >> 1).offset = 0xdddddddd;
    slot(i >> 1).size = 0xdddddddd;
  }
  return <u32>list.length >> 1;
}

function place(i: u32, offset: u32, size: u32): void {
  expect(slot(i).offset).toBe(offset);
  expect(slot(i).size).toBe(size);
}

function alone(type: u32, bound: u32): i32 {
  return layoutFields(SPARE, fields([type, bound]));
}

describe('layoutFields', () => {
  it('lays out the Tick of mmapforge as mmapforge does', () => {
    const count = fields([FieldType.Str, 64, FieldType.F64, 1, FieldType.F64, 1, FieldType.U64, 1]);
    expect(layoutFields(SPARE, count)).toBe(104);
    place(0, 8, 68);
    place(1, 80, 8);
    place(2, 88, 8);
    place(3, 96, 8);
  });

  it('aligns each type to its size', () => {
    const count = fields([
      FieldType.Bool, 1, FieldType.I16, 1, FieldType.U8, 1, FieldType.F32, 1, FieldType.I8, 1, FieldType.I64, 1,
      FieldType.U16, 1, FieldType.Bytes, 3, FieldType.Bool, 1, FieldType.I32, 1, FieldType.U32, 1,
    ]);
    expect(layoutFields(SPARE, count)).toBe(56);
    place(0, 8, 1);
    place(1, 10, 2);
    place(2, 12, 1);
    place(3, 16, 4);
    place(4, 20, 1);
    place(5, 24, 8);
    place(6, 32, 2);
    place(7, 36, 7);
    place(8, 43, 1);
    place(9, 44, 4);
    place(10, 48, 4);
    expect(alone(FieldType.U32, 1)).toBe(16);
  });

  it('rounds the stride up to a multiple of 8', () => {
    for (let bound: u32 = 1; bound <= 40; bound++) {
      expect(alone(FieldType.Bytes, bound)).toBe(<i32>((8 + 4 + bound + 7) / 8 * 8));
    }
  });

  it('gives several of a kind one place behind the other', () => {
    const count = fields([FieldType.U8, 3, FieldType.F64, 4, FieldType.I16, 2]);
    expect(layoutFields(SPARE, count)).toBe(56);
    place(0, 8, 3);
    place(1, 16, 32);
    place(2, 48, 4);
  });

  it('has a record without fields be its stamp', () => {
    expect(layoutFields(SPARE, 0)).toBe(8);
  });

  it('refuses what is no type and no bound', () => {
    expect(alone(FieldType.Bytes + 1, 1)).toBe(Status.BadSchema);
    expect(alone(0xffffffff, 1)).toBe(Status.BadSchema);
    expect(alone(FieldType.F64, 0)).toBe(Status.BadSchema);
    expect(alone(FieldType.Str, 0)).toBe(Status.BadSchema);
  });

  it('refuses a record that is too long, also by sums beyond 32 bits', () => {
    expect(alone(FieldType.Bytes, TYPED_STRIDE_MAX - 12)).toBe(<i32>TYPED_STRIDE_MAX);
    expect(alone(FieldType.Bytes, TYPED_STRIDE_MAX - 11)).toBe(Status.OutOfRange);
    expect(alone(FieldType.Bytes, 0xffffffff)).toBe(Status.OutOfRange);
    expect(alone(FieldType.F64, 0x20000001)).toBe(Status.OutOfRange);
    expect(layoutFields(SPARE, fields([FieldType.U8, 60000, FieldType.U8, 6000]))).toBe(Status.OutOfRange);
  });
});
