/**
 * What is durable when, on every disk with every core: group commit, positions, closing, opening again, what opening
 * reports, and the states in which a log refuses to work.
 */
import { expect, it } from 'vitest';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { appendAll, failure, onEach, rejection, texts, textsOf } from '../support/log-fixture.ts';

onEach('syncing', (make, kind) => {
  it('moves the durable marks to what was committed at the call', async () => {
    const log = await make().open();
    appendAll(log, texts(10));
    expect([log.durableLsn, log.durablePosition]).toEqual([0, 0]);
    const sync = log.sync();
    const { position } = log;
    log.append('later');
    expect(await sync).toBe(10);
    expect([log.durableLsn, log.durablePosition, log.lastLsn]).toEqual([10, position, 11]);
    expect(log.syncNow()).toBe(11);
    expect(log.durablePosition).toBe(log.position);
    expect(await log.sync()).toBe(11);
  });

  it('shares one sync of the disk among many callers', async () => {
    const log = await make().open();
    const results = await Promise.all(texts(500).map((text) => {
      log.append(text);
      return log.sync();
    }));
    expect(results[0]).toBeGreaterThanOrEqual(1);
    results.forEach((durable, at) => expect(durable).toBeGreaterThanOrEqual(at + 1));
    expect(log.stats.syncs).toBeLessThanOrEqual(3);
    const { syncs } = log.stats;
    await Promise.all(texts(500).map(() => log.sync()));
    expect(log.stats.syncs).toBe(syncs);
  });

  it('covers segments that were sealed and made while a sync was under way', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, texts(5, 5000));
    const first = log.sync();
    appendAll(log, texts(60, 5000, 6));
    const second = log.sync();
    expect(await first).toBeGreaterThanOrEqual(5);
    expect(await second).toBe(65);
    if (kind === 'simulated') {
      fixture.disk!.powerCut(undefined, { pages: 'lost', sizes: 'old', names: 'lost' });
      fixture.startAgain();
      expect(textsOf(await fixture.open()).length).toBe(65);
    }
  });

  it('never takes the durable mark back', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    appendAll(log, texts(5, 5000));
    const sync = log.sync();
    appendAll(log, texts(30, 5000));
    expect(log.syncNow()).toBe(35);
    await sync;
    expect(log.durableLsn).toBe(35);
    log.append('x');
    const other = log.sync();
    log.append('y');
    log.reset();
    await other;
    expect(log.durableLsn).toBe(37);
    expect(log.firstLsn).toBe(38);
  });

  it('resolves with what a truncation has left', async () => {
    const log = await make().open();
    appendAll(log, texts(10));
    const sync = log.sync();
    log.truncateAfter(8);
    expect(await sync).toBe(8);
    expect([log.lastLsn, log.durableLsn]).toEqual([8, 8]);
  });

  it('syncs by itself when many sealed segments wait', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    appendAll(log, texts(80, 20_000));
    await log.sync();
    expect(log.stats.syncs).toBeGreaterThan(0);
    expect(log.durableLsn).toBe(80);
  });
});

onEach('opening again', (make) => {
  it('scans nothing after a clean close, and continues epoch, LSN and position', async () => {
    const fixture = make();
    const list = texts(200, 1000);
    for (let round = 0; round < 4; round++) {
      const log = await fixture.open({ segmentBytes: 65536 });
      expect(log.recovery).toMatchObject(round === 0
        ? { outcome: 'created', closedCleanly: false, segments: 0, firstLsn: 1, lastLsn: 0, epoch: 1 }
        : { outcome: 'whole', closedCleanly: true, scannedRecords: 0, firstLsn: 1, lastLsn: round * 50,
            epoch: round + 1, tornBytes: 0, tornAt: undefined, cutFiles: [], controlRebuilt: false });
      expect(log.position).toBe(round * 50 * 1024);
      expect([log.durableLsn, log.durablePosition]).toEqual([log.lastLsn, log.position]);
      appendAll(log, list.slice(round * 50, round * 50 + 50));
      expect(log.read(log.lastLsn).epoch).toBe(round + 1);
      await log.close();
    }
    expect(textsOf(await fixture.open())).toEqual(list);
  });

  it('finds everything that was committed after the process died, and scans nothing the next time', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const list = texts(63, 5000);
    appendAll(log, list);
    const left = fixture.afterCrash();
    const again = await left.open({ segmentBytes: 65536 });
    expect(again.recovery).toMatchObject({ outcome: 'whole', closedCleanly: false, lastLsn: 63, scannedRecords: 63 });
    expect([textsOf(again), again.durableLsn]).toEqual([list, 63]);
    expect(again.append('one more that does not fit')).toBe(64);
    appendAll(again, texts(5, 5000));
    await again.close();
    const third = await left.open();
    expect(third.recovery).toMatchObject({ outcome: 'whole', scannedRecords: 0, closedCleanly: true });
    expect(third.length).toBe(69);
  });

  it('scans only the tail after a crash that followed a sync', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, texts(63, 5000));
    await log.sync();
    const again = await fixture.afterCrash().open();
    expect(again.recovery.scannedRecords).toBeLessThanOrEqual(12);
    expect(textsOf(again)).toEqual(texts(63, 5000));
  });

  it('makes CONTROL anew where it is missing or cut short', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, texts(40, 5000));
    await log.close();
    for (const spoil of [() => fixture.remove('CONTROL'), () => fixture.put('CONTROL', new Uint8Array(100)),
      () => fixture.put('CONTROL', new Uint8Array(4096).fill(255)), () => fixture.put('CONTROL', new Uint8Array(0))]) {
      spoil();
      const reader = fixture.openReader();
      expect(textsOf(reader)).toEqual(texts(40, 5000));
      reader.closeSync();
      const again = await fixture.open();
      expect(again.recovery).toMatchObject({ outcome: 'whole', controlRebuilt: true, lastLsn: 40 });
      expect(textsOf(again)).toEqual(texts(40, 5000));
      await again.close();
    }
  });
});

onEach('states', (make, kind) => {
  it('is closed once, in every way', async () => {
    const fixture = make();
    const log = await fixture.open();
    log.append('x');
    await Promise.all([log.close(), log.close()]);
    log.closeSync();
    expect(log.closed).toBe(true);
    {
      using other = await fixture.open();
      other.append('y');
    }
    {
      await using other = await fixture.open();
      other.append('z');
    }
    expect(textsOf(await fixture.open())).toEqual(['x', 'y', 'z']);
  });

  it('refuses every call when closed', async () => {
    const log = await make().open();
    log.append('x');
    const record = log.read(1);
    const ref = log.refOf(1);
    await log.close();
    expect(record.payload).toEqual(Uint8Array.of(120));
    for (const call of [() => log.append('y'), () => log.append('y', { kind: 1 }), () => log.appendBatch(['y']),
      () => log.read(1), () => log.refOf(1), () => log.readRef(ref), () => log.scan(), () => log.rotate(),
      () => log.truncateBefore(1), () => log.truncateAfter(1), () => log.reset(), () => log.syncNow(),
      () => log.firstLsn, () => log.lastLsn, () => log.durableLsn, () => log.position, () => log.durablePosition,
      () => log.length, () => log.stats]) failure('ERR_VARVE_CLOSED', call);
    await rejection('ERR_VARVE_CLOSED', log.sync());
  });

  it('completes a sync that is under way when it is closed', async () => {
    const fixture = make();
    const log = await fixture.open();
    log.append('x');
    const sync = log.sync();
    log.append('y');
    const second = log.sync();
    await log.close();
    expect(await sync).toBeGreaterThanOrEqual(1);
    expect(await second).toBe(2);
    expect((await fixture.open()).lastLsn).toBe(2);
  });

  it('refuses a second writer and names the first', async () => {
    const fixture = make();
    const log = await fixture.open();
    const pid = fixture.storage?.pid ?? process.pid;
    const error = await rejection('ERR_VARVE_LOCKED', RecordLog.open(fixture.directory, fixture.options()));
    expect(error.details).toMatchObject({ pid });
    log.append('still works');
    await log.close();
    expect((await fixture.open()).lastLsn).toBe(1);
  });

  it('refuses wrong options before anything is made', async () => {
    const fixture = make();
    for (const bad of [{ segmentBytes: 65535 }, { segmentBytes: 2 ** 30 + 1 }, { segmentBytes: 1.5 },
      { segmentBytes: '1' }, { mappedBytesMax: -1 }, { readOnly: 1 }, { create: 'no' }, { unknown: true }]) {
      await rejection('ERR_VARVE_INVALID_ARGUMENT', RecordLog.open(fixture.directory, fixture.options(bad as never)));
    }
    for (const directory of [5, '', 'a\0b', undefined, null]) {
      await rejection('ERR_VARVE_INVALID_ARGUMENT', RecordLog.open(directory as string));
    }
    await rejection('ERR_VARVE_INVALID_ARGUMENT', RecordLog.open(fixture.directory, null as never));
    await rejection('ERR_VARVE_NOT_FOUND', RecordLog.open(fixture.directory, fixture.options({ create: false })));
    await rejection('ERR_VARVE_NOT_FOUND', RecordLog.open(fixture.directory, fixture.options({ readOnly: true })));
    expect(kind === 'real' ? fixture.names : fixture.names()).toEqual(kind === 'real' ? expect.any(Function) : []);
    if (kind === 'real') expect(() => fixture.names()).toThrow('ENOENT');
  });

  it('refuses a directory of other files, a store of another kind, and a store of a later version', async () => {
    const fixture = make();
    fixture.put('notes.txt', Buffer.from('mine'));
    expect((await rejection('ERR_VARVE_FOREIGN_DIRECTORY', RecordLog.open(fixture.directory, fixture.options())))
      .details).toMatchObject({ names: ['notes.txt'] });
    await rejection('ERR_VARVE_FOREIGN_DIRECTORY',
      RecordLog.open(fixture.directory, fixture.options({ readOnly: true })));
    expect(fixture.names()).toEqual(['notes.txt']);
    expect(Buffer.from(fixture.bytes('notes.txt')).toString()).toBe('mine');
  });
});
