/**
 * Appending a batch: the flags that tie it together, what it shares with single records, and that recovery finds all of
 * it or none, whichever frame is missing.
 */
import { FRAMES_OFFSET } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { CONTROL_COMMITTED_OFFSET, ControlCommitted } from '../assembly/layout/control';
import { Frame, flagsOf } from '../assembly/layout/frame';
import { appendBatch, publishBatch, sealBatch } from '../assembly/record/append';
import { checkFrame } from '../assembly/record/frame';
import { recover } from '../assembly/record/recover';
import {
  BASE, BASE_LSN, BASE_POSITION, CONTROL, EPOCH, MAPPED, SALT, add, addMany, bodyByte, fillBody, flip, fresh,
  guardIntact, indexEntry, isIndexed, view,
} from './support/segment';

const ALL: u32 = 0xffffffff;
const committed = changetype<ControlCommitted>(CONTROL + CONTROL_COMMITTED_OFFSET);
/** Where the frames of the last batch begin. */
const offsets = new StaticArray<u32>(64);

/** Bytes of the body of the i-th record of a batch. */
function bodyBytes(i: u32): u32 {
  return i * 5 % 37;
}

/** Appends a batch whose records have keys of `i % 4` bytes, as the host does: size and info first. */
function addBatch(count: u32): f64 {
  let offset = view.dataEnd;
  for (let i: u32 = 0; i < count; i++) {
    const bytes = bodyBytes(i);
    const frame = changetype<Frame>(BASE + offset);
    offsets[i] = offset;
    frame.size = 24 + bytes;
    frame.info = i << 24 | min(i % 4, bytes);
    fillBody(BASE + offset + 24, view.baseLsn + view.records + i, bytes);
    offset += (24 + bytes + 7) & ~7;
  }
  return appendBatch(view, count);
}

crcInit();

describe('appendBatch', () => {
  it('ties all records but the last together by the flag More', () => {
    fresh();
    let wrong = 0;
    for (let count: u32 = 1; count <= 9; count++) {
      addBatch(count);
      for (let i: u32 = 0; i < count; i++) {
        const flags = flagsOf(changetype<Frame>(BASE + offsets[i]).info);
        if (flags != (i + 1 < count ? 1 : 0)) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('makes every frame valid, with kind, key length, epoch, durable mark and body as given', () => {
    fresh();
    add(0, 0, 100);
    view.durable = view.dataEnd;
    const durable = view.dataEnd;
    addBatch(20);
    let wrong = 0;
    for (let i: u32 = 0; i < 20; i++) {
      const at = BASE + offsets[i];
      const lsn = BASE_LSN + 1 + i;
      const frame = changetype<Frame>(at);
      if (checkFrame(at, view.dataEnd - offsets[i], <u32>lsn, SALT) != Status.Ok) wrong++;
      if (frame.info >> 24 != i || (frame.info & 0x1ffff) != min(i % 4, bodyBytes(i))) wrong++;
      if (frame.epoch != EPOCH || frame.durable != durable || frame.size != 24 + bodyBytes(i)) wrong++;
      for (let b: u32 = 0; b < bodyBytes(i); b++) if (load<u8>(at + 24 + b) != bodyByte(lsn, b)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('returns the LSN of the last record and moves the watermark to it', () => {
    fresh();
    addMany(3);
    expect(addBatch(10)).toBe(<f64>(BASE_LSN + 12));
    expect(committed.lsn).toBe(BASE_LSN + 12);
    expect(committed.position).toBe(BASE_POSITION + (view.dataEnd - FRAMES_OFFSET));
    expect(view.records).toBe(13);
  });

  it('enters every record that is due into the index, wherever the batch began', () => {
    fresh();
    let wrong = 0;
    for (let before: u32 = 0; before < 4; before++) {
      fresh();
      addMany(before);
      addBatch(13);
      for (let i: u32 = 0; i < 13; i++) {
        if (isIndexed(before + i) && indexEntry(before + i) != offsets[i]) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('clears dirty padding of every frame', () => {
    fresh();
    memory.fill(BASE + FRAMES_OFFSET, 0xff, 4096);
    addBatch(12);
    let wrong = 0;
    for (let i: u32 = 0; i < 12; i++) {
      if (checkFrame(BASE + offsets[i], MAPPED - offsets[i], <u32>BASE_LSN + i, SALT) != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
    expect(load<u64>(BASE + view.dataEnd)).toBe(0xffffffffffffffff);
  });

  it('takes a batch of one for a single record', () => {
    fresh();
    expect(addBatch(1)).toBe(<f64>BASE_LSN);
    expect(flagsOf(changetype<Frame>(BASE + FRAMES_OFFSET).info)).toBe(0);
    expect(recover(view, MAPPED, ALL)).toBe(Status.Absent);
    expect(view.records).toBe(1);
  });

  it('writes nothing behind the segment where a batch fills it', () => {
    fresh();
    const half = (MAPPED - FRAMES_OFFSET) / 2;
    for (let i: u32 = 0; i < 2; i++) {
      changetype<Frame>(BASE + FRAMES_OFFSET + i * half).size = half;
      changetype<Frame>(BASE + FRAMES_OFFSET + i * half).info = 0;
    }
    appendBatch(view, 2);
    expect(view.dataEnd).toBe(MAPPED);
    expect(guardIntact()).toBe(true);
  });
});

describe('sealBatch and publishBatch', () => {
  it('give byte by byte what appendBatch gives, and change nothing but the index until the batch is published', () => {
    fresh();
    addMany(3);
    addBatch(11);
    const first = offsets[0];
    const bytes = view.dataEnd - first;
    const expected = new StaticArray<u8>(bytes);
    memory.copy(changetype<usize>(expected), BASE + first, bytes);

    fresh();
    addMany(3);
    const stage = new StaticArray<u64>(bytes / 8);
    const at = changetype<usize>(stage);
    memory.copy(at, changetype<usize>(expected), bytes);
    for (let offset: u32 = 0; offset < bytes;) {
      // What the host leaves to the core: everything of the header but the size and an info word without flags.
      const frame = changetype<Frame>(at + offset);
      offset += (frame.size + 7) & ~7;
      frame.crc = 0;
      frame.lsn = 0;
      frame.epoch = 0;
      frame.info &= 0xff01ffff;
    }
    const lsn = committed.lsn;
    sealBatch(view, at, 11);
    expect(memory.compare(at, changetype<usize>(expected), bytes)).toBe(0);
    expect(view.records).toBe(3);
    expect(view.dataEnd).toBe(first);
    expect(committed.lsn).toBe(lsn);
    expect(load<u64>(BASE + first)).toBe(0);

    memory.copy(BASE + first, at, bytes);
    expect(publishBatch(view, 11, first + bytes)).toBe(<f64>(BASE_LSN + 13));
    expect(view.records).toBe(14);
    expect(committed.lsn).toBe(BASE_LSN + 13);
    expect(recover(view, MAPPED, ALL)).toBe(Status.Absent);
    expect(view.records).toBe(14);
  });
});

describe('a batch after a crash', () => {
  it('is there as a whole where all its frames are', () => {
    fresh();
    addMany(2);
    addBatch(7);
    const end = view.dataEnd;
    expect(recover(view, MAPPED, ALL)).toBe(Status.Absent);
    expect(view.records).toBe(9);
    expect(view.dataEnd).toBe(end);
  });

  it('is gone as a whole whichever frame is missing or damaged', () => {
    let wrong = 0;
    for (let missing: u32 = 0; missing < 7; missing++) {
      fresh();
      addMany(2);
      const before = view.dataEnd;
      addBatch(7);
      flip(BASE + offsets[missing], missing * 3);
      recover(view, MAPPED, ALL);
      if (view.records != 2 || view.dataEnd != before) wrong++;
      fresh();
      addMany(2);
      addBatch(7);
      store<u64>(BASE + offsets[missing], 0);
      recover(view, MAPPED, ALL);
      if (view.records != 2 || view.dataEnd != before) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('is gone as a whole where the data end within it', () => {
    fresh();
    addMany(2);
    const before = view.dataEnd;
    addBatch(7);
    const end = view.dataEnd;
    let wrong = 0;
    for (let limit = before; limit < end; limit += 8) {
      recover(view, limit, ALL);
      if (view.records != 2 || view.dataEnd != before) wrong++;
    }
    recover(view, end, ALL);
    expect(wrong).toBe(0);
    expect(view.records).toBe(9);
  });

  it('takes nothing of the batch before with it', () => {
    fresh();
    addBatch(5);
    const before = view.dataEnd;
    addBatch(6);
    flip(BASE + offsets[5], 100);
    recover(view, MAPPED, ALL);
    expect(view.records).toBe(5);
    expect(view.dataEnd).toBe(before);
  });
});
