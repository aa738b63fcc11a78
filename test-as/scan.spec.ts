/**
 * Reading: finding a record by its ordinal, checking one, checking runs, and following a writer in another process.
 */
import { FRAMES_OFFSET, Kind } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { Frame } from '../assembly/layout/frame';
import { advance, locate, read, readAt, scan } from '../assembly/record/scan';
import {
  BASE, BASE_LSN, INDEX, MAPPED, SALT, add, flip, fresh, indexEntry, indexEntryAt, isIndexed, reseal, result, view,
} from './support/segment';

const ALL: u32 = 0xffffffff;
const COUNT: u32 = 50;
const offsets = new StaticArray<u32>(65);

/** Fills the segment with COUNT records of different sizes. */
function fill(): void {
  fresh();
  for (let i: u32 = 0; i < COUNT; i++) offsets[i] = add(i % 3, i % 5, i * 11 % 71);
  offsets[COUNT] = view.dataEnd;
}

function sizeOf(ordinal: u32): u32 {
  return offsets[ordinal + 1] - offsets[ordinal];
}

crcInit();

describe('locate', () => {
  it('finds every record', () => {
    fill();
    let wrong = 0;
    for (let i: u32 = 0; i < COUNT; i++) if (locate(view, i) != offsets[i]) wrong++;
    expect(wrong).toBe(0);
  });

  it('knows no record at or behind the last', () => {
    fill();
    expect(locate(view, COUNT)).toBe(Status.OutOfRange);
    expect(locate(view, ALL)).toBe(Status.OutOfRange);
    fresh();
    expect(locate(view, 0)).toBe(Status.OutOfRange);
  });

  it('refuses index entries that lead out of the data or between frames', () => {
    fill();
    const end = view.dataEnd;
    const bad: u32[] = [end, end - 8, end + 8, ALL, ALL - 7, MAPPED, offsets[8] + 4, 0x7fffffff];
    for (let i = 0; i < bad.length; i++) {
      store<u32>(indexEntryAt(8), bad[i]);
      expect(locate(view, 8)).toBe(Status.BadIndex);
      expect(read(view, 8)).toBe(Status.BadIndex);
    }
    expect(locate(view, 12)).toBe(offsets[12]);
  });

  it('refuses a damaged size on the way, and reads nothing behind the data', () => {
    fill();
    const frame = changetype<Frame>(BASE + offsets[9]);
    const size = frame.size;
    const bad: u32[] = [0, 23, ALL, view.dataEnd - offsets[9] + 1, 0x80000000];
    for (let i = 0; i < bad.length; i++) {
      frame.size = bad[i];
      let wrong = 0;
      for (let ordinal: u32 = 0; ordinal < COUNT; ordinal++) {
        // Only records that are found by stepping over the damaged one are lost with it.
        const behind = ordinal > 9 && indexEntryAt(ordinal) == indexEntryAt(9);
        if (locate(view, ordinal) != (behind ? Status.BadIndex : offsets[ordinal])) wrong++;
      }
      expect(wrong).toBe(0);
    }
    frame.size = size;
    expect(locate(view, 10)).toBe(offsets[10]);
  });
});

describe('readAt', () => {
  it('takes each frame at its place', () => {
    fill();
    let wrong = 0;
    for (let i: u32 = 0; i < COUNT; i++) if (readAt(view, offsets[i], i) != offsets[i]) wrong++;
    expect(wrong).toBe(0);
  });

  it('refuses offsets out of the data, between frames and ordinals that there are not', () => {
    fill();
    expect(readAt(view, view.dataEnd, 3)).toBe(Status.OutOfRange);
    expect(readAt(view, ALL - 7, 3)).toBe(Status.OutOfRange);
    expect(readAt(view, offsets[3] + 4, 3)).toBe(Status.OutOfRange);
    expect(readAt(view, offsets[3], COUNT)).toBe(Status.OutOfRange);
    expect(readAt(view, offsets[3], ALL)).toBe(Status.OutOfRange);
  });

  it('never takes the inside of a record for a frame, nor a frame for another ordinal', () => {
    fill();
    let wrong = 0;
    for (let at = offsets[5]; at < offsets[12]; at += 8) {
      if (at != offsets[7] && readAt(view, at, 7) >= 0) wrong++;
    }
    expect(wrong).toBe(0);
    expect(readAt(view, offsets[7], 8)).toBe(Status.BadLsn);
  });

  it('takes nothing behind the known records, valid or not', () => {
    fill();
    view.records = 10;
    view.dataEnd = offsets[10];
    expect(readAt(view, offsets[10], 9)).toBe(Status.OutOfRange);
    // A frame that reaches beyond the data is cut short, whatever stands there.
    view.dataEnd = offsets[10] - 8;
    expect(readAt(view, offsets[9], 9)).toBe(Status.Truncated);
  });
});

describe('read', () => {
  it('finds every flipped bit of a record', () => {
    fill();
    let missed = 0;
    for (let bit: u32 = 0; bit < sizeOf(11) * 8; bit++) {
      flip(BASE + offsets[11], bit);
      if (read(view, 11) >= 0) missed++;
      flip(BASE + offsets[11], bit);
    }
    expect(missed).toBe(0);
    expect(read(view, 11)).toBe(offsets[11]);
  });

  it('still reads the records around a damaged body', () => {
    fill();
    flip(BASE + offsets[10] + 24, 3);
    let wrong = 0;
    for (let i: u32 = 0; i < COUNT; i++) if (read(view, i) != (i == 10 ? Status.BadCrc : offsets[i])) wrong++;
    expect(wrong).toBe(0);
  });
});

describe('scan', () => {
  it('checks all records and ends at the end of the data', () => {
    fill();
    expect(scan(view, FRAMES_OFFSET, 0, ALL, ALL)).toBe(COUNT);
    expect(result.status).toBe(Status.Ok);
    expect(result.records).toBe(COUNT);
    expect(result.offset).toBe(view.dataEnd);
    expect(result.lost).toBe(0);
  });

  it('begins at any record', () => {
    fill();
    let wrong = 0;
    for (let i: u32 = 0; i <= COUNT; i++) {
      if (scan(view, offsets[i], i, ALL, ALL) != COUNT - i || result.status != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('stops after so many records', () => {
    fill();
    let wrong = 0;
    for (let most: u32 = 0; most <= COUNT + 2; most++) {
      const count = min(most, COUNT);
      if (scan(view, FRAMES_OFFSET, 0, most, ALL) != count) wrong++;
      if (result.offset != offsets[count] || result.status != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('stops before the record that would exceed so many bytes, but takes one', () => {
    fill();
    let wrong = 0;
    for (let bytes: u32 = 0; bytes <= 600; bytes++) {
      let count: u32 = 1;
      while (count < COUNT && offsets[5 + count + 1] - offsets[5] <= bytes) count++;
      if (scan(view, offsets[5], 5, ALL, bytes) != count || result.status != Status.Ok) wrong++;
      if (result.offset != offsets[5 + count]) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('stops at a damaged frame, says why, and goes on behind it', () => {
    fill();
    let wrong = 0;
    for (let bad: u32 = 0; bad < COUNT; bad++) {
      flip(BASE + offsets[bad] + 8, bad);
      if (scan(view, FRAMES_OFFSET, 0, ALL, ALL) != bad || result.status == Status.Ok) wrong++;
      if (result.offset != offsets[bad]) wrong++;
      if (scan(view, offsets[bad + 1], bad + 1, ALL, ALL) != COUNT - bad - 1 || result.status != Status.Ok) wrong++;
      flip(BASE + offsets[bad] + 8, bad);
    }
    expect(wrong).toBe(0);
  });

  it('says of a size that breaks the limit of bytes that it is damaged where it is the first', () => {
    fill();
    changetype<Frame>(BASE + offsets[4]).size = 0xfffffff8;
    expect(scan(view, offsets[4], 4, ALL, 4096)).toBe(0);
    expect(result.status).toBe(Status.BadSize);
    expect(scan(view, offsets[3], 3, ALL, 4096)).toBe(1);
    expect(result.offset).toBe(offsets[4]);
  });

  it('finds a frame in the place of another', () => {
    fill();
    expect(scan(view, offsets[6], 7, ALL, ALL)).toBe(0);
    expect(result.status).toBe(Status.BadLsn);
  });

  it('counts the placeholders of a repair', () => {
    fill();
    for (let i: u32 = 10; i < 13; i++) {
      const frame = changetype<Frame>(BASE + offsets[i]);
      frame.info = frame.info & 0xffffff | <u32>Kind.Lost << 24;
      reseal(BASE + offsets[i], SALT);
    }
    expect(scan(view, FRAMES_OFFSET, 0, ALL, ALL)).toBe(COUNT);
    expect(result.lost).toBe(3);
    expect(scan(view, FRAMES_OFFSET, 0, 12, ALL)).toBe(12);
    expect(result.lost).toBe(2);
  });

  it('takes nothing of an empty segment', () => {
    fresh();
    expect(scan(view, FRAMES_OFFSET, 0, ALL, ALL)).toBe(0);
    expect(result.status).toBe(Status.Ok);
    expect(result.offset).toBe(FRAMES_OFFSET);
  });
});

describe('advance', () => {
  it('takes notice of the records that were committed since, and of no more', () => {
    fill();
    view.records = 3;
    view.dataEnd = offsets[3];
    memory.fill(INDEX + 4, 0xee, 200);
    expect(advance(view, 20)).toBe(Status.Ok);
    expect(view.records).toBe(20);
    expect(view.dataEnd).toBe(offsets[20]);
    let wrong = 0;
    for (let i: u32 = 4; i < 20; i++) if (isIndexed(i) && indexEntry(i) != offsets[i]) wrong++;
    expect(wrong).toBe(0);
    expect(indexEntry(20)).toBe(0xeeeeeeee);
    expect(advance(view, COUNT)).toBe(Status.Ok);
    expect(view.dataEnd).toBe(offsets[COUNT]);
  });

  it('does nothing where it knows as much already', () => {
    fill();
    expect(advance(view, COUNT)).toBe(Status.Ok);
    expect(advance(view, 5)).toBe(Status.Ok);
    expect(view.records).toBe(COUNT);
    expect(view.dataEnd).toBe(offsets[COUNT]);
  });

  it('stops where a promised frame is not there', () => {
    fill();
    expect(advance(view, COUNT + 1)).toBe(Status.BadSize);
    expect(view.records).toBe(COUNT);
    expect(view.dataEnd).toBe(offsets[COUNT]);
  });

  it('stops where the file ends, which it must not touch behind', () => {
    fill();
    view.records = 0;
    view.dataEnd = FRAMES_OFFSET;
    view.mapped = offsets[9] + 16;
    expect(advance(view, COUNT)).toBe(Status.Truncated);
    expect(view.records).toBe(9);
    view.mapped = offsets[9] + 24;
    expect(advance(view, COUNT)).toBe(sizeOf(9) > 24 ? Status.Truncated : Status.Ok);
    view.mapped = MAPPED;
    expect(advance(view, COUNT)).toBe(Status.Ok);
    expect(view.records).toBe(COUNT);
    expect(view.baseLsn).toBe(BASE_LSN);
  });
});
