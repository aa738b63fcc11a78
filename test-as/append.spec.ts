/**
 * Appending one record: what stands in the frame, the index and the watermark afterwards, and what does not change.
 */
import { FRAMES_OFFSET, Kind } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { CONTROL_COMMITTED_OFFSET, ControlCommitted } from '../assembly/layout/control';
import { Frame } from '../assembly/layout/frame';
import { append, commit } from '../assembly/record/append';
import { checkFrame } from '../assembly/record/frame';
import {
  BASE, BASE_LSN, BASE_POSITION, CONTROL, EPOCH, MAPPED, SALT, add, addMany, bodyByte, fillBody, fresh, guardIntact,
  indexEntry, indexEntryAt, isIndexed, referenceCrc, view,
} from './support/segment';

const committed = changetype<ControlCommitted>(CONTROL + CONTROL_COMMITTED_OFFSET);

function frameAt(offset: u32): Frame {
  return changetype<Frame>(BASE + offset);
}

crcInit();

describe('append', () => {
  it('fills every field of the header', () => {
    fresh();
    view.durable = 4096;
    const at = add(Kind.Put, 5, 11);
    expect(at).toBe(FRAMES_OFFSET);
    expect(frameAt(at).size).toBe(40);
    expect(frameAt(at).lsn).toBe(<u32>BASE_LSN);
    expect(frameAt(at).durable).toBe(4096);
    expect(frameAt(at).epoch).toBe(EPOCH);
    expect(frameAt(at).info).toBe(1 << 24 | 5);
    expect(frameAt(at).crc).toBe(referenceCrc(SALT, BASE + at + 4, 36));
  });

  it('leaves key and payload as the host wrote them', () => {
    fresh();
    const at = add(0, 7, 50);
    let wrong = 0;
    for (let i: u32 = 0; i < 57; i++) if (load<u8>(BASE + at + 24 + i) != bodyByte(BASE_LSN, i)) wrong++;
    expect(wrong).toBe(0);
  });

  it('makes frames of every size valid, one behind the other at multiples of 8', () => {
    fresh();
    let wrong = 0;
    let expected: u32 = FRAMES_OFFSET;
    for (let size: u32 = 0; size < 200; size++) {
      const at = add(size & 127, size / 3, size - size / 3);
      if (at != expected || (at & 7) != 0) wrong++;
      if (checkFrame(BASE + at, view.dataEnd - at, <u32>BASE_LSN + size, SALT) != Status.Ok) wrong++;
      expected += (24 + size + 7) & ~7;
    }
    expect(wrong).toBe(0);
    expect(view.records).toBe(200);
    expect(view.dataEnd).toBe(expected);
  });

  it('returns dense LSNs beyond 32 bits, and stores their low half', () => {
    fresh();
    let wrong = 0;
    for (let i: u32 = 0; i < 6; i++) {
      const at = view.dataEnd;
      if (append(view, 0, 0) != <f64>(BASE_LSN + i) || frameAt(at).lsn != <u32>(BASE_LSN + i)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('clears dirty padding and nothing behind it', () => {
    fresh();
    memory.fill(BASE + FRAMES_OFFSET, 0xff, 128);
    append(view, 0, 13);
    expect(load<u8>(BASE + FRAMES_OFFSET + 36)).toBe(0xff);
    let dirty = 0;
    for (let i: u32 = 37; i < 40; i++) if (load<u8>(BASE + FRAMES_OFFSET + i) != 0) dirty++;
    expect(dirty).toBe(0);
    expect(load<u64>(BASE + FRAMES_OFFSET + 40)).toBe(0xffffffffffffffff);
    expect(checkFrame(BASE + FRAMES_OFFSET, 40, <u32>BASE_LSN, SALT)).toBe(Status.Ok);
  });

  it('writes no byte in front of the frame', () => {
    fresh();
    memory.fill(BASE, 0x77, FRAMES_OFFSET);
    addMany(3);
    let changed = 0;
    for (let i: usize = 0; i < FRAMES_OFFSET; i++) if (load<u8>(BASE + i) != 0x77) changed++;
    expect(changed).toBe(0);
  });

  it('enters every record that is due into the index and no other', () => {
    fresh();
    let wrong = 0;
    for (let i: u32 = 0; i < 41; i++) {
      const at = add(0, 0, i);
      if (isIndexed(i) && indexEntry(i) != at) wrong++;
    }
    expect(wrong).toBe(0);
    expect(load<u32>(indexEntryAt(40) + 4)).toBe(0xeeeeeeee);
  });

  it('moves the watermark to the LSN and the position just past the record', () => {
    fresh();
    let wrong = 0;
    for (let i: u32 = 0; i < 20; i++) {
      add(0, 0, i * 3);
      if (committed.lsn != BASE_LSN + i) wrong++;
      if (committed.position != BASE_POSITION + (view.dataEnd - FRAMES_OFFSET)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('touches nothing of CONTROL but the watermark', () => {
    fresh();
    memory.fill(CONTROL, 0x3c, 4096);
    addMany(4);
    let changed = 0;
    for (let i: usize = 0; i < 4096; i++) {
      const watermark = i >= CONTROL_COMMITTED_OFFSET && i < CONTROL_COMMITTED_OFFSET + 16;
      if (!watermark && load<u8>(CONTROL + i) != 0x3c) changed++;
    }
    expect(changed).toBe(0);
  });

  it('notes the epoch of the writer as that of the last record', () => {
    fresh();
    view.writerEpoch = EPOCH + 5;
    const at = add(0, 0, 1);
    expect(frameAt(at).epoch).toBe(EPOCH + 5);
    expect(view.epoch).toBe(EPOCH + 5);
  });

  it('fills a segment to its last byte without writing behind it', () => {
    fresh();
    fillBody(BASE + FRAMES_OFFSET + 24, BASE_LSN, MAPPED - FRAMES_OFFSET - 24);
    append(view, 0, MAPPED - FRAMES_OFFSET - 24);
    expect(view.dataEnd).toBe(MAPPED);
    expect(guardIntact()).toBe(true);
    expect(checkFrame(BASE + FRAMES_OFFSET, MAPPED - FRAMES_OFFSET, <u32>BASE_LSN, SALT)).toBe(Status.Ok);
  });
});

describe('commit', () => {
  it('publishes the end of the view', () => {
    fresh();
    view.records = 10;
    view.dataEnd = FRAMES_OFFSET + 800;
    expect(commit(view)).toBe(<f64>(BASE_LSN + 9));
    expect(committed.lsn).toBe(BASE_LSN + 9);
    expect(committed.position).toBe(BASE_POSITION + 800);
  });

  it('publishes an empty segment as the LSN before its first', () => {
    fresh();
    expect(commit(view)).toBe(<f64>(BASE_LSN - 1));
    expect(committed.position).toBe(BASE_POSITION);
  });
});
