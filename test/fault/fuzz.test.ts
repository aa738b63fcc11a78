/**
 * Mutated stores, through the host: a store whose files were changed, cut, swapped, renamed, replaced or given absurd
 * numbers under right checksums is opened for reading, checked, scanned, repaired in a dry run, opened for writing,
 * appended to, and repaired. Whatever it finds, the host answers with records or with typed errors, in a bounded number
 * of calls of the disk, gives everything back, and a reader writes nothing.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Core, type CoreExports } from '../../host/core/core.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import {
  CONTROL_MARKS_OFFSET, CONTROL_WRITER_OFFSET, Control, ControlMarks, ControlWriter, FRAMES_OFFSET,
  STATIC_END, SegmentFooter, SegmentHeader,
} from '../../host/generated/abi.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { plainCrc } from '../support/frame-oracle.ts';
import { MUTATIONS, drawMutation } from '../support/mutations.ts';
import { type Random, forEachSeed, seedFromEnvironment } from '../support/random.ts';
import { SimulatedDisk, type SimulatedStorage } from '../support/simulated-disk.ts';
import { newTally, scaled } from '../support/tally.ts';

const DIRECTORY = '/store';
const MEMORY_BYTES = 16 << 20;
/** Far above what any case takes: the base stores have three segments and some thirty records. */
const CALLS_MAX = 2000;
const RECORDS_MAX = 4000;
const STEPS_MAX = 100_000;
const core = countingCore();
const tally = newTally('fuzzing the host');
afterAll(() => tally.report());

let steps = 0;

/** A core that counts its calls: a loop without end shows as too many, whatever the clock says. */
function countingCore(): Core {
  const counting = new Core({ variant: 'simd', memoryBytes: MEMORY_BYTES });
  const exports = Object.entries(counting.exports).map(([name, call]) => [name, (...args: never[]) => {
    if (++steps > STEPS_MAX) throw new Error(`more than ${STEPS_MAX} calls of the core`);
    return (call as (...all: never[]) => unknown)(...args);
  }]);
  return Object.assign(counting, { exports: Object.fromEntries(exports) as CoreExports });
}

interface Base {
  readonly disk: SimulatedDisk;
  /** Offsets of the frames by path. */
  readonly frames: ReadonlyMap<string, readonly number[]>;
  readonly salts: ReadonlyMap<string, number>;
}

function makeBase(random: Random, closed: boolean): Base {
  let disk = new SimulatedDisk({ random: random.fork() });
  const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: 65536 });
  for (let segment = 0; segment < 3; segment++) {
    for (let left = random.between(1, 6); left > 0; left--) {
      if (random.chance(0.3)) log.appendBatch(['a', 'bb', 'c'.repeat(random.integer(3000))]);
      else log.append('d'.repeat(random.integer(500)), { kind: 1, key: 'key' });
    }
    if (random.chance(0.5)) log.syncNow();
    if (segment < 2) log.rotate();
  }
  const frames = new Map<string, number[]>();
  for (let lsn = 1; lsn <= log.lastLsn; lsn++) {
    const ref = log.refOf(lsn);
    const path = `${DIRECTORY}/${String(ref.segment).padStart(20, '0')}.seg`;
    frames.set(path, [...frames.get(path) ?? [], ref.offset]);
  }
  if (!closed) disk = disk.clone();
  log.closeSync();
  disk.capacity = 8 << 20;
  const salts = [...frames.keys()].map((path) => [path, wordOf(disk.read(path)!, SegmentHeader.salt)] as const);
  return { disk, frames, salts: new Map(salts) };
}

function wordOf(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

/** Structures with a checksum: where they stand, where the checksum is and what it covers. */
const SEALED = [
  { file: /seg$/, fromEnd: false, at: 0, crc: SegmentHeader.crc, from: SegmentHeader.version, to: SegmentHeader.BYTES },
  { file: /seg$/, fromEnd: true, at: SegmentFooter.BYTES, crc: SegmentFooter.crc, from: SegmentFooter.salt,
    to: SegmentFooter.synced },
  { file: /CONTROL$/, fromEnd: false, at: 0, crc: Control.crc, from: Control.version, to: Control.BYTES },
  { file: /CONTROL$/, fromEnd: false, at: CONTROL_WRITER_OFFSET, crc: ControlWriter.crc, from: ControlWriter.epoch,
    to: ControlWriter.BYTES },
  { file: /CONTROL$/, fromEnd: false, at: CONTROL_MARKS_OFFSET, crc: ControlMarks.crc, from: ControlMarks.truncating,
    to: ControlMarks.BYTES },
] as const;

/** Gives a structure an absurd number and the checksum that goes with it. */
function sealedAbsurdity(random: Random, path: string, bytes: Uint8Array): Uint8Array {
  const { fromEnd, at, crc, from, to } = random.pick(SEALED.filter(({ file }) => file.test(path)));
  const copy = bytes.slice();
  const start = fromEnd ? copy.length - at : at;
  if (start < 0 || start + to > copy.length) return copy;
  const fields = new DataView(copy.buffer, start);
  const absurd = [0, 1, 2, 3, 64, 4096, 65536, 0x7fffffff, 0x80000000, 0xffffffff];
  for (let count = random.between(1, 3); count > 0; count--) {
    fields.setUint32(from + 4 * random.integer((to - from) / 4), random.pick(absurd), true);
  }
  fields.setUint32(crc, plainCrc(copy.subarray(start + from, start + to), 0), true);
  return copy;
}

/** Replaces a file, durably; removes it where there are no bytes. */
function put(disk: SimulatedDisk, path: string, bytes: Uint8Array | undefined): void {
  const storage = disk.storage();
  storage.remove(path);
  if (bytes !== undefined) {
    const file = storage.create(path);
    file.write(bytes, 0);
    file.syncNow();
  }
  storage.syncDirectoryNow(DIRECTORY);
  disk.processCrash(storage);
}

/** Changes one file of a store; says how. */
function mutate(random: Random, base: Base, other: Base, disk: SimulatedDisk): string {
  const path = random.pick(disk.paths().filter((each) => /(seg|CONTROL)$/.test(each)));
  const bytes = disk.read(path)!;
  const what = random.integer(10);
  if (what === 0) {
    put(disk, path, undefined);
    return 'a missing file';
  }
  if (what === 1) {
    const name = random.pick(['00000000000000000001.seg', '00000000000000000002.seg', '00000000009999999999.seg',
      '99999999999999999999.seg', '00000000000000000000.seg', 'CONTROL', '1.seg', 'LOCK.seg']);
    put(disk, `${DIRECTORY}/${name}`, bytes);
    return 'a wrong file name';
  }
  if (what === 2) {
    put(disk, path, other.disk.read(random.pick(other.disk.paths())));
    return 'a file of another store';
  }
  if (what < 5) {
    put(disk, path, sealedAbsurdity(random, path, bytes));
    return 'absurd numbers in a sealed structure';
  }
  const name = drawMutation(random);
  const foreign = other.disk.read(random.pick(other.disk.paths()))!;
  // Most of a file is zeros; what is about its bytes should meet those that mean something.
  const head = bytes.subarray(0, Math.min(bytes.length, FRAMES_OFFSET + 6000));
  const part = random.chance(0.7) ? head : bytes;
  if (part.length === 0) return 'nothing';
  const frames = (base.frames.get(path) ?? []).filter((at) => at < part.length);
  const changed = MUTATIONS[name]!(random, { bytes: part, frames, salt: base.salts.get(path) ?? 0, foreign });
  const rest = part === head && changed.length === head.length ? bytes.subarray(head.length) : new Uint8Array(0);
  put(disk, path, Buffer.concat([changed, rest]));
  return name;
}

/** Runs what may fail with a typed error, and with nothing else; whether it did not. */
async function typed(run: () => unknown): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (!VarveError.is(error) || error.code === 'ERR_VARVE_INTERNAL') throw error;
    tally.count(`refused with ${error.code}`);
    return false;
  }
}

/** Reads all there is, in every way. */
async function readAll(log: RecordLog): Promise<void> {
  const { firstLsn, lastLsn } = log;
  await typed(() => { for (const _ of log.scan()) bounded(); });
  await typed(() => { for (const _ of log.scan({ reverse: true, view: true })) bounded(); });
  for (const lsn of [firstLsn, lastLsn, Math.floor((firstLsn + lastLsn) / 2), lastLsn + 1]) {
    await typed(() => log.readRef(log.refOf(lsn)));
  }
  await typed(() => log.check());
}

let records = 0;
function bounded(): void {
  tally.count('records');
  if (++records > RECORDS_MAX) throw new Error('more records than there are bytes for');
}

async function withLog(open: () => RecordLog, run: (log: RecordLog) => Promise<void>): Promise<void> {
  let log: RecordLog | undefined;
  await typed(() => { log = open(); });
  if (log === undefined) return;
  tally.count('opened');
  await run(log);
  await typed(() => log!.closeSync());
}

async function survive(disk: SimulatedDisk): Promise<void> {
  const options = (storage: SimulatedStorage, readOnly = false) => ({ core, storage, segmentBytes: 65536, readOnly });
  const reading = disk.storage({ readOnly: true });
  const before = disk.digest();
  await withLog(() => RecordLog.openSync(DIRECTORY, options(reading, true)), readAll);
  await typed(() => RecordLog.repair(DIRECTORY, { core, storage: reading, dryRun: true }));
  expect(disk.digest(), 'what only reads writes nothing').toBe(before);
  const damaged = disk.clone();
  damaged.capacity = disk.capacity;
  const writing = disk.storage();
  await withLog(() => RecordLog.openSync(DIRECTORY, options(writing)), async (log) => {
    await readAll(log);
    await typed(() => log.appendBatch(['more', 'of it']));
    await typed(() => log.syncNow());
    await readAll(log);
  });
  const repairing = damaged.storage();
  if (await typed(() => RecordLog.repair(DIRECTORY, { core, storage: repairing }))) {
    tally.count('repaired');
    await withLog(() => RecordLog.openSync(DIRECTORY, options(repairing)), readAll);
  }
  for (const each of [disk, damaged]) {
    each.check();
    const calls = [...each.operations.values()].reduce((sum, count) => sum + count, 0);
    if (calls > CALLS_MAX) throw new Error(`${calls} calls of the disk`);
  }
  const left = core.memory.bytes.length - STATIC_END - core.memory.largestFree();
  expect(left, 'bytes of the core\'s memory that were not given back').toBe(0);
}

describe('a mutated store', { timeout: scaled(120_000) }, () => {
  it('is read, checked, written to and repaired with records or typed errors, and nothing else', async () => {
    await forEachSeed(100, async (random) => {
      tally.count('seeds');
      const bases = [makeBase(random, true), makeBase(random, false)] as const;
      for (let count = 0; count < 40; count++) {
        const [base, other] = random.chance(0.5) ? bases : [bases[1], bases[0]];
        const disk = base.disk.clone();
        disk.capacity = 8 << 20;
        records = steps = 0;
        const names: string[] = [];
        for (let times = random.pick([1, 1, 1, 2, 3]); times > 0; times--) {
          names.push(mutate(random, base, other, disk));
        }
        for (const name of names) if (name !== 'nothing') tally.count(`faults.${name}`);
        tally.count('cases');
        try {
          await survive(disk);
        } catch (error) {
          (error as Error).message += ` [case ${count}: ${names.join(', ')}]`;
          throw error;
        }
      }
    });
    if (seedFromEnvironment() !== undefined) return;
    expect(tally.get('opened')).toBeGreaterThan(scaled(1000));
    expect(tally.get('repaired')).toBeGreaterThan(scaled(100));
    expect(tally.get('refused with ERR_VARVE_CORRUPT')).toBeGreaterThan(scaled(100));
  });
});
