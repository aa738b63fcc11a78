/**
 * Each bit of a cursor's file flipped in turn, of one that was saved once and of one that was saved several times: the
 * position of the other slot, or a typed error; never a position that is wrong, and never a new cursor. Flips behind a
 * slot harm nobody. So it is with every beginning of a slot that a torn write can leave.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { CURSOR_BYTES, CURSOR_SLOT_BYTES, CURSOR_SLOT_STRIDE } from '../../host/generated/abi.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { appendAll, failure, giveCore, takeCore, texts } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const PATH = '/store/cursors/mailer.cursor';
const core = takeCore('baseline', 16 << 20);

/** A log whose cursor has stored these positions, the last one in slot A. */
function stored(lsns: readonly number[]): { disk: SimulatedDisk; log: RecordLog; bytes: Uint8Array } {
  const disk = new SimulatedDisk();
  const writer = RecordLog.openSync('/store', { core, storage: disk.storage(), segmentBytes: 65536 });
  appendAll(writer, texts(9));
  const cursor = writer.cursor('mailer');
  for (const lsn of lsns) cursor.saveNow(lsn);
  cursor.closeSync();
  logs.push(writer);
  return { disk, log: writer, bytes: disk.read(PATH)! };
}

const logs: RecordLog[] = [];
const tally = { flips: 0, older: 0, newer: 0, refused: 0 };
afterAll(() => {
  for (const each of logs) each.closeSync();
  giveCore(core);
  console.info('flips in cursors:', tally);
});

/** The slot that a byte of the file is in, or -1. */
function slotOf(at: number): number {
  return at % CURSOR_SLOT_STRIDE < CURSOR_SLOT_BYTES ? Math.floor(at / CURSOR_SLOT_STRIDE) : -1;
}

describe('a cursor whose file has a flipped bit', () => {
  it('stands where the other slot says', () => {
    const { disk, log, bytes } = stored([3, 5, 8]);
    for (let bit = 0; bit < CURSOR_BYTES * 8; bit++) {
      const at = bit >> 3;
      disk.tamper(PATH, at, Uint8Array.of(bytes[at]! ^ (1 << (bit & 7))));
      const expected = slotOf(at) === 0 ? 5 : 8;
      const [listed] = log.cursors();
      if (listed?.lsn !== expected) expect([at, bit & 7, listed]).toEqual([at, bit & 7, { lsn: expected }]);
      // Opening is slow enough to leave out most of the zeros.
      if (slotOf(at) >= 0 || bit % 61 === 0) {
        using cursor = log.cursor('mailer');
        expect([at, cursor.lsn, cursor.epoch]).toEqual([at, expected, 1]);
      }
      disk.tamper(PATH, 0, bytes);
      tally.flips++;
      tally[expected === 5 ? 'older' : 'newer']++;
    }
    expect([tally.flips, tally.older]).toEqual([CURSOR_BYTES * 8, CURSOR_SLOT_BYTES * 8]);
  });

  it('is refused where there is no other slot, or a flip in each', () => {
    const once = stored([3]);
    const twice = stored([3, 5]);
    for (let bit = 0; bit < CURSOR_SLOT_BYTES * 8; bit++) {
      const at = bit >> 3;
      const flipped = (bytes: Uint8Array, from: number) => Uint8Array.of(bytes[from + at]! ^ (1 << (bit & 7)));
      once.disk.tamper(PATH, at, flipped(once.bytes, 0));
      twice.disk.tamper(PATH, at, flipped(twice.bytes, 0));
      twice.disk.tamper(PATH, CURSOR_SLOT_STRIDE + at, flipped(twice.bytes, CURSOR_SLOT_STRIDE));
      for (const { disk, log, bytes } of [once, twice]) {
        expect(failure('ERR_VARVE_CORRUPT', () => log.cursor('mailer')).details)
          .toMatchObject({ path: PATH, name: 'mailer', status: at < 8 ? 'BadMagic' : 'BadHeader' });
        expect(log.cursors()).toEqual([{ name: 'mailer', damaged: true }]);
        disk.tamper(PATH, 0, bytes);
        tally.refused++;
      }
    }
    expect([once.log.cursors()[0]!.lsn, twice.log.cursors()[0]!.lsn]).toEqual([3, 5]);
  });
});

describe('a cursor whose last save was torn', () => {
  it('stands at that save or at the one before, wherever it was torn', () => {
    const { disk, log, bytes: before } = stored([3, 5, 8]);
    {
      using cursor = log.cursor('mailer');
      cursor.saveNow(9);
    }
    const after = disk.read(PATH)!;
    const found = new Set<number | undefined>();
    for (let torn = 0; torn <= CURSOR_SLOT_BYTES; torn++) {
      for (const [first, second] of [[after, before], [before, after]] as const) {
        const bytes = after.slice();
        bytes.set(first.subarray(CURSOR_SLOT_STRIDE, CURSOR_SLOT_STRIDE + torn), CURSOR_SLOT_STRIDE);
        bytes.set(second.subarray(CURSOR_SLOT_STRIDE + torn, CURSOR_SLOT_STRIDE + CURSOR_SLOT_BYTES),
          CURSOR_SLOT_STRIDE + torn);
        disk.tamper(PATH, 0, bytes);
        using cursor = log.cursor('mailer');
        expect([8, 9]).toContain(cursor.lsn);
        found.add(cursor.lsn);
      }
    }
    expect(found).toEqual(new Set([8, 9]));
  });
});
