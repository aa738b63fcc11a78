/**
 * Each bit of a small store that a crash left open flipped in turn, and each third one of a store that was closed. For
 * each region it is stated what opening for writing does and how many intact records must still be readable, by the
 * writer and by a reader. Nowhere may anything be read that was not written, be missing without a word, or crash.
 *
 * Why flips in a region can be harmless: CONTROL can be made anew from the segments; index and footer from the frames;
 * what lies between the structures is zero and read by nobody.
 */
import { afterAll, describe, expect, it } from 'vitest';
import {
  CONTROL_BYTES, CONTROL_COMMITTED_OFFSET, CONTROL_MARKS_OFFSET, CONTROL_MARKS_STRIDE, CONTROL_WAKE_OFFSET,
  CONTROL_WRITER_OFFSET, Control, ControlCommitted, ControlMarks, ControlWriter, FRAMES_OFFSET, SegmentHeader,
} from '../../host/generated/abi.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { disposeNow, giveCore, logFixture, takeCore, textOf } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const DIRECTORY = '/store';
const SEGMENTS = [`${DIRECTORY}/00000000000000000001.seg`, `${DIRECTORY}/00000000000000000005.seg`] as const;
const CONTROL = `${DIRECTORY}/CONTROL`;
/** Lengths with 0 to 7 bytes of padding. Four in the first segment, six in the second, of which two not synced. */
const TEXTS = ['eight ch', 'a', 'three', '', 'nine char', 'seven c', 'x', 'thirteen char', 'unsynced', 'the last'];
const SYNCED = 8;
const core = takeCore('simd', 16 << 20);
const tally = { flips: 0, refused: 0, cut: 0, repaired: 0 };
afterAll(() => {
  giveCore(core);
  console.info('bit flips:', tally);
});

/** Where a flip is, and what must follow. */
interface Region {
  readonly name: string;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  /** Whether opening for writing is refused; else how many records it must be able to read. */
  readonly writer: 'refused' | number;
  /** How many records a reader must be able to read. */
  readonly reader: number;
  /** Whether `check` must say that something is amiss. */
  readonly told: boolean;
  /** Only every so many-th bit. */
  readonly every?: number;
}

interface Store {
  readonly disk: SimulatedDisk;
  readonly regions: readonly Region[];
}

function makeStore(closed: boolean): Store {
  let disk = new SimulatedDisk();
  const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: 65536 });
  for (const text of TEXTS.slice(0, 4)) log.append(text, { kind: 1, key: text });
  log.rotate();
  for (const text of TEXTS.slice(4, SYNCED)) log.append(text);
  log.syncNow();
  log.appendBatch(TEXTS.slice(SYNCED, SYNCED + 1));
  log.append(TEXTS[SYNCED + 1]!);
  const refs = TEXTS.map((_, at) => log.refOf(at + 1));
  if (!closed) disk = disk.clone();
  log.closeSync();
  const everything = TEXTS.length;
  const harmless = { path: CONTROL, writer: everything, reader: everything, told: false };
  const regions: Region[] = [
    { ...harmless, name: 'the identity of CONTROL', from: 0, to: Control.BYTES },
    { ...harmless, name: 'the writer group', from: CONTROL_WRITER_OFFSET, to: CONTROL_WRITER_OFFSET + ControlWriter.BYTES },
    ...[0, CONTROL_MARKS_STRIDE].map((at) => ({ ...harmless, name: `the marks at ${at}`, from: CONTROL_MARKS_OFFSET + at,
      to: CONTROL_MARKS_OFFSET + at + ControlMarks.BYTES })),
    { ...harmless, name: 'the committed watermark', from: CONTROL_COMMITTED_OFFSET,
      to: CONTROL_COMMITTED_OFFSET + ControlCommitted.BYTES },
    { ...harmless, name: 'the wake word', from: CONTROL_WAKE_OFFSET, to: CONTROL_WAKE_OFFSET + 4 },
    { ...harmless, name: 'the zeros of CONTROL', from: CONTROL_WAKE_OFFSET + 4, to: CONTROL_BYTES, every: 997 },
  ];
  SEGMENTS.forEach((path, at) => {
    const mine = refs.filter(({ segment }) => segment === (at === 0 ? 1 : 5));
    const end = mine.at(-1)!.offset + ((mine.at(-1)!.size + 7) & ~7);
    const { length } = disk.read(path)!;
    const sealed = closed || at === 0;
    regions.push(
      { name: `the header of segment ${at}`, path, from: 0, to: SegmentHeader.BYTES, writer: 'refused',
        reader: at === 0 ? 6 : 4, told: true },
      { ...harmless, name: `the zeros of the header page of segment ${at}`, path, from: SegmentHeader.BYTES,
        to: FRAMES_OFFSET, every: 997 },
      { ...harmless, name: sealed ? `index and footer of segment ${at}` : 'the unwritten rest', path, from: end, to: length,
        ...sealed ? {} : { every: 9973 } });
    for (const { lsn, offset, size } of mine) {
      // In a sealed segment that is known to be on disk, only the record itself is lost. In the active one, everything
      // behind is, until a repair; but what no sync had covered is cut, as no flip can be told from a torn write.
      const known = lsn - 1;
      regions.push({ name: `record ${lsn}`, path, from: offset, to: offset + ((size + 7) & ~7), told: true,
        writer: sealed ? everything - 1 : lsn <= SYNCED ? 'refused' : known,
        reader: sealed ? everything - 1 : known });
    }
  });
  return { disk, regions };
}

/** Reads every record by itself and by a scan; returns the LSNs that were intact. Throws where one is wrong. */
function intactOf(log: RecordLog, list: readonly string[] = TEXTS): Set<number> {
  const intact = new Set<number>();
  for (let lsn = 1; lsn <= list.length; lsn++) {
    try {
      const record = log.read(lsn);
      if (textOf(record) !== list[lsn - 1] || record.lsn !== lsn) throw new Error(`record ${lsn} is wrong`);
      intact.add(lsn);
    } catch (error) {
      const { code } = error as { code?: string };
      if (!/^ERR_VARVE_(CORRUPT|OUT_OF_RANGE|RECORD_LOST)$/.test(code ?? '')) throw error;
    }
  }
  try {
    for (const record of log.scan()) if (textOf(record) !== list[record.lsn - 1]) throw new Error('a scan is wrong');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_VARVE_CORRUPT') throw error;
  }
  return intact;
}

function missing(intact: Set<number>): number[] {
  return TEXTS.map((_, at) => at + 1).filter((lsn) => !intact.has(lsn));
}

function judgeReader(open: () => RecordLog, region: Region): void {
  const reader = open();
  const intact = intactOf(reader);
  const { outcome } = reader.check();
  expect(intact.size, 'records that a reader can read').toBeGreaterThanOrEqual(region.reader);
  if (region.told || intact.size < TEXTS.length) expect(outcome, 'what check says').not.toBe('ok');
  reader.closeSync();
}

/** Opens for writing; whether it was refused. */
function judgeWriter(open: () => RecordLog, region: Region, digest: () => string): boolean {
  const before = digest();
  let log: RecordLog;
  try {
    log = open();
  } catch (error) {
    expect((error as { code?: string }).code).toMatch(/^ERR_VARVE_(CORRUPT|NEWER_VERSION)$/);
    expect(region.writer).toBe('refused');
    expect(digest(), 'a refused store is left as it was').toBe(before);
    return true;
  }
  expect(region.writer).not.toBe('refused');
  const intact = intactOf(log);
  expect(intact.size, 'records that the writer can read').toBeGreaterThanOrEqual(region.writer as number);
  const { outcome } = log.recovery;
  for (const lsn of missing(intact)) {
    // What is not there was not durable, and was reported; what is damaged says so when it is read.
    if (lsn > log.lastLsn) expect([lsn > SYNCED, outcome, log.recovery.cutFiles.length > 0]).toEqual([true, 'cut', true]);
  }
  const list = [...TEXTS.slice(0, log.lastLsn), 'more'];
  expect(log.append('more')).toBe(list.length);
  log.closeSync();
  const again = open();
  expect(intactOf(again, list)).toEqual(new Set([...intact, list.length]));
  again.closeSync();
  if (outcome === 'cut') tally.cut++;
  return false;
}

function note(error: unknown, region: Region, at: number, bit: number): never {
  (error as Error).message += ` [bit ${bit} of byte ${at - region.from} of ${region.name}]`;
  throw error;
}

for (const closed of [false, true]) {
  describe(closed ? 'a store that was closed' : 'a store that a crash left open', () => {
    const { disk, regions } = makeStore(closed);

    for (const region of regions) {
      it(`survives each flip in ${region.name}`, async () => {
        for (let bit = 0; bit < (region.to - region.from) * 8; bit += region.every ?? (closed ? 3 : 1)) {
          const at = region.from + (bit >> 3);
          const copy = disk.clone();
          const byte = copy.read(region.path)![at]! ^ (1 << (bit & 7));
          copy.tamper(region.path, at, Uint8Array.of(byte));
          const options = { core, segmentBytes: 65536 };
          tally.flips++;
          try {
            const reading = copy.storage({ pid: 7 });
            judgeReader(() => RecordLog.openSync(DIRECTORY, { ...options, storage: reading, readOnly: true }), region);
            const damaged = bit % 16 === 0 ? copy.clone() : undefined;
            const writing = copy.storage({ pid: 8 });
            const refused = judgeWriter(() => RecordLog.openSync(DIRECTORY, { ...options, storage: writing }), region,
              () => (bit % 5 === 0 ? copy.digest() : ''));
            if (refused) tally.refused++;
            copy.check();
            if (refused && damaged !== undefined && /record/.test(region.name)) await repaired(damaged, region);
          } catch (error) {
            note(error, region, at, bit & 7);
          }
        }
      });
    }
  });
}

/** After a repair all records but the damaged one are there. */
async function repaired(disk: SimulatedDisk, region: Region): Promise<void> {
  const storage = disk.storage({ pid: 9 });
  await RecordLog.repair(DIRECTORY, { core, storage });
  const log = RecordLog.openSync(DIRECTORY, { core, storage });
  expect(missing(intactOf(log))).toEqual([Number(/\d+/.exec(region.name)![0])]);
  log.closeSync();
  tally.repaired++;
}

describe('on the real disk', () => {
  it('a store survives some flips in each region', () => {
    for (const closed of [false, true]) {
      const { disk, regions } = makeStore(closed);
      for (const region of regions) {
        const step = Math.max(1, Math.floor(((region.to - region.from) * 8) / 9)) | 1;
        for (let bit = 0; bit < (region.to - region.from) * 8; bit += step) {
          const fixture = logFixture('real', 'baseline');
          for (const path of disk.paths()) fixture.put(path.slice(DIRECTORY.length + 1), disk.read(path)!);
          const at = region.from + (bit >> 3);
          const name = region.path.slice(DIRECTORY.length + 1);
          fixture.tamper(name, at, Uint8Array.of(fixture.bytes(name)[at]! ^ (1 << (bit & 7))));
          tally.flips++;
          try {
            judgeReader(() => fixture.openReader(), region);
            judgeWriter(() => fixture.openSync(), region,
              () => fixture.names().map((each) => Buffer.from(fixture.bytes(each)).toString('latin1')).join());
          } catch (error) {
            note(error, region, at, bit & 7);
          }
          disposeNow(fixture);
        }
      }
    }
  });
});
