/**
 * Each bit of a small store flipped in turn: of one that a crash left open, and of one that was closed. For each region
 * it is stated what opening for writing does and how many intact records there are then, for the writer and for a
 * reader. Nowhere may anything be read that was not written, be missing without a word, or crash.
 *
 * Why flips in a region can be harmless: CONTROL can be made anew from the segments; index and footer from the frames;
 * what lies between the structures is zero and read by nobody. Of these zeros, which are the most of a store, a plain
 * run flips each bit in one of eight rounds, all bytes at once, and some by themselves; the laboratory flips each by
 * itself.
 */
import { afterAll, describe, expect, it } from 'vitest';
import {
  CONTROL_BYTES, CONTROL_COMMITTED_OFFSET, CONTROL_MARKS_OFFSET, CONTROL_MARKS_STRIDE, CONTROL_WAKE_OFFSET,
  CONTROL_WRITER_OFFSET, Control, ControlCommitted, ControlMarks, ControlWriter, FRAMES_OFFSET, SegmentHeader,
} from '../../host/generated/abi.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { disposeNow, giveCore, logFixture, takeCore, textOf } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { laboratoryFactor, newTally } from '../support/tally.ts';

const DIRECTORY = '/store';
const SEGMENTS = [`${DIRECTORY}/00000000000000000001.seg`, `${DIRECTORY}/00000000000000000004.seg`] as const;
const CONTROL = `${DIRECTORY}/CONTROL`;
/** Lengths with 0 to 7 bytes of padding. Three in the first segment, five in the second, of which two not synced. */
const TEXTS = ['eight ch', 'a', 'three', '', 'nine char', 'seven c', 'unsynced', 'the last'];
const FIRST = 3;
const SYNCED = 6;
/** Every so many-th bit of the zeros is flipped by itself. */
const STEP = laboratoryFactor() >= 10 ? 1 : 997;
const core = takeCore('simd', 16 << 20);
const tally = newTally('bit flips');
afterAll(() => {
  giveCore(core);
  tally.report();
});

/** Where a flip is, and what must follow. */
interface Region {
  readonly name: string;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  /** Whether opening for writing is refused; else how many records the writer can read. */
  readonly writer: 'refused' | number;
  /** How many records a reader can read. */
  readonly reader: number;
  /** Whether `check` must say that something is amiss. */
  readonly told: boolean;
  /** Whether there is nothing but zeros, which nobody reads. */
  readonly zeros?: boolean;
}

interface Store {
  readonly disk: SimulatedDisk;
  readonly regions: readonly Region[];
}

function makeStore(closed: boolean): Store {
  let disk = new SimulatedDisk();
  const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: 65536 });
  for (const text of TEXTS.slice(0, FIRST)) log.append(text, { kind: 1, key: text });
  log.rotate();
  for (const text of TEXTS.slice(FIRST, SYNCED)) log.append(text);
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
    { ...harmless, name: 'the zeros of CONTROL', from: CONTROL_WAKE_OFFSET + 4, to: CONTROL_BYTES, zeros: true },
  ];
  SEGMENTS.forEach((path, at) => {
    const mine = refs.filter(({ segment }) => segment === (at === 0 ? 1 : FIRST + 1));
    const end = mine.at(-1)!.offset + ((mine.at(-1)!.size + 7) & ~7);
    const { length } = disk.read(path)!;
    const sealed = closed || at === 0;
    regions.push(
      { name: `the header of segment ${at}`, path, from: 0, to: SegmentHeader.BYTES, writer: 'refused',
        reader: at === 0 ? everything - FIRST : FIRST, told: true },
      { ...harmless, name: `the zeros of the header page of segment ${at}`, path, from: SegmentHeader.BYTES,
        to: FRAMES_OFFSET, zeros: true },
      { ...harmless, name: sealed ? `index and footer of segment ${at}` : 'the unwritten rest', path, from: end, to: length,
        zeros: !sealed });
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
  tally.add('records', intact.size);
  const { outcome } = reader.check();
  expect(intact.size, 'records that a reader can read').toBe(region.reader);
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
  expect(intact.size, 'records that the writer can read').toBe(region.writer as number);
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
  if (outcome === 'cut') tally.count('cut');
  return false;
}

function note(error: unknown, region: Region, { name }: Flip): never {
  (error as Error).message += ` [${name} of ${region.name}]`;
  throw error;
}

/** Bytes that take the place of others. */
interface Flip {
  readonly name: string;
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly bit: number;
}

/** Each flip of a region, one after the other. */
function* flipsOf({ from, to, zeros }: Region, file: Uint8Array, step: number): Generator<Flip> {
  for (let bit = 0; bit < (to - from) * 8; bit += step) {
    const at = from + (bit >> 3);
    const bytes = Uint8Array.of(file[at]! ^ (1 << (bit & 7)));
    yield { name: `bit ${bit & 7} of byte ${at - from}`, at, bytes, bit };
  }
  if (zeros !== true) return;
  for (let bit = 0; bit < 8; bit++) {
    const bytes = file.slice(from, to).map((byte) => byte ^ (1 << bit));
    yield { name: `bit ${bit} of each byte`, at: from, bytes, bit };
  }
}

for (const closed of [false, true]) {
  describe(closed ? 'a store that was closed' : 'a store that a crash left open', () => {
    const { disk, regions } = makeStore(closed);

    for (const region of regions) {
      it(`survives each flip in ${region.name}`, async () => {
        for (const flip of flipsOf(region, disk.read(region.path)!, region.zeros === true ? STEP : 1)) {
          const { bit } = flip;
          const copy = disk.clone();
          copy.tamper(region.path, flip.at, flip.bytes);
          const options = { core, segmentBytes: 65536 };
          tally.count('faults.bit flip');
          try {
            const reading = copy.storage({ pid: 7 });
            judgeReader(() => RecordLog.openSync(DIRECTORY, { ...options, storage: reading, readOnly: true }), region);
            const damaged = bit % 16 === 0 ? copy.clone() : undefined;
            const writing = copy.storage({ pid: 8 });
            const refused = judgeWriter(() => RecordLog.openSync(DIRECTORY, { ...options, storage: writing }), region,
              () => (bit % 5 === 0 ? copy.digest() : ''));
            if (refused) tally.count('refused');
            copy.check();
            if (refused && damaged !== undefined && /record/.test(region.name)) await repaired(damaged, region);
          } catch (error) {
            note(error, region, flip);
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
  tally.count('repaired');
}

describe('on the real disk', () => {
  it('a store survives some flips in each region', () => {
    for (const closed of [false, true]) {
      const { disk, regions } = makeStore(closed);
      for (const region of regions) {
        const step = Math.max(1, Math.floor(((region.to - region.from) * 8) / 5)) | 1;
        for (const flip of flipsOf(region, disk.read(region.path)!, step)) {
          const fixture = logFixture('real', 'baseline');
          for (const path of disk.paths()) fixture.put(path.slice(DIRECTORY.length + 1), disk.read(path)!);
          fixture.tamper(region.path.slice(DIRECTORY.length + 1), flip.at, flip.bytes);
          tally.count('faults.bit flip');
          try {
            judgeReader(() => fixture.openReader(), region);
            judgeWriter(() => fixture.openSync(), region,
              () => fixture.names().map((each) => Buffer.from(fixture.bytes(each)).toString('latin1')).join());
          } catch (error) {
            note(error, region, flip);
          }
          disposeNow(fixture);
        }
      }
    }
  });
});
