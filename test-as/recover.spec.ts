/**
 * Recovery of one segment: the longest valid prefix, and what is found behind it.
 */
import { FRAMES_OFFSET } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { Frame } from '../assembly/layout/frame';
import { findLater, recover } from '../assembly/record/recover';
import {
  BASE, BASE_LSN, EPOCH, INDEX, INDEX_BYTES, MAPPED, SALT, add, fillBody, flip, fresh, indexEntry, indexEntryAt,
  isIndexed, putFrame, reseal, result, view,
} from './support/segment';

const ALL: u32 = 0xffffffff;
const COUNT: u32 = 30;
const offsets = new StaticArray<u32>(65);

/** Fills the segment with COUNT records, then makes the view forget them. */
function fill(): void {
  fresh();
  for (let i: u32 = 0; i < COUNT; i++) {
    view.durable = i < 10 ? 0 : offsets[i - 5];
    view.writerEpoch = EPOCH + i / 10;
    offsets[i] = add(0, i % 3, i * 13 % 67);
  }
  offsets[COUNT] = view.dataEnd;
  forget();
}

function forget(): void {
  view.records = 0;
  view.dataEnd = FRAMES_OFFSET;
  view.epoch = EPOCH;
  memory.fill(INDEX, 0xee, INDEX_BYTES);
}

/** Recovers and says whether exactly `records` were found, for `status`. */
function finds(records: u32, status: Status): bool {
  forget();
  const found = recover(view, MAPPED, ALL);
  return found == status && view.records == records && view.dataEnd == offsets[records]
    && result.status == status && result.dataEnd == offsets[records];
}

crcInit();

describe('recover', () => {
  it('finds every record of an intact segment, and ends at the zeros', () => {
    fill();
    expect(finds(COUNT, Status.Absent)).toBe(true);
    expect(result.records).toBe(COUNT);
    expect(result.offset).toBe(offsets[COUNT]);
    expect(view.epoch).toBe(EPOCH + 2);
    expect(result.epoch).toBe(EPOCH + 2);
    expect(result.durable).toBe(offsets[COUNT - 6]);
  });

  it('builds the index of the records that it takes', () => {
    fill();
    recover(view, MAPPED, ALL);
    let wrong = 0;
    for (let i: u32 = 0; i < COUNT; i++) if (isIndexed(i) && indexEntry(i) != offsets[i]) wrong++;
    expect(wrong).toBe(0);
    expect(load<u32>(indexEntryAt(COUNT - 1) + 4)).toBe(0xeeeeeeee);
  });

  it('ends with Ok where the frames fill the limit exactly', () => {
    fill();
    expect(recover(view, offsets[COUNT], ALL)).toBe(Status.Ok);
    expect(view.records).toBe(COUNT);
    forget();
    expect(recover(view, FRAMES_OFFSET, ALL)).toBe(Status.Ok);
    expect(view.records).toBe(0);
  });

  it('takes whole frames only, wherever the limit is', () => {
    fill();
    let wrong = 0;
    for (let limit: u32 = FRAMES_OFFSET; limit <= offsets[COUNT]; limit += 8) {
      forget();
      let count: u32 = 0;
      while (count < COUNT && offsets[count + 1] <= limit) count++;
      const status = recover(view, limit, ALL);
      if (view.records != count || view.dataEnd != offsets[count]) wrong++;
      if (status != (limit == offsets[count] ? Status.Ok : Status.Truncated)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('takes at most so many records', () => {
    fill();
    let wrong = 0;
    for (let most: u32 = 0; most <= COUNT; most++) {
      forget();
      if (recover(view, MAPPED, most) != Status.Ok || view.records != most || view.dataEnd != offsets[most]) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('ends in front of a damaged frame, whichever it is', () => {
    fill();
    let wrong = 0;
    for (let bad: u32 = 0; bad < COUNT; bad++) {
      flip(BASE + offsets[bad], 3 + bad);
      if (!finds(bad, Status.BadCrc)) wrong++;
      if (result.offset != offsets[bad] || result.records != bad) wrong++;
      flip(BASE + offsets[bad], 3 + bad);
    }
    expect(wrong).toBe(0);
    expect(finds(COUNT, Status.Absent)).toBe(true);
  });

  it('finds a torn last frame at every length', () => {
    fill();
    const last = offsets[COUNT - 1];
    const size = changetype<Frame>(BASE + last).size;
    let wrong = 0;
    for (let length: u32 = 0; length <= size; length++) {
      fill();
      memory.fill(BASE + last + length, 0, offsets[COUNT] - last - length);
      forget();
      recover(view, MAPPED, ALL);
      const count = length < size ? COUNT - 1 : COUNT;
      if (view.records != count || view.dataEnd != offsets[count]) wrong++;
      if ((result.status == Status.Absent) != (length == 0 || length == size)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('ends where the epoch goes back, and takes epochs that rise or stay', () => {
    fill();
    const frame = changetype<Frame>(BASE + offsets[15]);
    const epoch = frame.epoch;
    frame.epoch = epoch - 1;
    reseal(BASE + offsets[15], SALT);
    expect(finds(15, Status.BadEpoch)).toBe(true);
    frame.epoch = epoch + 1;
    reseal(BASE + offsets[15], SALT);
    expect(finds(16, Status.BadEpoch)).toBe(true);
    frame.epoch = epoch;
    reseal(BASE + offsets[15], SALT);
    expect(finds(COUNT, Status.Absent)).toBe(true);
  });

  it('refuses a first record of an epoch before that of the segment', () => {
    fill();
    view.epoch = EPOCH + 1;
    expect(recover(view, MAPPED, ALL)).toBe(Status.BadEpoch);
    expect(view.records).toBe(0);
    expect(view.epoch).toBe(EPOCH + 1);
  });

  it('ends where the LSN is not the next', () => {
    fill();
    changetype<Frame>(BASE + offsets[9]).lsn += 1;
    reseal(BASE + offsets[9], SALT);
    expect(finds(9, Status.BadLsn)).toBe(true);
  });

  it('takes no frame of an older life of the file', () => {
    fill();
    fillBody(BASE + offsets[COUNT] + 24, 1, 40);
    putFrame(BASE + offsets[COUNT], 64, 0, BASE_LSN + COUNT, 0, EPOCH + 2, SALT + 1);
    expect(finds(COUNT, Status.BadCrc)).toBe(true);
    putFrame(BASE + offsets[COUNT], 64, 0, BASE_LSN + COUNT, 0, EPOCH + 2, SALT);
    forget();
    recover(view, MAPPED, ALL);
    expect(view.records).toBe(COUNT + 1);
  });

  it('says where an unfinished batch ends without taking it', () => {
    fill();
    for (let i: u32 = 20; i < 23; i++) {
      changetype<Frame>(BASE + offsets[i]).info |= 1 << 17;
      reseal(BASE + offsets[i], SALT);
    }
    store<u64>(BASE + offsets[23], 0);
    expect(finds(20, Status.Absent)).toBe(true);
    expect(result.records).toBe(23);
    expect(result.offset).toBe(offsets[23]);
    expect(view.epoch).toBe(EPOCH + 1);
  });

  it('changes no byte of the file', () => {
    fill();
    flip(BASE + offsets[20], 77);
    memory.copy(BASE + MAPPED / 2, BASE, MAPPED / 4);
    recover(view, MAPPED / 4, ALL);
    findLater(view, offsets[20], MAPPED / 4, 20);
    expect(memory.compare(BASE + MAPPED / 2, BASE, MAPPED / 4)).toBe(0);
  });
});

describe('findLater', () => {
  it('finds the next valid frame behind every damaged one', () => {
    fill();
    let wrong = 0;
    for (let bad: u32 = 0; bad + 1 < COUNT; bad++) {
      flip(BASE + offsets[bad], 40 + bad);
      if (findLater(view, offsets[bad], MAPPED, bad) != offsets[bad + 1] || result.records != bad + 1) wrong++;
      flip(BASE + offsets[bad], 40 + bad);
    }
    expect(wrong).toBe(0);
  });

  it('finds a frame far behind destroyed ones, and its ordinal', () => {
    fill();
    memory.fill(BASE + offsets[3], 0xab, offsets[17] - offsets[3]);
    expect(findLater(view, offsets[3], MAPPED, 3)).toBe(offsets[17]);
    expect(result.records).toBe(17);
  });

  it('finds nothing behind the last frame, in zeros, in ones, or in an empty range', () => {
    fill();
    expect(findLater(view, offsets[COUNT], MAPPED, COUNT)).toBe(0);
    expect(result.records).toBe(0);
    expect(result.durable).toBe(0);
    memory.fill(BASE + offsets[COUNT], 0xff, MAPPED - offsets[COUNT]);
    expect(findLater(view, offsets[COUNT], MAPPED, COUNT)).toBe(0);
    expect(findLater(view, offsets[COUNT], offsets[COUNT], COUNT)).toBe(0);
    expect(findLater(view, MAPPED, MAPPED, COUNT)).toBe(0);
  });

  it('does not count frames of earlier records', () => {
    fill();
    const at = offsets[COUNT] + 64;
    fillBody(BASE + at + 24, 1, 16);
    putFrame(BASE + at, 40, 0, BASE_LSN + COUNT - 1, 0, EPOCH, SALT);
    expect(findLater(view, offsets[COUNT], MAPPED, COUNT)).toBe(0);
    putFrame(BASE + at, 40, 0, BASE_LSN + COUNT, 0, EPOCH, SALT);
    expect(findLater(view, offsets[COUNT], MAPPED, COUNT)).toBe(at);
    expect(result.records).toBe(COUNT);
  });

  it('does not count frames whose LSN the range has no room for', () => {
    fill();
    const from = offsets[COUNT];
    const most = (MAPPED - from) / 24;
    putFrame(BASE + from + 64, 40, 0, BASE_LSN + COUNT + most + 1, 0, EPOCH, SALT);
    expect(findLater(view, from, MAPPED, COUNT)).toBe(0);
    putFrame(BASE + from + 64, 40, 0, BASE_LSN + COUNT + most, 0, EPOCH, SALT);
    expect(findLater(view, from, MAPPED, COUNT)).toBe(from + 64);
  });

  it('ignores what looks like frames but has the wrong checksum or another salt', () => {
    fill();
    const from = offsets[COUNT];
    let at = from;
    for (let i: u32 = 0; i < 40; i++) {
      fillBody(BASE + at + 24, i, 40);
      const stride = putFrame(BASE + at, 24 + i, 0, BASE_LSN + COUNT + i, from, EPOCH, SALT ^ (1 + i));
      at += stride;
    }
    expect(findLater(view, from, MAPPED, COUNT)).toBe(0);
    expect(result.durable).toBe(0);
    putFrame(BASE + at, 32, 0, BASE_LSN + COUNT + 40, 0, EPOCH, SALT);
    expect(findLater(view, from, MAPPED, COUNT)).toBe(at);
    expect(result.records).toBe(COUNT + 40);
  });

  it('reads no frame that reaches beyond the limit', () => {
    fill();
    const last = offsets[COUNT - 1];
    expect(findLater(view, last, offsets[COUNT], COUNT - 1)).toBe(last);
    let wrong = 0;
    for (let limit = last; limit < offsets[COUNT]; limit += 8) {
      if (findLater(view, last, limit, COUNT - 1) != 0) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('reports the highest durable mark of all frames that it finds', () => {
    fill();
    flip(BASE + offsets[8], 99);
    findLater(view, offsets[8], MAPPED, 8);
    expect(result.durable).toBe(offsets[COUNT - 6]);
    // With the frames that carry marks gone, no evidence of a sync is left.
    memory.fill(BASE + offsets[10], 0, offsets[COUNT] - offsets[10]);
    expect(findLater(view, offsets[8], MAPPED, 8)).toBe(offsets[9]);
    expect(result.durable).toBe(0);
  });
});
