/**
 * The torn tail: one synced record, then what an interrupted write leaves of the next frame - its first k bytes, for
 * every k from none to the whole frame, and behind them zeros, noise or ones. Whatever it is, the synced record stays,
 * what was cut is saved byte by byte, and what is appended afterwards is there for good.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/record-log/record-log.ts';
import type { RecordInput } from '../../host/log/appender.ts';
import { giveCore, logFixture, takeCore, textOf, texts } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { newTally } from '../support/tally.ts';

const DIRECTORY = '/store';
const SEGMENT_BYTES = 65536;
const core = takeCore('simd', 16 << 20);
const fillers = ['zeros', 'noise', 'ones'] as const;
type Filler = (typeof fillers)[number];
type Then = 'append' | 'rotate';

const tally = newTally('torn tails');
afterAll(() => {
  giveCore(core);
  tally.report();
});

/** A store with one synced record, as its dead writer left it, and the frames that come next. */
interface Base {
  readonly disk: SimulatedDisk;
  readonly segment: string;
  readonly offset: number;
  readonly frames: Uint8Array;
  readonly records: readonly RecordInput[];
}

function prepare(records: readonly RecordInput[], rotated: boolean): Base {
  const disk = new SimulatedDisk();
  const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage(), segmentBytes: SEGMENT_BYTES });
  log.append('the first, synced');
  log.syncNow();
  if (rotated) {
    log.rotate();
    log.syncNow();
  }
  const base = disk.clone();
  const before = log.position;
  if (records.length > 1) log.appendBatch(records);
  else log.append(records[0]!.payload, { kind: records[0]!.kind ?? 0, key: records[0]!.key ?? '' });
  const ref = log.refOf(2);
  const segment = `${DIRECTORY}/${String(ref.segment).padStart(20, '0')}.seg`;
  const frames = disk.read(segment)!.slice(ref.offset, ref.offset + log.position - before);
  log.closeSync();
  return { disk: base, segment, offset: ref.offset, frames, records };
}

/** The first `k` bytes of the frames, and the filler behind them, at least as far as the frames would have gone. */
function tailOf(frames: Uint8Array, k: number, filler: Filler): Uint8Array {
  const tail = new Uint8Array(frames.length + 40);
  if (filler === 'ones') tail.fill(255);
  if (filler === 'noise') new Random(k + 1).fill(tail);
  tail.set(frames.subarray(0, k));
  return tail;
}

/** Bytes up to the last 8 that are not all zeros. */
function usedOf(tail: Uint8Array): number {
  let end = tail.length;
  while (end > 0 && tail[end - 1] === 0) end--;
  return Math.ceil(end / 8) * 8;
}

function startsWith(tail: Uint8Array, frames: Uint8Array): boolean {
  return Buffer.compare(tail.subarray(0, frames.length), frames) === 0;
}

/** Opens a store with that tail, appends 50 records, opens it again; throws where anything is not as it must be. */
function survive(base: Base, tail: Uint8Array, then: Then): void {
  tally.count('faults.torn tail');
  const disk = base.disk.clone();
  disk.tamper(base.segment, base.offset, tail);
  const options = { core, storage: disk.storage(), segmentBytes: SEGMENT_BYTES };
  const whole = startsWith(tail, base.frames);
  const expected = ['the first, synced', ...whole ? base.records.map(({ payload }) => payload as string) : []];
  const rest = whole ? tail.subarray(base.frames.length) : tail;
  const cut = rest.slice(0, usedOf(rest));
  const log = RecordLog.openSync(DIRECTORY, options);
  const { recovery } = log;
  expect(recovery.outcome).toBe(cut.length > 0 ? 'cut' : 'whole');
  const { lastLsn, tornBytes } = recovery;
  expect([lastLsn, tornBytes, log.durableLsn]).toEqual([expected.length, cut.length, expected.length]);
  if (cut.length > 0) {
    expect(recovery.cutFiles).toHaveLength(1);
    expect(Buffer.compare(disk.read(recovery.cutFiles[0]!.path)!, cut)).toBe(0);
    expect(recovery.tornAt?.offset).toBe(base.offset + (whole ? base.frames.length : 0));
  } else {
    expect([recovery.cutFiles, recovery.tornAt]).toEqual([[], undefined]);
  }
  if (then === 'rotate') log.rotate();
  const more = texts(50);
  for (const text of more) log.append(text);
  log.syncNow();
  // The first time the process dies and the second time it closes.
  const dead = disk.clone();
  log.closeSync();
  for (const [copy, outcome] of [[dead, 'whole'], [disk, 'whole']] as const) {
    const again = RecordLog.openSync(DIRECTORY, { core, storage: copy.storage(), segmentBytes: SEGMENT_BYTES });
    expect(again.recovery.outcome).toBe(outcome);
    expect([...again].map(textOf)).toEqual([...expected, ...more]);
    again.closeSync();
    copy.check();
  }
}

const frames: Record<string, readonly RecordInput[]> = {
  'an empty record': [{ payload: '' }],
  'a record of one byte, padded': [{ payload: 'x' }],
  'a record with a key': [{ payload: 'a payload of some length', kind: 1, key: 'key' }],
  'a record of zeros': [{ payload: '\0'.repeat(50) }],
  'a record of 300 bytes': [{ payload: 'p'.repeat(277) }],
  'a batch of three': [{ payload: 'one' }, { payload: 'two, longer', key: 'k' }, { payload: '' }],
};

describe('a torn tail of every length', () => {
  for (const [name, records] of Object.entries(frames)) {
    it(`of ${name} is cut, saved and appended over`, () => {
      const base = prepare(records, false);
      for (const filler of fillers) {
        for (let k = 0; k <= base.frames.length; k++) survive(base, tailOf(base.frames, k, filler), 'append');
      }
    });

    it(`of ${name} is cut before a rotation`, () => {
      const base = prepare(records, false);
      for (let k = 0; k <= base.frames.length; k++) survive(base, tailOf(base.frames, k, fillers[k % 3]!), 'rotate');
    });

    it(`of ${name} is cut where it follows a rotation`, () => {
      const base = prepare(records, true);
      for (let k = 0; k <= base.frames.length; k++) survive(base, tailOf(base.frames, k, fillers[k % 3]!), 'append');
    });
  }

  it('of a batch leaves none of its records, even where all but the last are whole', () => {
    const base = prepare(frames['a batch of three']!, false);
    const disk = base.disk.clone();
    disk.tamper(base.segment, base.offset, base.frames.subarray(0, base.frames.length - 24));
    const log = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage() });
    expect([log.lastLsn, log.recovery.outcome, log.recovery.tornBytes]).toEqual([1, 'cut', base.frames.length - 24]);
    log.closeSync();
  });

  it('is seen the same way by a reader, which changes nothing', () => {
    const base = prepare(frames['a record with a key']!, false);
    for (const filler of fillers) {
      for (let k = 0; k <= base.frames.length; k++) {
        tally.count('faults.torn tail');
        const tail = tailOf(base.frames, k, filler);
        const disk = base.disk.clone();
        disk.tamper(base.segment, base.offset, tail);
        const digest = disk.digest();
        const reader = RecordLog.openSync(DIRECTORY, { core, storage: disk.storage({ pid: 7 }), readOnly: true });
        expect(reader.lastLsn).toBe(startsWith(tail, base.frames) ? 2 : 1);
        expect([...reader]).toHaveLength(reader.lastLsn);
        reader.closeSync();
        expect(disk.digest()).toBe(digest);
      }
    }
  });
});

describe('a torn tail on the real disk', () => {
  for (const filler of fillers) {
    it(`is cut, saved and appended over, ending in ${filler}`, async () => {
      const records = frames['a record with a key']!;
      const base = prepare(records, false);
      for (let k = 0; k <= base.frames.length; k += 5) {
        tally.count('faults.torn tail');
        const fixture = logFixture('real', k % 2 === 0 ? 'simd' : 'baseline');
        for (const path of base.disk.paths()) fixture.put(path.slice(DIRECTORY.length + 1), base.disk.read(path)!);
        const tail = tailOf(base.frames, k, filler);
        fixture.tamper('00000000000000000001.seg', base.offset, tail);
        const log = await fixture.open();
        const last = startsWith(tail, base.frames) ? 2 : 1;
        expect(log.lastLsn).toBe(last);
        const [saved] = log.recovery.cutFiles;
        if (saved !== undefined && last === 1) {
          const name = saved.path.slice(fixture.directory.length + 1);
          expect(Buffer.compare(fixture.bytes(name), tail.subarray(0, usedOf(tail)))).toBe(0);
        }
        const more = texts(50);
        for (const text of more) log.append(text);
        await log.sync();
        await log.close();
        const again = await fixture.open();
        expect([...again].slice(last).map(textOf)).toEqual(more);
        again.closeSync();
      }
    });
  }
});
