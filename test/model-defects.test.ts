/**
 * Defects that the models of varve have, found by running them, each with a test that varve's log does not share it.
 * The rows are those of the record log and of the write-ahead log; what needs another face is tested with that face,
 * A6, a command line that needs the writer's lock and makes missing directories, with the command line, and A8, a
 * power-loss check that passes when synced records are missing, with the power cuts.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { FRAMES_OFFSET } from '../host/generated/abi.ts';
import { RecordLog } from '../host/record-log/record-log.ts';
import type { RecordLogOptions } from '../host/record-log/options.ts';
import { appendAll, failure, giveCore, takeCore, textOf, texts, textsOf } from './support/log-fixture.ts';
import { Random } from './support/random.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const DIRECTORY = '/store';
const SEGMENT = `${DIRECTORY}/00000000000000000001.seg`;
const core = takeCore('simd', 64 << 20);
/** Of a second process. */
const follower = takeCore('simd', 64 << 20);
afterAll(() => {
  giveCore(core);
  giveCore(follower);
});

let disk: SimulatedDisk;
beforeEach(() => { disk = new SimulatedDisk(); });

function open(extra: RecordLogOptions = {}): RecordLog {
  return RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: 65536, ...extra });
}

/** What the writer's death leaves. */
function crash(log: RecordLog): void {
  const left = disk.clone();
  log.closeSync();
  disk = left;
}

/** The writer's dead process must not seem alive. */
let pid = 1;
const stranger = () => disk.storage({ pid: pid++ });

describe('defects of the models that varve does not share', () => {
  it('A1: an append after a torn tail neither loses synced records nor makes the store unopenable', () => {
    for (const rotate of [false, true]) {
      disk = new SimulatedDisk();
      const log = open();
      log.append('synced');
      log.syncNow();
      crash(log);
      disk.tamper(SEGMENT, FRAMES_OFFSET + 32, new Random(1).bytes(17));
      const again = open();
      if (rotate) again.rotate();
      appendAll(again, texts(50));
      again.syncNow();
      crash(again);
      const third = open();
      expect(third.recovery.outcome).toBe('whole');
      expect(textsOf(third)).toEqual(['synced', ...texts(50)]);
      third.closeSync();
    }
  });

  it('A2: a tail of zeros, up to a whole preallocated segment, is the normal case', () => {
    const log = open({ segmentBytes: 1 << 20 });
    log.append('one');
    expect(disk.read(SEGMENT)).toHaveLength(1 << 20);
    crash(log);
    const again = open();
    expect(again.recovery).toMatchObject({ outcome: 'whole', tornBytes: 0 });
    expect(again.append('two')).toBe(2);
    again.closeSync();
  });

  it('A3, B3: damage in the middle of the last segment is an error with its place, and drops nothing silently', () => {
    const log = open();
    appendAll(log, texts(20, 100));
    log.syncNow();
    const { offset, segment } = log.refOf(10);
    crash(log);
    disk.tamper(SEGMENT, offset + 50, Uint8Array.of(0xff));
    const digest = disk.digest();
    const error = failure('ERR_VARVE_CORRUPT', () => open({ storage: stranger() }));
    expect(error.details).toMatchObject({ segment, offset, lsn: 10, path: SEGMENT });
    expect(disk.digest()).toBe(digest);
    const reader = open({ readOnly: true, storage: stranger() });
    expect(reader.recovery.outcome).toBe('corrupt');
    expect(textsOf(reader)).toEqual(texts(20, 100).slice(0, 9));
    expect(reader.check()).toMatchObject({ outcome: 'corrupt', damaged: [{ lsn: 10, offset }] });
    reader.closeSync();
  });

  it('A3: damage in a sealed segment costs the damaged record alone, and says so', () => {
    const log = open();
    appendAll(log, texts(20, 100));
    const { offset } = log.refOf(10);
    log.closeSync();
    disk.tamper(SEGMENT, offset + 50, Uint8Array.of(0xff));
    const again = open();
    for (let lsn = 1; lsn <= 20; lsn++) {
      if (lsn === 10) failure('ERR_VARVE_CORRUPT', () => again.read(lsn));
      else expect(textOf(again.read(lsn))).toBe(texts(20, 100)[lsn - 1]);
    }
    const seen: number[] = [];
    failure('ERR_VARVE_CORRUPT', () => { for (const { lsn } of again.scan()) seen.push(lsn); });
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...again.scan({ from: 11 })]).toHaveLength(10);
    const back: number[] = [];
    failure('ERR_VARVE_CORRUPT', () => { for (const { lsn } of again.scan({ reverse: true })) back.push(lsn); });
    expect(back).toEqual([20, 19, 18, 17, 16, 15, 14, 13, 12, 11]);
    again.closeSync();
  });

  it('A4: opening reads headers, footers and the tail, each once, whatever the number of sealed records', () => {
    const maps: number[] = [];
    for (const count of [200, 2000]) {
      disk = new SimulatedDisk();
      const log = open();
      appendAll(log, texts(count, 1000));
      log.syncNow();
      log.rotate();
      log.syncNow();
      appendAll(log, texts(5));
      crash(log);
      const again = open();
      const { segments } = again.stats;
      expect(again.recovery.scannedRecords).toBe(5);
      expect(again.stats.mounts).toBe(1);
      maps.push(disk.operations.get('map') ?? 0);
      expect(disk.operations.get('read')).toBe(2 * segments);
      again.closeSync();
    }
    // CONTROL and the tail are mapped; each segment costs a header and a footer.
    expect(maps).toEqual([2, 2]);
  });

  it('A5: a read compares what it finds with what was asked for, not only its checksum', () => {
    const log = open();
    for (const key of ['a', 'b', 'c']) log.append(`value of ${key}`, { kind: 1, key });
    const [first, second] = [log.refOf(1), log.refOf(2)];
    log.closeSync();
    // An intact frame in the place of another one, as a misdirected write leaves it.
    const bytes = disk.read(SEGMENT)!;
    disk.tamper(SEGMENT, second.offset, bytes.subarray(first.offset, second.offset));
    const again = open();
    expect(failure('ERR_VARVE_CORRUPT', () => again.read(2)).details).toMatchObject({ lsn: 2, status: 'BadLsn' });
    failure('ERR_VARVE_CORRUPT', () => again.readRef(second));
    expect([textOf(again.read(1)), textOf(again.read(3))]).toEqual(['value of a', 'value of c']);
    again.closeSync();
  });

  it('A7: there are batches, group commit, rotation by itself, typed errors and readers that follow', async () => {
    const log = open();
    const reader = open({ readOnly: true, storage: stranger(), core: follower });
    const list = texts(40, 4000);
    const follow = reader.follow();
    const next = follow.next();
    appendAll(log, list.slice(0, 20));
    expect(log.appendBatch(list.slice(20))).toEqual({ firstLsn: 21, lastLsn: 40 });
    expect(log.stats.segments).toBeGreaterThan(2);
    const syncs = await Promise.all([log.sync(), log.sync(), log.sync()]);
    expect([syncs, log.stats.syncs]).toEqual([[40, 40, 40], 1]);
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.read(41));
    await new Promise((resolve) => { setImmediate(resolve); });
    disk.refresh();
    const followed = [textOf((await next).value!)];
    while (followed.length < 40) followed.push(textOf((await follow.next()).value!));
    expect(followed).toEqual(list);
    reader.closeSync();
    log.closeSync();
  });

  it('B1: a writer that opens again goes on with the LSN and with a higher epoch', () => {
    let position = 0;
    for (let round = 1; round <= 5; round++) {
      const log = open();
      expect([log.lastLsn, log.position, log.recovery.epoch]).toEqual([(round - 1) * 3, position, round]);
      appendAll(log, texts(3));
      const epochs = [...log].map(({ epoch }) => epoch);
      expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
      expect(epochs.at(-1)).toBe(round);
      ({ position } = log);
      if (round % 2 === 0) log.closeSync();
      else crash(log);
    }
  });

  it('B3: the checksum covers the length', () => {
    const log = open();
    log.append('x'.repeat(40));
    log.append('y');
    const { offset, size } = log.refOf(1);
    log.closeSync();
    for (const wrong of [size - 1, size - 8, size + 1, size + 8, 24, 32, 0, 0xffffffff, 64 << 20]) {
      const copy = disk.clone();
      copy.tamper(SEGMENT, offset + 4, new Uint8Array(Uint32Array.of(wrong).buffer));
      const again = RecordLog.openSync(DIRECTORY, { core, storage: copy.storage(), readOnly: true });
      failure('ERR_VARVE_CORRUPT', () => again.read(1));
      expect(textOf(again.read(2))).toBe('y');
      again.closeSync();
    }
  });

  it('B3: zeros are no record, be it 64 of them or a page', () => {
    for (const zeros of [8, 24, 64, 4096]) {
      disk = new SimulatedDisk();
      const log = open();
      log.append('one');
      log.syncNow();
      crash(log);
      disk.tamper(SEGMENT, FRAMES_OFFSET + 32, new Uint8Array(zeros));
      disk.tamper(SEGMENT, FRAMES_OFFSET + 32 + zeros, Uint8Array.of(1));
      const again = open();
      expect([again.lastLsn, again.recovery.outcome]).toEqual([1, 'cut']);
      again.closeSync();
    }
  });

  it('B4: truncateBefore drops the oldest records, truncateAfter the newest', () => {
    const log = open();
    const list = texts(50, 5000);
    appendAll(log, list);
    log.truncateBefore(30);
    expect([log.firstLsn, log.lastLsn]).toEqual([25, 50]);
    expect(textsOf(log)).toEqual(list.slice(24));
    log.truncateAfter(40);
    expect(textsOf(log)).toEqual(list.slice(24, 40));
    log.closeSync();
    const again = open();
    expect(textsOf(again)).toEqual(list.slice(24, 40));
    again.closeSync();
  });

  it('B8: two writers cannot have one directory, in one process or in two', () => {
    const log = open();
    log.append('mine');
    expect(failure('ERR_VARVE_LOCKED', () => open()).details).toMatchObject({ pid: 1000 });
    expect(failure('ERR_VARVE_LOCKED', () => open({ storage: stranger() })).details).toMatchObject({ pid: 1000 });
    log.closeSync();
    const next = open({ storage: stranger() });
    expect(textsOf(next)).toEqual(['mine']);
    next.closeSync();
  });
});
