/**
 * Scanning, on every disk with every core: ranges, directions, limits, what ends a scan and what a scan does not see.
 */
import { expect, it } from 'vitest';
import { Random } from '../support/random.ts';
import { appendAll, failure, onEach, textOf, texts, textsOf } from '../support/log-fixture.ts';

onEach('scanning', (make) => {
  const lsns = (scan: Iterable<{ lsn: number }>) => [...scan].map(({ lsn }) => lsn);

  it('visits nothing of an empty log', async () => {
    const log = await make().open();
    expect([lsns(log.scan()), lsns(log.scan({ reverse: true })), lsns(log)]).toEqual([[], [], []]);
    expect(lsns(log.scan({ from: 1 }))).toEqual([]);
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.scan({ from: 2 }));
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.scan({ from: 0 }));
  });

  it('visits every range forwards and backwards, over segments, as copies and as views', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    const list = texts(40, 5000);
    appendAll(log, list);
    const random = new Random(3);
    for (let i = 0; i < 60; i++) {
      const from = random.between(1, 41);
      const to = random.between(0, 45);
      const view = random.chance(0.5);
      const expected = list.map((text, at) => ({ lsn: at + 1, text })).filter(({ lsn }) => lsn >= from && lsn <= to);
      const forth = [...log.scan({ from, to, view })].map((record) => ({ lsn: record.lsn, text: textOf(record) }));
      const back = [...log.scan({ from, to, view, reverse: true })]
        .map((record) => ({ lsn: record.lsn, text: textOf(record) }));
      expect(forth).toEqual(expected);
      expect(back).toEqual(expected.reverse());
    }
  });

  it('goes through runs of small, of large and of empty records in both directions', async () => {
    const log = await make().open({ segmentBytes: 1 << 20 });
    const random = new Random(4);
    const sizes = Array.from({ length: 6000 }, (_, at) => (at % 500 === 0 ? random.integer(200_000)
      : at < 5000 ? 0 : random.integer(50)));
    for (const size of sizes) log.append(random.bytes(size));
    expect([...log.scan()].map(({ payload }) => payload.length)).toEqual(sizes);
    expect([...log.scan({ reverse: true })].map(({ payload }) => payload.length)).toEqual(sizes.reverse());
    expect(lsns(log.scan({ reverse: true }))).toEqual(sizes.map((_, at) => sizes.length - at));
  });

  it('gives records of short scans that share buffers, stay as they are, and cannot be taken away', async () => {
    const log = await make().open();
    const list = texts(200, 300);
    appendAll(log, list);
    const kept = list.flatMap((_, at) => [...log.scan({ from: at + 1, to: at + 1 })]);
    const buffers = new Set(kept.map(({ payload }) => payload.buffer as ArrayBuffer));
    expect(buffers.size).toBeLessThan(kept.length / 4);
    for (const buffer of buffers) {
      try {
        structuredClone(buffer, { transfer: [buffer] });
      } catch (error) {
        expect((error as Error).name).toBe('DataCloneError');
      }
    }
    expect(kept.map(textOf)).toEqual(list);
  });

  it('clamps the end to what is there, and refuses a start outside', async () => {
    const log = await make().open();
    appendAll(log, texts(10));
    expect(lsns(log.scan({ from: 8, to: 1000 }))).toEqual([8, 9, 10]);
    expect(lsns(log.scan({ from: 11 }))).toEqual([]);
    expect(lsns(log.scan({ from: 5, to: 4 }))).toEqual([]);
    expect(lsns(log.scan({ from: 5, to: 0, reverse: true }))).toEqual([]);
    expect(failure('ERR_VARVE_OUT_OF_RANGE', () => log.scan({ from: 12 })).details)
      .toMatchObject({ lsn: 12, firstLsn: 1, lastLsn: 10 });
    log.rotate();
    log.truncateBefore(11);
    failure('ERR_VARVE_OUT_OF_RANGE', () => log.scan({ from: 10 }));
    expect(lsns(log.scan({ from: 11 }))).toEqual([]);
  });

  it('refuses wrong options at the call, not at the first step', async () => {
    const log = await make().open();
    log.append('x');
    for (const bad of [5, null, 'x']) failure('ERR_VARVE_INVALID_ARGUMENT', () => log.scan(bad as never));
    for (const from of [-1, 1.5, '1', null, NaN]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.scan({ from: from as never }));
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.scan({ to: from as never }));
    }
  });

  it('does not visit what is appended after the call', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    appendAll(log, texts(5, 30_000));
    const seen: number[] = [];
    for (const { lsn } of log.scan()) {
      seen.push(lsn);
      log.append('later');
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(log.lastLsn).toBe(10);
  });

  it('ends for good when it is left early', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    appendAll(log, texts(50, 5000));
    for (const reverse of [false, true]) {
      const scan = log.scan({ reverse });
      for (const { lsn } of scan) if (lsn === 20) break;
      expect(scan.next()).toEqual({ done: true, value: undefined });
      const other = log.scan({ reverse });
      other.next();
      expect(other.return?.()).toEqual({ done: true, value: undefined });
      expect([...other]).toEqual([]);
    }
  });

  it('holds several scans at once over a window too small for them', async () => {
    const log = await make().open({ segmentBytes: 65536, mappedBytesMax: 0 });
    const list = texts(60, 5000);
    appendAll(log, list);
    const scans = [log.scan(), log.scan({ reverse: true }), log.scan({ from: 20 }), log.scan({ view: true })];
    const seen: number[][] = scans.map(() => []);
    for (let open = true; open;) {
      open = false;
      scans.forEach((scan, at) => {
        const { done, value } = scan.next();
        if (done === true) return;
        open = true;
        seen[at]!.push(value.lsn);
        expect(textOf(value)).toBe(list[value.lsn - 1]);
      });
    }
    expect(seen.map((each) => each.length)).toEqual([60, 60, 41, 60]);
    expect(log.stats.evictions).toBeGreaterThan(10);
  });

  it('throws when the log is closed, cut or dropped under it, never shows what came instead', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    const list = texts(60, 5000);
    appendAll(log, list);
    const cut = log.scan();
    const cutBack = log.scan({ reverse: true });
    cut.next();
    cutBack.next();
    log.truncateAfter(30);
    const instead = texts(60, 4000, 1000);
    appendAll(log, instead);
    const seen: string[] = [];
    failure('ERR_VARVE_TRUNCATED', () => { for (const record of cut) seen.push(textOf(record)); });
    expect(seen).toEqual(list.slice(1, seen.length + 1));
    failure('ERR_VARVE_TRUNCATED', () => {
      for (const record of cutBack) expect(textOf(record)).toBe(list[record.lsn - 1]);
    });
    const dropped = log.scan();
    dropped.next();
    log.truncateBefore(61);
    failure('ERR_VARVE_TRUNCATED', () => [...dropped]);
    const closed = log.scan();
    closed.next();
    log.closeSync();
    failure('ERR_VARVE_CLOSED', () => [...closed]);
  });

  it('goes on to the records that a cut leaves', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    const list = texts(60, 5000);
    appendAll(log, list);
    const scan = log.scan({ to: 20 });
    scan.next();
    log.truncateAfter(30);
    expect([...scan].map(textOf)).toEqual(list.slice(1, 20));
    expect(textsOf(log)).toEqual(list.slice(0, 30));
  });
});
