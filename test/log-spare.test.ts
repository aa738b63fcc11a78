/**
 * The file of the next segment that is made ahead, and the trimming of sealed ones behind the sealing: when they are
 * there, what fails or dies meanwhile, and that neither is ever part of what the log says.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { LogReader } from '../host/log/reader.ts';
import { openReader } from '../host/log/open.ts';
import type { LogWriter } from '../host/log/writer.ts';
import { STORE_KIND_RECORD_LOG } from '../host/generated/abi.ts';
import { type LogFixture, disposeNow, failure, logFixture, onEach } from './support/log-fixture.ts';
import type { FaultPlan } from './support/simulated-disk.ts';
import { bury, writerIn } from './support/writer-fixture.ts';

const SEGMENT_BYTES = 1 << 20;
const PAYLOAD = 'spare'.repeat(3000);
/** Records behind which a segment is fuller than half, and so many that the next one has begun. */
const HALF = 55;
const MORE = 80;
const SPARE = /^spare-/;

let writer: LogWriter | undefined;
afterEach(() => {
  writer?.closeNow();
  writer = undefined;
});

function begin(fixture: LogFixture): LogWriter {
  return writer = writerIn(fixture, SEGMENT_BYTES).writer;
}

function textOf(lsn: number): string {
  return `${lsn} ${PAYLOAD}`;
}

function append(log: LogWriter, count: number): void {
  for (let at = 0; at < count; at++) log.appendText(textOf(log.lastLsn + 1), 0);
}

function expectRecords(log: LogWriter | LogReader, last: number): void {
  expect([log.firstLsn, log.lastLsn]).toEqual([1, last]);
  for (let lsn = 1; lsn <= last; lsn++) {
    expect(Buffer.from(log.segments.read(lsn, false).payload).toString()).toBe(textOf(lsn));
  }
}

function spares(fixture: LogFixture): string[] {
  return fixture.names().filter((name) => SPARE.test(name));
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    expect(turn).toBeLessThan(5000);
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
}

/** Appends until a spare is there and allocated. */
async function fillHalf(log: LogWriter, fixture: LogFixture): Promise<void> {
  append(log, HALF);
  await until(() => log.spare.ready);
  expect(spares(fixture)).toEqual([`spare-e${log.epoch}-1`]);
}

onEach('a spare', (make, kind) => {
  it('is made when a segment is half full, and becomes the next one', async () => {
    const fixture = make();
    const log = begin(fixture);
    append(log, 20);
    await turns();
    expect(spares(fixture)).toEqual([]);
    append(log, HALF - 20);
    expect(fixture.segmentNames()).toHaveLength(1);
    await until(() => log.spare.ready);
    const [name] = spares(fixture);
    const inode = kind === 'real' ? statSync(join(fixture.directory, name!)).ino : 0;
    const created = fixture.disk?.operations.get('create');
    append(log, HALF);
    const [, second] = fixture.segmentNames();
    expect(spares(fixture)).toEqual([]);
    if (kind === 'real') expect(statSync(join(fixture.directory, second!)).ino).toBe(inode);
    else expect(fixture.disk!.operations.get('create')).toBe(created);
    expectRecords(log, 2 * HALF);
    await log.sync();
    await log.close();
    expectRecords(begin(fixture), 2 * HALF);
  });

  it('is there for one rotation; the next makes its own file', async () => {
    const fixture = make();
    const log = begin(fixture);
    await fillHalf(log, fixture);
    log.rotate();
    append(log, 1);
    log.rotate();
    append(log, 1);
    expect(fixture.segmentNames()).toHaveLength(3);
    expect(spares(fixture)).toEqual([]);
    expectRecords(log, HALF + 2);
  });

  it('goes when the log is closed, ready or not', async () => {
    const fixture = make();
    await fillHalf(begin(fixture), fixture);
    writer!.closeNow();
    expect(spares(fixture)).toEqual([]);
    append(begin(fixture), MORE);
    writer!.closeNow();
    await until(() => spares(fixture).length === 0);
    append(begin(fixture), HALF);
    await writer!.close();
    expect(spares(fixture)).toEqual([]);
    expectRecords(begin(fixture), 2 * HALF + MORE);
  });

  it('gives way to a cut, and what comes behind is right', async () => {
    const fixture = make();
    const log = begin(fixture);
    await fillHalf(log, fixture);
    log.truncateAfter(10);
    expect(spares(fixture)).toEqual([]);
    append(log, MORE);
    expectRecords(log, 10 + MORE);
  });

  it('is not taken for a segment of another size', async () => {
    const fixture = make();
    const log = begin(fixture);
    await fillHalf(log, fixture);
    log.appendBatch(Array.from({ length: 100 }, (_, at) => ({ payload: textOf(HALF + 1 + at) })));
    expect(spares(fixture)).toHaveLength(1);
    log.rotate();
    expect(spares(fixture)).toEqual([]);
    append(log, 1);
    expectRecords(log, HALF + 101);
  });

  it('of a store with small segments is never made', async () => {
    const fixture = make();
    const log = writer = writerIn(fixture, SEGMENT_BYTES / 2).writer;
    for (let at = 0; at < MORE; at++) {
      append(log, 1);
      await turns();
      expect(spares(fixture)).toEqual([]);
    }
  });
});

describe('a spare on a disk', () => {
  it('that is short of room is not made, and one that is there gives its room away', async () => {
    const fixture = logFixture('simulated', 'simd', { capacity: 4 * SEGMENT_BYTES });
    const log = begin(fixture);
    append(log, HALF);
    await turns();
    expect(spares(fixture)).toEqual([]);
    log.rotate();
    fixture.disk!.capacity = 16 * SEGMENT_BYTES;
    append(log, HALF);
    await until(() => log.spare.ready);
    const large = Array.from({ length: 100 }, (_, at) => ({ payload: textOf(2 * HALF + 1 + at) }));
    // Two more pages for the batch than are free.
    const need = Math.ceil((100 * (PAYLOAD.length + 64)) / 4096) * 4096;
    fixture.disk!.capacity -= fixture.disk!.freeBytes() - (need - SEGMENT_BYTES / 2);
    log.appendBatch(large);
    expect(spares(fixture)).toEqual([]);
    expectRecords(log, 2 * HALF + 100);
  });

  it.each<FaultPlan>([
    { operation: 'create', path: /spare-/, error: 'ENOSPC' }, { operation: 'create', path: /spare-/, error: 'EIO' },
    { operation: 'allocate', path: /spare-/, error: 'EDQUOT' },
    { operation: 'allocate', path: /spare-/, error: 'ENOSPC', written: 65536 },
  ])('that fails with $error at its $operation hurts nobody', async (plan) => {
    const fixture = logFixture('simulated', 'simd');
    const log = begin(fixture);
    const fault = fixture.disk!.failAt(plan);
    for (let at = 0; at < MORE; at++) {
      append(log, 1);
      await turns();
    }
    expect(fault.fired).toBe(1);
    expect(log.poisoned).toBe(false);
    expect(fixture.segmentNames()).toHaveLength(2);
    await log.sync();
    await log.close();
    expect(spares(fixture)).toEqual([]);
    expectRecords(begin(fixture), MORE);
  });

  it('that cannot rename it poisons the log, which is whole when it is opened again', async () => {
    const fixture = logFixture('simulated', 'simd');
    const log = begin(fixture);
    await fillHalf(log, fixture);
    fixture.disk!.failAt({ operation: 'rename', error: 'EIO' });
    failure('ERR_VARVE_IO', () => { append(log, HALF); });
    expect(log.poisoned).toBe(true);
    const { lastLsn } = log;
    log.closeNow();
    const again = begin(fixture);
    expectRecords(again, lastLsn);
    expect(spares(fixture)).toEqual([]);
    append(again, MORE);
    expectRecords(again, lastLsn + MORE);
  });

  it.each(['kill', 'power-cut'] as const)('loses nothing by a %s at any call', async (error) => {
    let calls = 0;
    let withSpare = 0;
    for (; ; calls++) {
      const fixture = logFixture('simulated', 'simd');
      const disk = fixture.disk!;
      const log = begin(fixture);
      append(log, 30);
      log.syncNow();
      let acknowledged = 30;
      const fault = disk.failAt({ nth: calls + 1, error });
      try {
        for (let round = 0; round < 8; round++) {
          append(log, 10);
          // What fails in making a spare is told to nobody, not even that the process is dead.
          if (fault.fired > 0) break;
          if (error === 'kill') acknowledged = log.lastLsn;
          await turns();
          if (round % 3 === 2) acknowledged = Math.max(acknowledged, await log.sync());
          await turns();
        }
      } catch {
        expect(fault.fired).toBe(1);
      }
      const over = fault.fired === 0;
      fault.cancel();
      const committed = error === 'kill' ? log.lastLsn : Infinity;
      if (error === 'kill') disk.processCrash();
      else disk.powerCut();
      bury(log);
      fixture.startAgain();
      withSpare += spares(fixture).length;
      const again = begin(fixture);
      expect(again.lastLsn).toBeGreaterThanOrEqual(acknowledged);
      expect(again.lastLsn).toBeLessThanOrEqual(Math.min(110, committed));
      expect(spares(fixture)).toEqual([]);
      expectRecords(again, again.lastLsn);
      append(again, 1);
      again.closeNow();
      disposeNow(fixture);
      if (over) break;
    }
    // At some of the calls a spare was there, and was found.
    expect([calls > 15, withSpare > 3]).toEqual([true, true]);
  }, 60_000);
});

describe('a sealed segment that is not trimmed yet', () => {
  /** A log whose first segment is sealed and as long as before. */
  function untrimmed(): LogFixture {
    const fixture = logFixture('simulated', 'simd', { syncs: 'manual' });
    const log = begin(fixture);
    append(log, 10);
    log.rotate();
    append(log, 10);
    expect(log.segments.first!.untrimmed).toBe(true);
    expect(fixture.bytes(fixture.segmentNames()[0]!)).toHaveLength(SEGMENT_BYTES);
    fixture.refresh();
    return fixture;
  }

  function readerOf(fixture: LogFixture): LogReader {
    return openReader({
      core: fixture.newCore(), storage: fixture.disk!.storage(), directory: fixture.directory, readOnly: true,
    }, Infinity, STORE_KIND_RECORD_LOG).reader;
  }

  it('is read by another process, opened before or after', async () => {
    const fixture = logFixture('simulated', 'simd', { syncs: 'manual' });
    const log = begin(fixture);
    append(log, 5);
    fixture.refresh();
    const early = readerOf(fixture);
    expectRecords(early, 5);
    append(log, 5);
    log.rotate();
    append(log, 10);
    fixture.refresh();
    expect(log.segments.first!.untrimmed).toBe(true);
    const late = readerOf(fixture);
    for (const reader of [early, late]) {
      reader.refresh();
      expectRecords(reader, 20);
    }
    fixture.disk!.completeSyncs();
    await turns();
    expect(log.segments.first!.untrimmed).toBe(false);
    append(log, 1);
    fixture.refresh();
    for (const reader of [early, late]) {
      reader.refresh();
      expectRecords(reader, 21);
      reader.close();
    }
  });

  it.each(['kill', 'power cut'] as const)('is whole after a %s, and trimmed by the next opening', (end) => {
    const fixture = untrimmed();
    const { disk } = fixture;
    const log = writer!;
    if (end === 'kill') disk!.processCrash();
    else disk!.powerCut(undefined, { pages: 'kept', sizes: 'new', names: 'kept' });
    bury(log);
    fixture.startAgain();
    const { writer: again, report } = writerIn(fixture, SEGMENT_BYTES);
    writer = again;
    expect([report.outcome, report.tornBytes, report.cutFiles]).toEqual(['whole', 0, []]);
    expectRecords(again, 20);
    expect(fixture.bytes(fixture.segmentNames()[0]!).length).toBeLessThan(SEGMENT_BYTES);
  });

  it('is trimmed by whatever syncs it, and by closing', async () => {
    const fixture = untrimmed();
    writer!.syncNow();
    expect(fixture.bytes(fixture.segmentNames()[0]!).length).toBeLessThan(SEGMENT_BYTES);
    // What was under way comes behind, and changes nothing.
    writer!.closeNow();
    fixture.disk!.completeSyncs();
    expectRecords(begin(fixture), 20);
    append(writer!, 1);
    writer!.rotate();
    fixture.disk!.queue.mode = 'immediate';
    fixture.disk!.completeSyncs();
    await writer!.sync();
    await writer!.close();
    expect(begin(fixture).segments.list.map(({ sealed }) => sealed)).toEqual([true, true, true]);
  });

  it('whose trimming failed is trimmed by the next sync; where that fails too, the log is poisoned', async () => {
    for (const times of [1, 2]) {
      const fixture = logFixture('simulated', 'simd');
      const log = begin(fixture);
      append(log, 10);
      const fault = fixture.disk!.failAt({ operation: 'truncate', times, error: 'EIO' });
      log.rotate();
      append(log, 10);
      await turns();
      expect([fault.fired, log.poisoned]).toEqual([1, false]);
      await log.sync().catch(() => undefined);
      expect(log.poisoned).toBe(times === 2);
      log.closeNow();
      expectRecords(begin(fixture), 20);
      writer!.closeNow();
    }
  });
});
