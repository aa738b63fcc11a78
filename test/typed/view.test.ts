/**
 * Typed records through the release builds, both of them: what the specs of the core show on a debug build, where the
 * host calls it and where the memory ends. The records lie in plain memory here; files are other tests' business.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { Core, type CoreVariant } from '../../host/core/core.ts';
import { INDICES_MAX, TypedView, VALUES_MAX } from '../../host/core/typed-view.ts';
import {
  FieldType, MASK_OFFSET, Outcome, ROW_OFFSET, STATIC_END, Status, VALUES_OFFSET, WriteMode,
} from '../../host/generated/abi.ts';
import { forEachSeed } from '../support/random.ts';

const VARIANTS: readonly CoreVariant[] = ['baseline', 'simd'];
const STRIDE = 40;
const COUNT_AT = STATIC_END;
const BASE = STATIC_END + 4096;
const ROOM = 40000;
const MEMORY_BYTES = 4294967296;

describe.each(VARIANTS)('a typed view over the build %s', (variant) => {
  let core: Core;
  beforeEach(() => { core = new Core({ variant, memoryBytes: 16 * 1024 * 1024 }); });

  function viewOf(limit: number, options: Partial<ConstructorParameters<typeof TypedView>[1]> = {}): TypedView {
    core.exports.storeWord(COUNT_AT, limit);
    return new TypedView(core, {
      base: BASE, stride: STRIDE, countAt: COUNT_AT, first: 0, limit, room: ROOM, mode: WriteMode.One, strict: false,
      ...options,
    });
  }

  it.each([
    ['alone', WriteMode.One, false], ['alone, strict', WriteMode.One, true],
    ['among many', WriteMode.Many, false], ['among many, strict', WriteMode.Many, true],
  ] as const)('reads what it has written, %s', (_, mode, strict) => {
    const view = viewOf(3, { mode, strict });
    expect(view.set8(1, 8, -1)).toBe(Status.Ok);
    expect([view.getI8(1, 8), view.getU8(1, 8)]).toEqual([-1, 255]);
    expect(view.set16(1, 10, 40000)).toBe(Status.Ok);
    expect([view.getI16(1, 10), view.getU16(1, 10)]).toEqual([-25536, 40000]);
    expect(view.set32(1, 12, 4000000000)).toBe(Status.Ok);
    expect([view.getI32(1, 12), view.getU32(1, 12)]).toEqual([-294967296, 4000000000]);
    expect(view.setF32(1, 12, 0.1)).toBe(Status.Ok);
    expect(view.getF32(1, 12)).toBe(Math.fround(0.1));
    expect(view.set64(1, 16, 2n ** 64n - 1n)).toBe(Status.Ok);
    expect(view.getI64(1, 16)).toBe(-1n);
    expect(view.getI64Number(1, 16)).toBe(-1);
    expect(view.takeStatus()).toBe(Status.Ok);
    expect(view.getU64Number(1, 16)).toBeNaN();
    expect(view.takeStatus()).toBe(Status.Inexact);
    expect(view.takeStatus(), 'it is told once').toBe(Status.Ok);
    expect(view.setF64(1, 16, NaN)).toBe(Status.Ok);
    expect(view.getF64(1, 16)).toBeNaN();
    expect(view.takeStatus()).toBe(Status.Ok);
    core.memory.bytes.set([1, 2, 3, 4, 5], ROW_OFFSET);
    expect(view.setBytes(1, 24, 12, 5)).toBe(Status.Ok);
    core.memory.bytes.fill(0, ROW_OFFSET, ROW_OFFSET + 8);
    expect(view.getBytes(1, 24, 12)).toBe(5);
    expect([...core.memory.bytes.subarray(ROW_OFFSET, ROW_OFFSET + 5)]).toEqual([1, 2, 3, 4, 5]);
    expect(view.getBytes(3, 24, 12)).toBe(Status.OutOfRange);
    expect(view.getF64(3, 16)).toBeNaN();
    expect(view.takeStatus()).toBe(Status.OutOfRange);
    expect(view.readRow(0)).toBe(Status.Ok);
    expect([...core.memory.bytes.subarray(ROW_OFFSET + 8, ROW_OFFSET + STRIDE)], 'beside it').toEqual(Array(32).fill(0));
  });

  it('appends, replaces and patches rows', () => {
    const { doubles, bytes } = core.memory;
    const view = viewOf(0);
    doubles.fill(2.5, ROW_OFFSET / 8, (ROW_OFFSET + STRIDE) / 8);
    expect(view.appendRow(true)).toBe(0);
    expect(view.appendRow(false)).toBe(1);
    expect(core.exports.loadWord(COUNT_AT)).toBe(2);
    expect([view.getF64(0, 32), view.getF64(1, 32)]).toEqual([2.5, 0]);
    expect(view.writeRow(1)).toBe(Status.Ok);
    doubles.fill(7.5, ROW_OFFSET / 8, (ROW_OFFSET + STRIDE) / 8);
    bytes.fill(0, MASK_OFFSET, MASK_OFFSET + STRIDE);
    bytes.fill(255, MASK_OFFSET + 16, MASK_OFFSET + 24);
    expect(view.patchRow(1)).toBe(Status.Ok);
    expect([8, 16, 24, 32].map((offset) => view.getF64(1, offset))).toEqual([2.5, 7.5, 2.5, 2.5]);
    view.mode = WriteMode.ReadOnly;
    expect(view.appendRow(true)).toBe(Status.ReadOnly);
    core.exports.storeWord(COUNT_AT, 5);
    expect(view.refreshLimit()).toBe(5);
  });

  it('computes columns as JavaScript does, in parts of any length', async () => {
    let parts = 0;
    await forEachSeed(5, (random) => {
      const view = viewOf(ROOM);
      const values = Array.from({ length: ROOM }, () => random.between(-1000, 1000) / 8);
      values.forEach((value, index) => { core.memory.doubles[(BASE + index * STRIDE + 24) / 8] = value; });
      const other = random.between(-1000, 1000) / 8;
      let [sum, least, greatest, count] = [0, Infinity, -Infinity, 0];
      for (let from = 0; from < ROOM; from = view.next) {
        const length = Math.min(random.between(1, 20000), ROOM - from);
        sum = view.sum(FieldType.F64, 24, from, length, sum);
        least = view.min(FieldType.F64, 24, from, length, least);
        greatest = view.max(FieldType.F64, 24, from, length, greatest);
        count += view.count(FieldType.F64, 24, from, length, Outcome.Less, other);
        parts++;
      }
      expect(sum).toBe(values.reduce((total, value) => total + value, 0));
      expect([least, greatest]).toEqual([Math.min(...values), Math.max(...values)]);
      const select = (bound: number) => {
        const indices: number[] = [];
        let calls = 0;
        for (let from = 0; from < ROOM; from = view.next) {
          const found = view.select(FieldType.F64, 24, from, ROOM - from, Outcome.Less, bound);
          indices.push(...core.memory.unsigned.subarray(VALUES_OFFSET / 4, VALUES_OFFSET / 4 + found));
          calls++;
        }
        return { indices, calls };
      };
      const below = values.flatMap((value, index) => (value < other ? [index] : []));
      expect(select(other).indices).toEqual(below);
      expect(count).toBe(below.length);
      expect(select(Infinity)).toEqual({ indices: [...values.keys()], calls: Math.ceil(ROOM / INDICES_MAX) });
      const copied: number[] = [];
      for (let from = 0; from < ROOM; from = view.next) {
        const taken = view.gather(FieldType.F64, 24, from, ROOM - from);
        copied.push(...core.memory.doubles.subarray(VALUES_OFFSET / 8, VALUES_OFFSET / 8 + taken));
      }
      expect(copied).toEqual(values);
      expect(view.takeStatus()).toBe(Status.Ok);
      view.release();
    });
    expect(parts).toBeGreaterThan(2);
    expect(ROOM, 'one call does not do').toBeGreaterThan(Math.max(VALUES_MAX, INDICES_MAX));
  });

  it('reaches the last record of the memory, behind which no address is', () => {
    core = new Core({ variant, memoryBytes: MEMORY_BYTES });
    const view = viewOf(1, { base: MEMORY_BYTES - 2 * STRIDE, room: 2 });
    core.memory.doubles.fill(3, ROW_OFFSET / 8, (ROW_OFFSET + STRIDE) / 8);
    expect(view.appendRow(true)).toBe(1);
    expect(view.appendRow(true)).toBe(Status.Full);
    expect(view.getF64(1, 32)).toBe(3);
    expect(view.setF64(1, 8, 4)).toBe(Status.Ok);
    expect(view.readRow(1)).toBe(Status.Ok);
    expect([...core.memory.doubles.subarray(ROW_OFFSET / 8 + 1, ROW_OFFSET / 8 + 5)]).toEqual([4, 3, 3, 3]);
    expect(view.sum(FieldType.F64, 32, 0, 2, 0)).toBe(3);
    core.memory.doubles[ROW_OFFSET / 8 + 4] = 5;
    expect(view.writeRow(1)).toBe(Status.Ok);
    expect(view.getF64(1, 32)).toBe(5);
    expect(view.setBytes(1, 24, 12, 12)).toBe(Status.Ok);
    expect(view.getBytes(1, 24, 12)).toBe(12);
  });

  it('has no records when it was released, whoever has its slot then', () => {
    const view = viewOf(3);
    view.release();
    view.release();
    const next = viewOf(3);
    expect(view.getF64(0, 8)).toBeNaN();
    expect(view.takeStatus()).toBe(Status.OutOfRange);
    expect(view.setF64(0, 8, 1)).toBe(Status.OutOfRange);
    expect(view.appendRow(false)).toBe(Status.ReadOnly);
    expect(view.refreshLimit()).toBe(0);
    expect([next.getF64(0, 8), next.takeStatus(), next.limit]).toEqual([0, Status.Ok, 3]);
  });
});
