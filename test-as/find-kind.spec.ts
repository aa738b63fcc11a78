/**
 * The walk over headers that finds the records of one kind, and where it says that it ended.
 */
import { FRAMES_OFFSET, Kind } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { Frame } from '../assembly/layout/frame';
import { findKind } from '../assembly/record/scan';
import { BASE, GUARD_BYTES, MAPPED, add, flip, fresh, guardIntact, result, view } from './support/segment';

const ALL: u32 = 0xffffffff;
const COUNT: u32 = 60;
const offsets = new StaticArray<u32>(COUNT + 1);

/** Every fifth record is a commit, from the third on; the others are of other kinds. */
function isCommit(ordinal: u32): bool {
  return ordinal % 5 == 3;
}

function fill(): void {
  fresh();
  for (let i: u32 = 0; i < COUNT; i++) offsets[i] = add(isCommit(i) ? Kind.Commit : i % 3, i % 7, i * 13 % 80);
  offsets[COUNT] = view.dataEnd;
}

/** Whether a walk from `from` to below `to` finds what a look at each record finds. */
function agrees(from: u32, to: u32): bool {
  const found = findKind(view, offsets[from], from, to, Kind.Commit);
  let expected = from;
  while (expected < min(to, COUNT) && !isCommit(expected)) expected++;
  if (result.records != expected || result.offset != offsets[expected]) return false;
  return found == (expected < min(to, COUNT) ? <i32>offsets[expected] : Status.Absent);
}

crcInit();

describe('findKind', () => {
  it('finds the next of a kind from any record on, below any other', () => {
    fill();
    let wrong = 0;
    for (let from: u32 = 0; from <= COUNT; from++) {
      for (let to = from; to <= COUNT + 1; to++) if (!agrees(from, to)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('ends where the data ends, at the ordinal behind the last', () => {
    fill();
    expect(findKind(view, FRAMES_OFFSET, 0, ALL, Kind.Lost)).toBe(Status.Absent);
    expect(result.records).toBe(COUNT);
    expect(result.offset).toBe(view.dataEnd);
    fresh();
    expect(findKind(view, FRAMES_OFFSET, 0, ALL, Kind.Commit)).toBe(Status.Absent);
    expect(result.records).toBe(0);
    expect(result.offset).toBe(FRAMES_OFFSET);
  });

  it('looks at nothing but the headers', () => {
    fill();
    for (let i: u32 = 0; i < COUNT; i++) if (offsets[i + 1] - offsets[i] > 24) flip(BASE + offsets[i] + 24, 5);
    let wrong = 0;
    for (let from: u32 = 0; from <= COUNT; from++) if (!agrees(from, COUNT)) wrong++;
    expect(wrong).toBe(0);
  });

  it('says which header leads out of the data, and touches nothing there', () => {
    fill();
    const end = view.dataEnd;
    const sizes: u32[] = [0, 23, ALL, 0x80000000, end - offsets[20] + 1, MAPPED + GUARD_BYTES];
    for (let i = 0; i < sizes.length; i++) {
      changetype<Frame>(BASE + offsets[20]).size = sizes[i];
      expect(findKind(view, FRAMES_OFFSET, 0, COUNT, Kind.Lost)).toBe(Status.BadSize);
      expect(result.records).toBe(20);
      expect(result.offset).toBe(offsets[20]);
    }
    expect(guardIntact()).toBe(true);
  });

  it('takes no header that the end of the data cuts through', () => {
    fill();
    for (let room: u32 = 8; room < 24; room += 8) {
      view.dataEnd = offsets[23] + room;
      expect(findKind(view, offsets[22], 22, COUNT, Kind.Commit)).toBe(Status.BadSize);
      expect(result.records).toBe(23);
    }
  });

  it('does not end where it should where a size was changed so that it leads into the data', () => {
    fill();
    let missed = 0;
    let tried = 0;
    for (let bad: u32 = 0; bad + 1 < COUNT; bad++) {
      const frame = changetype<Frame>(BASE + offsets[bad]);
      const size = frame.size;
      for (let grown: u32 = 8; grown <= 96; grown += 8) {
        frame.size = size + grown;
        const found = findKind(view, FRAMES_OFFSET, 0, COUNT, Kind.Lost);
        tried++;
        if (found == Status.Absent && result.records == COUNT && result.offset == view.dataEnd) missed++;
      }
      frame.size = size;
    }
    expect(tried).toBeGreaterThan(500);
    expect(missed).toBe(0);
  });
});
