/**
 * Filling a gap with placeholders: exactly, with the LSNs of the records that were lost, or not at all.
 */
import { FRAMES_OFFSET, Kind } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { Frame } from '../assembly/layout/frame';
import { fillLost, recover } from '../assembly/record/recover';
import { readAt } from '../assembly/record/scan';
import { BASE, BASE_LSN, EPOCH, MAPPED, SALT, add, fresh, guardIntact, result, view } from './support/segment';

const ALL: u32 = 0xffffffff;
const COUNT: u32 = 20;
const offsets = new StaticArray<u32>(32);

function fill(): void {
  fresh();
  for (let i: u32 = 0; i < COUNT; i++) offsets[i] = add(1, 2, 10 + i * 29 % 90);
  offsets[COUNT] = view.dataEnd;
}

/** Recovers; whether all records are there and `from` to `to` are placeholders. */
function holds(from: u32, to: u32): bool {
  view.epoch = EPOCH;
  const status = recover(view, MAPPED, ALL);
  if (status != Status.Absent || view.records != COUNT || view.dataEnd != offsets[COUNT]) return false;
  let offset: u32 = FRAMES_OFFSET;
  for (let i: u32 = 0; i < COUNT; i++) {
    const frame = changetype<Frame>(BASE + offset);
    const lost = i >= from && i < to;
    if (frame.lsn != <u32>(BASE_LSN + i) || (frame.info >> 24) != (lost ? <u32>Kind.Lost : 1)) return false;
    if (!lost && offset != offsets[i]) return false;
    offset += (frame.size + 7) & ~7;
  }
  return offset == offsets[COUNT];
}

crcInit();

describe('fillLost', () => {
  it('replaces every run of records, so that all others keep offset and LSN', () => {
    let wrong = 0;
    for (let from: u32 = 0; from < COUNT; from++) {
      for (let to = from + 1; to <= COUNT; to++) {
        fill();
        memory.fill(BASE + offsets[from], 0x99, offsets[to] - offsets[from]);
        if (fillLost(view, offsets[from], offsets[to], from, to - from, EPOCH) != Status.Ok) wrong++;
        if (!holds(from, to)) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('fills a gap that has room for the headers alone', () => {
    fill();
    const end = offsets[4] + 24 * 5;
    expect(fillLost(view, offsets[4], end, 4, 5, EPOCH)).toBe(Status.Ok);
    let wrong = 0;
    for (let i: u32 = 0; i < 5; i++) {
      view.records = COUNT;
      view.dataEnd = end;
      if (readAt(view, offsets[4] + i * 24, 4 + i) != offsets[4] + i * 24) wrong++;
      if (changetype<Frame>(BASE + offsets[4] + i * 24).size != 24) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('refuses a gap that is too small, and leaves it as it was', () => {
    fill();
    memory.fill(BASE + offsets[4], 0x99, 24 * 5);
    expect(fillLost(view, offsets[4], offsets[4] + 24 * 5 - 8, 4, 5, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4], offsets[4] + 16, 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4], offsets[4] + 120, 4, ALL, EPOCH)).toBe(Status.OutOfRange);
    let changed = 0;
    for (let i: u32 = 0; i < 120; i++) if (load<u8>(BASE + offsets[4] + i) != 0x99) changed++;
    expect(changed).toBe(0);
  });

  it('refuses a gap that so few placeholders cannot fill, and leaves it as it was', () => {
    fill();
    memory.fill(BASE + offsets[4], 0x99, 64);
    view.mapped = 0x30000000;
    expect(fillLost(view, offsets[4], 0x20000000, 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4], 0x20000000, 4, 7, EPOCH)).toBe(Status.OutOfRange);
    expect(load<u64>(BASE + offsets[4])).toBe(0x9999999999999999);
  });

  it('refuses no records, no room, crooked offsets and what is not mapped', () => {
    fill();
    expect(fillLost(view, offsets[4], offsets[5], 4, 0, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4], offsets[4], 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[5], offsets[4], 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4] + 4, offsets[6], 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4], offsets[6] + 4, 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(fillLost(view, offsets[4], MAPPED + 8, 4, 1, EPOCH)).toBe(Status.OutOfRange);
    expect(holds(0, 0)).toBe(true);
  });

  it('reaches the end of the file and writes nothing behind it', () => {
    fill();
    expect(fillLost(view, offsets[10], MAPPED, 10, 3, EPOCH)).toBe(Status.Ok);
    expect(guardIntact()).toBe(true);
    view.epoch = EPOCH;
    expect(recover(view, MAPPED, ALL)).toBe(Status.Ok);
    expect(view.records).toBe(13);
    expect(view.dataEnd).toBe(MAPPED);
  });

  it('gives the placeholders the epoch of the record before, no mark and no flag', () => {
    fill();
    fillLost(view, offsets[10], offsets[13], 10, 3, EPOCH + 3);
    const frame = changetype<Frame>(BASE + offsets[10]);
    expect(frame.epoch).toBe(EPOCH + 3);
    expect(frame.durable).toBe(0);
    expect((frame.info >> 17) & 0x7f).toBe(0);
    view.epoch = EPOCH;
    expect(recover(view, MAPPED, ALL)).toBe(Status.BadEpoch);
    expect(result.records).toBe(13);
  });

  it('leaves nothing of the damaged bytes in the placeholders', () => {
    fill();
    memory.fill(BASE + offsets[6], 0x99, offsets[9] - offsets[6]);
    fillLost(view, offsets[6], offsets[9], 6, 3, EPOCH);
    let left = 0;
    const body = BASE + offsets[6] + 24;
    const end = BASE + offsets[9] - 48;
    for (let at = body; at < end; at++) if (load<u8>(at) != 0) left++;
    expect(left).toBe(0);
    expect(changetype<Frame>(BASE + offsets[6]).crc).not.toBe(0);
    expect(readAt(view, offsets[6], 6)).toBe(offsets[6]);
    expect(view.salt).toBe(SALT);
  });
});
