/**
 * Segments, on every disk with every core: rotation by size and on demand, records larger than a segment, a mapped
 * window smaller than the log, dropping the oldest records, cutting the newest, and starting anew.
 */
import { expect, it } from 'vitest';
import { Random } from '../support/random.ts';
import { appendAll, failure, onEach, textOf, texts, textsOf } from '../support/log-fixture.ts';

onEach('rotating', (make, kind) => {
  it('starts a segment when one is full, named by its first LSN', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, texts(30, 5000));
    expect(fixture.segmentNames()).toEqual(['00000000000000000001.seg', '00000000000000000013.seg',
      '00000000000000000025.seg']);
    expect(log.stats).toMatchObject({ segments: 3, mappedSegments: 3 });
    expect(textsOf(log)).toEqual(texts(30, 5000));
  });

  it('fills a segment to its capacity and not beyond, whatever the sizes', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const random = new Random(11);
    const list = Array.from({ length: 4000 }, () => 'x'.repeat(random.integer(60)));
    appendAll(log, list);
    log.rotate();
    const sealed = fixture.segmentNames().slice(0, -2);
    for (const name of sealed) {
      const { length } = fixture.bytes(name);
      expect(length).toBeLessThanOrEqual(65536);
      expect(length).toBeGreaterThan(60_000);
    }
    expect(textsOf(log)).toEqual(list);
  });

  it('rotates on demand, and not when the active segment is empty', async () => {
    const fixture = make();
    const log = await fixture.open();
    log.rotate();
    expect(fixture.segmentNames()).toEqual([]);
    log.append('a');
    log.rotate();
    log.rotate();
    log.append('b');
    expect(fixture.segmentNames()).toHaveLength(2);
    expect(textsOf(log)).toEqual(['a', 'b']);
    await log.close();
    const again = await fixture.open();
    again.rotate();
    expect(again.stats.segments).toBe(3);
    again.append('c');
    expect(textsOf(again)).toEqual(['a', 'b', 'c']);
  });

  it('gives a record that is larger than a segment one of its own size', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const list = ['small', 'L'.repeat(300_000), 'after', 'M'.repeat(100_000), 'N'.repeat(70_000)];
    appendAll(log, list);
    expect(textsOf(log)).toEqual(list);
    await log.close();
    const again = await fixture.open({ segmentBytes: 65536 });
    expect(textsOf(again)).toEqual(list);
    expect(again.append('more')).toBe(6);
  });

  it('gives a large record room when the active segment is empty', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    log.append('first');
    log.rotate();
    log.append('L'.repeat(100_000));
    expect(log.stats.segments).toBe(2);
    log.append('after');
    expect(log.truncateBefore(2)).toBe(2);
    expect(log.length).toBe(2);
    await log.sync();
    await log.close();
    const again = await fixture.open();
    expect(textsOf(again)).toEqual(['L'.repeat(100_000), 'after']);
  });

  it('keeps many segments readable through a window of two', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536, mappedBytesMax: 2 * 65536 });
    const list = texts(400, 2000);
    appendAll(log, list);
    expect(log.stats.segments).toBeGreaterThan(12);
    const random = new Random(5);
    for (let i = 0; i < 500; i++) {
      const lsn = random.between(1, list.length);
      expect(textOf(log.read(lsn))).toBe(list[lsn - 1]);
    }
    const { evictions, mounts, mappedBytes, mappedSegments } = log.stats;
    expect(evictions).toBeGreaterThan(100);
    expect(mounts - evictions).toBe(mappedSegments);
    expect(mappedBytes).toBeLessThanOrEqual(4 * 65536);
    await log.sync();
    expect(textsOf(log)).toEqual(list);
  });

  it('holds no more open files than it has mapped segments once everything is durable', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536, mappedBytesMax: 0 });
    appendAll(log, texts(300, 2000));
    await log.sync();
    if (kind === 'simulated') {
      const { operations } = fixture.disk!;
      const count = (name: 'open' | 'create' | 'close') => operations.get(name) ?? 0;
      const open = count('open') + count('create') - count('close');
      expect(open).toBeLessThanOrEqual(log.stats.mappedSegments + 1);
    }
    expect(textsOf(log)).toEqual(texts(300, 2000));
  });

  it('makes room in the core for itself before it says that there is none', async () => {
    const fixture = make();
    const { memory } = fixture.core;
    const taken = memory.largestFree() - (1 << 20);
    const address = memory.reserve(taken);
    const log = await fixture.open({ segmentBytes: 65536 });
    const list = texts(800, 2000);
    appendAll(log, list);
    expect(log.stats.evictions).toBeGreaterThan(3);
    expect(textsOf(log)).toEqual(list);
    failure('ERR_VARVE_MEMORY_FULL', () => log.append(new Uint8Array(2 << 20)));
    expect(log.poisoned).toBe(false);
    expect(log.append('goes on')).toBe(801);
    log.closeSync();
    memory.release(address, taken);
    expect(fixture.segmentNames()).toHaveLength(27);
  });
});

onEach('dropping the oldest records', (make) => {
  it('drops whole segments below an LSN and keeps the rest', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const list = texts(50, 5000);
    appendAll(log, list);
    expect(log.truncateBefore(0)).toBe(1);
    expect(log.truncateBefore(12)).toBe(1);
    expect(log.truncateBefore(13)).toBe(13);
    expect(log.truncateBefore(36)).toBe(25);
    expect(fixture.segmentNames()[0]).toBe('00000000000000000025.seg');
    expect([log.firstLsn, log.lastLsn, log.length]).toEqual([25, 50, 26]);
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.read(24));
    expect(textsOf(log)).toEqual(list.slice(24));
    expect(log.truncateBefore(51)).toBe(49);
    expect(textsOf(log)).toEqual(list.slice(48));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.truncateBefore(52));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => log.truncateBefore(-1));
    const { position } = log;
    await log.close();
    const again = await fixture.open();
    expect([again.firstLsn, again.position]).toEqual([49, position]);
    expect(textsOf(again)).toEqual(list.slice(48));
  });
});

onEach('cutting the newest records', (make) => {
  const list = texts(50, 5000);

  for (const [where, lsn] of [
    ['in the middle of the active segment', 49], ['at the end of a sealed segment', 48],
    ['in the middle of a sealed segment', 30], ['in the first segment', 5], ['of all records', 0],
    ['of no record', 50],
  ] as const) {
    it(`cuts ${where}, and goes on there`, async () => {
      const fixture = make();
      const log = await fixture.open({ segmentBytes: 65536 });
      appendAll(log, list);
      await log.sync();
      const before = lsn === 50 ? log.position : lsn === 0 ? 0 : lsn * 5024;
      log.truncateAfter(lsn);
      expect([log.firstLsn, log.lastLsn, log.position, log.durableLsn]).toEqual([1, lsn, before, lsn]);
      failure('ERR_VARVE_OUT_OF_RANGE', () => log.read(lsn + 1));
      const more = texts(30, 4000, 1000);
      expect(log.append(more[0]!)).toBe(lsn + 1);
      appendAll(log, more.slice(1));
      const expected = [...list.slice(0, lsn), ...more];
      expect(textsOf(log)).toEqual(expected);
      if (lsn < 50) expect(log.read(lsn + 1).epoch).toBeGreaterThan(1);
      await log.close();
      const again = await fixture.open({ segmentBytes: 65536 });
      expect(textsOf(again)).toEqual(expected);
      expect(again.recovery).toMatchObject({ outcome: 'whole', scannedRecords: 0 });
    });
  }

  it('cuts what was never synced as well', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, list);
    log.truncateAfter(20);
    expect(log.durableLsn).toBeLessThanOrEqual(20);
    log.append('next');
    expect(await log.sync()).toBe(21);
    expect(textsOf(log)).toEqual([...list.slice(0, 20), 'next']);
  });

  it('refuses an LSN outside of the log', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    appendAll(log, list);
    log.truncateBefore(25);
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.truncateAfter(51));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.truncateAfter(23));
    failure('ERR_VARVE_INVALID_ARGUMENT', () => log.truncateAfter(1.5));
    log.truncateAfter(24);
    expect([log.firstLsn, log.lastLsn]).toEqual([25, 24]);
    expect(log.append('x')).toBe(25);
  });

  it('makes references to what was cut lead nowhere, whatever was appended since', async () => {
    const log = await make().open();
    appendAll(log, texts(20));
    const refs = texts(20).map((_, at) => log.refOf(at + 1));
    log.truncateAfter(10);
    for (const ref of refs.slice(10)) failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef(ref));
    appendAll(log, texts(20, 33, 100));
    for (const ref of refs.slice(10)) failure('ERR_VARVE_OUT_OF_RANGE', () => log.readRef(ref));
    expect(refs.slice(0, 10).map((ref) => textOf(log.readRef(ref)))).toEqual(texts(20).slice(0, 10));
  });

  it('leaves the views of cut records readable after the log is closed', async () => {
    const fixture = make();
    const log = await fixture.open();
    appendAll(log, list);
    const views = [20, 50].map((lsn) => log.read(lsn, { view: true }));
    log.truncateAfter(1);
    await log.close();
    fixture.refresh();
    expect(views.map(textOf)).toEqual([list[19], list[49]]);
  });

  it('cuts again and again', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const random = new Random(9);
    let model: string[] = [];
    for (let round = 0; round < 25; round++) {
      const more = texts(random.between(1, 30), random.between(20, 4000), 100 * round);
      appendAll(log, more);
      model.push(...more);
      if (random.chance(0.5)) await log.sync();
      const keep = random.integer(model.length + 1);
      log.truncateAfter(keep);
      model = model.slice(0, keep);
      expect(log.lastLsn).toBe(keep);
    }
    expect(textsOf(log)).toEqual(model);
    await log.close();
    expect(textsOf(await fixture.open())).toEqual(model);
  });
});

onEach('resetting', (make) => {
  it('drops everything and numbers on', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    log.reset();
    appendAll(log, texts(30, 5000));
    const { position } = log;
    log.reset();
    expect([log.firstLsn, log.lastLsn, log.length, log.position]).toEqual([31, 30, 0, position]);
    expect(fixture.segmentNames()).toHaveLength(1);
    log.reset();
    expect(log.append('next')).toBe(31);
    await log.close();
    const again = await fixture.open();
    expect(again.firstLsn).toBe(31);
    again.reset();
    expect([again.firstLsn, again.lastLsn]).toEqual([32, 31]);
    await again.close();
    const third = await fixture.open();
    expect([third.firstLsn, third.lastLsn]).toEqual([32, 31]);
    expect(third.append('L'.repeat(100_000))).toBe(32);
    expect(third.length).toBe(1);
  });

  it('drops everything where the last segment is full', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, ['a', 'L'.repeat(100_000)]);
    await log.close();
    const again = await fixture.open({ segmentBytes: 65536 });
    again.reset();
    expect([again.firstLsn, again.lastLsn, again.length]).toEqual([3, 2, 0]);
    expect(again.append('b')).toBe(3);
  });
});
