/**
 * A read-only log beside a writer and without one, on every disk with every core: it sees what is committed, follows
 * rotation, truncation and reset, and changes nothing.
 */
import { expect, it } from 'vitest';
import { appendAll, failure, onEach, rejection, textOf, texts, textsOf } from '../support/log-fixture.ts';

onEach('reading beside a writer', (make) => {
  it('sees appends, batches and rotations at once', async () => {
    const fixture = make();
    const writer = await fixture.open({ segmentBytes: 65536 });
    const reader = fixture.openReader();
    expect([reader.readOnly, reader.length, writer.readOnly]).toEqual([true, 0, false]);
    const list: string[] = [];
    for (let round = 0; round < 12; round++) {
      const more = texts(7, 3000, list.length + 1);
      if (round % 3 === 0) writer.appendBatch(more);
      else appendAll(writer, more);
      if (round % 4 === 3) writer.rotate();
      list.push(...more);
      fixture.refresh();
      expect(reader.lastLsn).toBe(list.length);
      expect(textsOf(reader)).toEqual(list);
      expect(textOf(reader.read(list.length, { view: true }))).toBe(list.at(-1));
      expect(reader.position).toBe(writer.position);
    }
    await writer.sync();
    fixture.refresh();
    expect([reader.durableLsn, reader.durablePosition]).toEqual([writer.lastLsn, writer.position]);
    await writer.close();
    fixture.refresh();
    expect(textsOf(reader)).toEqual(list);
  });

  it('sees both kinds of truncation, and a reset', async () => {
    const fixture = make();
    const writer = await fixture.open({ segmentBytes: 65536 });
    const list = texts(60, 5000);
    appendAll(writer, list);
    const reader = fixture.openReader();
    expect(textsOf(reader)).toEqual(list);
    writer.truncateBefore(20);
    fixture.refresh();
    expect(reader.firstLsn).toBe(13);
    failure('ERR_VARVE_OUT_OF_RANGE', () => reader.read(12));
    expect(textsOf(reader)).toEqual(list.slice(12));
    writer.truncateAfter(30);
    fixture.refresh();
    expect(reader.lastLsn).toBe(30);
    failure('ERR_VARVE_OUT_OF_RANGE', () => reader.read(31));
    writer.append('instead');
    fixture.refresh();
    expect(textsOf(reader)).toEqual([...list.slice(12, 30), 'instead']);
    writer.reset();
    fixture.refresh();
    expect([reader.firstLsn, reader.lastLsn, reader.length]).toEqual([32, 31, 0]);
    writer.append('anew');
    fixture.refresh();
    expect(textsOf(reader)).toEqual(['anew']);
  });

  it('looks again where the writer trims a file between two looks, and makes it longer again', async () => {
    const fixture = make();
    if (fixture.disk === undefined) return;
    const writer = await fixture.open({ segmentBytes: 65536 });
    appendAll(writer, texts(5));
    fixture.refresh();
    const storage = fixture.disk.storage();
    const open = storage.open.bind(storage);
    let looks = Infinity;
    storage.open = (path, access) => {
      const file = open(path, access);
      const size = file.size.bind(file);
      // As long as it had been a moment before, each time.
      if (path.endsWith('.seg')) file.size = () => size() + (looks++ < 2 ? 4096 : 0);
      return file;
    };
    const reader = fixture.openReader({ storage, mappedBytesMax: 0 });
    expect(textsOf(reader)).toEqual(texts(5));
    writer.rotate();
    appendAll(writer, texts(5, 20, 6));
    fixture.refresh();
    looks = 0;
    expect(textsOf(reader)).toEqual(texts(10));
    expect(looks).toBeGreaterThan(2);
    looks = 0;
    expect(textOf(reader.read(1, { view: true }))).toBe(texts(1)[0]);
  });

  it('looks again where a listing lacks a file, in the midst or at the end, that the writer has just made', async () => {
    for (const lacking of [1, 2]) {
      const fixture = make();
      if (fixture.disk === undefined) return;
      const writer = await fixture.open({ segmentBytes: 65536 });
      const list = texts(5);
      appendAll(writer, list);
      fixture.refresh();
      const storage = fixture.disk.storage();
      const listed = storage.list.bind(storage);
      let lies = 0;
      storage.list = (directory) => {
        const names = listed(directory);
        const segments = names?.filter((name) => name.endsWith('.seg')) ?? [];
        return segments.length < 3 || lies++ > 0 ? names : names?.filter((name) => name !== segments[lacking]);
      };
      const reader = fixture.openReader({ storage });
      expect(textsOf(reader)).toEqual(list);
      for (let segment = 0; segment < 2; segment++) {
        writer.rotate();
        const more = texts(5, 20, list.length + 1);
        appendAll(writer, more);
        list.push(...more);
      }
      fixture.refresh();
      expect(textsOf(reader)).toEqual(list);
      expect(lies).toBeGreaterThan(1);
    }
  });

  it('sees a large record that takes the place of an empty segment', async () => {
    const fixture = make();
    const writer = await fixture.open({ segmentBytes: 65536 });
    writer.append('first');
    writer.rotate();
    const reader = fixture.openReader();
    expect(textsOf(reader)).toEqual(['first']);
    writer.append('L'.repeat(100_000));
    fixture.refresh();
    expect(textsOf(reader)).toEqual(['first', 'L'.repeat(100_000)]);
  });

  it('looks again where a segment that a cut has spared is dropped before it is looked into', async () => {
    const fixture = make();
    if (fixture.disk === undefined) return;
    const writer = await fixture.open({ segmentBytes: 65536 });
    appendAll(writer, texts(5));
    writer.rotate();
    writer.syncNow();
    fixture.refresh();
    const storage = fixture.disk.storage();
    const open = storage.open.bind(storage);
    let opened = -Infinity;
    storage.open = (path, access) => {
      // The first look is at its header and footer.
      if (path.endsWith('01.seg') && ++opened === 2) writer.truncateBefore(6);
      return open(path, access);
    };
    const reader = fixture.openReader({ storage, mappedBytesMax: 0 });
    const events: string[] = [];
    reader.on('truncate', () => events.push('truncate')).on('retain', () => events.push('retain'));
    expect(reader.lastLsn).toBe(5);
    appendAll(writer, texts(5, 20, 6));
    writer.truncateAfter(8);
    fixture.refresh();
    opened = 0;
    expect([reader.firstLsn, reader.lastLsn]).toEqual([6, 8]);
    expect(opened).toBe(2);
    await new Promise(setImmediate);
    expect(events).toEqual(['retain']);
    expect(textsOf(reader)).toEqual(texts(3, 20, 6));
  });

  it('sees that record where it looks just before the empty segment goes', async () => {
    const fixture = make();
    const { storage } = fixture;
    if (storage === undefined) return;
    const writer = await fixture.open({ segmentBytes: 65536 });
    writer.append('first');
    writer.rotate();
    fixture.refresh();
    const reader = fixture.openReader();
    const remove = storage.remove.bind(storage);
    let looks = 0;
    storage.remove = (path) => {
      fixture.refresh();
      expect(reader.lastLsn).toBe(1);
      looks++;
      remove(path);
    };
    writer.append('large'.repeat(30000));
    fixture.refresh();
    expect(textOf(reader.read(2))).toBe('large'.repeat(30000));
    expect(looks).toBeGreaterThan(0);
  });

  it('outlives writers: sees what the next one appends and cuts', async () => {
    const fixture = make();
    const first = await fixture.open({ segmentBytes: 65536 });
    appendAll(first, texts(20, 5000));
    await first.close();
    const reader = fixture.openReader();
    expect(textsOf(reader)).toEqual(texts(20, 5000));
    const second = await fixture.open({ segmentBytes: 65536 });
    fixture.refresh();
    expect(textsOf(reader)).toEqual(texts(20, 5000));
    appendAll(second, texts(20, 5000, 21));
    fixture.refresh();
    expect(textsOf(reader)).toEqual(texts(40, 5000));
    second.truncateAfter(3);
    await second.close();
    fixture.refresh();
    expect(textsOf(reader)).toEqual(texts(3, 5000));
  });

  it('is not killed by a scan or a view over records that are cut, sealed and trimmed meanwhile', async () => {
    const fixture = make();
    const writer = await fixture.open();
    const list = texts(100, 5000);
    appendAll(writer, list);
    const reader = fixture.openReader();
    const view = reader.read(100, { view: true });
    const scan = reader.scan();
    const back = reader.scan({ reverse: true });
    scan.next();
    back.next();
    writer.truncateAfter(1);
    await writer.close();
    fixture.refresh();
    expect(textOf(view)).toBe(list[99]);
    for (const each of [scan, back]) {
      try {
        for (const record of each) expect(textOf(record)).toBe(list[record.lsn - 1]);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_VARVE_TRUNCATED' });
      }
    }
    expect(textsOf(reader)).toEqual(list.slice(0, 1));
  });

  it('reads many segments through a small window while the writer goes on', async () => {
    const fixture = make();
    const writer = await fixture.open({ segmentBytes: 65536 });
    const reader = fixture.openReader({ mappedBytesMax: 0 });
    const list = texts(300, 2000);
    for (let at = 0; at < list.length; at += 30) {
      appendAll(writer, list.slice(at, at + 30));
      fixture.refresh();
      expect(textsOf(reader)).toEqual(list.slice(0, at + 30));
    }
    expect(reader.stats.evictions).toBeGreaterThan(5);
  });
});

onEach('reading without a writer', (make, kind) => {
  it('makes and changes nothing', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, texts(30, 5000));
    await log.close();
    fixture.remove('LOCK');
    const before = fixture.names().map((name) => [name, Buffer.from(fixture.bytes(name)).toString('latin1')]);
    const reader = fixture.openReader();
    expect(textsOf(reader)).toEqual(texts(30, 5000));
    expect(reader.recovery).toMatchObject({
      outcome: 'whole', closedCleanly: true, scannedRecords: 0, firstLsn: 1, lastLsn: 30, epoch: 1, cutFiles: [],
    });
    reader.closeSync();
    expect(fixture.names().map((name) => [name, Buffer.from(fixture.bytes(name)).toString('latin1')])).toEqual(before);
  });

  it('does not mistake another process with the dead writer\'s id for a writer', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    appendAll(log, texts(30, 5000));
    await log.sync();
    appendAll(log, texts(30, 5000, 31));
    const left = fixture.afterCrash();
    // What a power cut can leave: CONTROL tells of records that never reached the disk.
    for (const name of left.segmentNames().slice(3)) left.remove(name);
    const reader = left.openReader();
    expect(reader.lastLsn).toBe(36);
    expect(textsOf(reader)).toEqual(texts(36, 5000));
    left.remove(left.segmentNames()[0]!);
    expect(left.openReader().recovery).toMatchObject({ outcome: 'corrupt' });
  });

  it('refuses every write', async () => {
    const fixture = make();
    const log = await fixture.open();
    log.append('x');
    await log.close();
    const reader = fixture.openReader();
    for (const call of [() => reader.append('y'), () => reader.append('y', { kind: 1 }), () => reader.appendBatch(['y']),
      () => reader.rotate(), () => reader.truncateBefore(1), () => reader.truncateAfter(0), () => reader.reset(),
      () => reader.syncNow()]) failure('ERR_VARVE_READ_ONLY', call);
    await rejection('ERR_VARVE_READ_ONLY', reader.sync());
    expect(textsOf(reader)).toEqual(['x']);
  });

  it('reads what a dead writer left, torn tail or not, and changes nothing', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const list = texts(30, 5000);
    appendAll(log, list);
    const left = fixture.afterCrash();
    if (kind === 'simulated') left.kill();
    left.tamper(left.segmentNames().at(-1)!, 4096 + 6 * 5024, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const before = left.names().map((name) => Buffer.from(left.bytes(name)).toString('latin1'));
    const reader = left.openReader();
    expect(textsOf(reader)).toEqual(list);
    if (kind === 'simulated') expect(reader.recovery).toMatchObject({ outcome: 'cut', tornBytes: 8, lastLsn: 30 });
    expect(left.names().map((name) => Buffer.from(left.bytes(name)).toString('latin1'))).toEqual(before);
  });
});
