/**
 * Following a log, on every disk with every core, by its writer and by a reader beside it: everything is delivered once
 * and in order, live and durable; cuts, drops, closing and signals end it with the right word; events tell listeners.
 */
import { expect, it } from 'vitest';
import { RecordLog, type Follower } from '../../host/index.ts';
import { appendAll, failure, onEach, rejection, textOf, texts, type LogFixture } from '../support/log-fixture.ts';

/** Lets everything run that does not wait for something new; shows the simulated mappings to each other meanwhile. */
async function settle(fixture: LogFixture): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    fixture.refresh();
    await new Promise((resolve) => { setImmediate(resolve); });
  }
}

/** Takes `count` records. */
async function take(fixture: LogFixture, follower: Follower, count: number): Promise<string[]> {
  const list: string[] = [];
  while (list.length < count) {
    const step = follower.next();
    await settle(fixture);
    const { value } = await step;
    list.push(textOf(value!));
  }
  return list;
}

/** Waits until something is so; whoever sleeps on a real disk is woken by another thread. */
async function until(fixture: LogFixture, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5000 && !isSo(); turn++) {
    fixture.refresh();
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
}

/** Whether a promise is still open after everything had its turn. */
async function isWaiting(fixture: LogFixture, promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  await settle(fixture);
  return await Promise.race([promise.catch(() => undefined), Promise.resolve(open)]) === open;
}

for (const side of ['writer', 'reader'] as const) {
  onEach(`following by a ${side}`, (make) => {
    /** A writer, and the log that is followed: itself or a reader beside it. */
    async function pair(): Promise<{ fixture: LogFixture; writer: RecordLog; log: RecordLog }> {
      const fixture = make();
      const writer = await fixture.open({ segmentBytes: 65536 });
      return { fixture, writer, log: side === 'writer' ? writer : fixture.openReader() };
    }

    it('delivers what is there, then what comes, one by one, in batches and over segments', async () => {
      const { fixture, writer, log } = await pair();
      const list = texts(60, 3000);
      appendAll(writer, list.slice(0, 20));
      fixture.refresh();
      const follower = log.follow();
      expect([follower.lsn, follower.lag]).toEqual([0, 20]);
      expect(await take(fixture, follower, 20)).toEqual(list.slice(0, 20));
      expect([follower.lsn, follower.lag]).toEqual([20, 0]);
      const next = follower.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      writer.append(list[20]!);
      await settle(fixture);
      expect(textOf((await next).value!)).toBe(list[20]);
      writer.appendBatch(list.slice(21, 40));
      writer.rotate();
      appendAll(writer, list.slice(40));
      expect(await take(fixture, follower, 39)).toEqual(list.slice(21));
      expect(await follower.return()).toEqual({ done: true, value: undefined });
      expect(await follower.next()).toEqual({ done: true, value: undefined });
    });

    it('begins anywhere, also at what comes next, and nowhere else', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(9));
      fixture.refresh();
      expect(await take(fixture, log.follow({ from: 8 }), 2)).toEqual(texts(2, 20, 8));
      const fresh = log.follow({ from: 10 });
      const next = fresh.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      writer.append('ten');
      await settle(fixture);
      expect(textOf((await next).value!)).toBe('ten');
      expect(failure('ERR_VARVE_OUT_OF_RANGE', () => log.follow({ from: 12 })).details)
        .toMatchObject({ lsn: 12, firstLsn: 1, lastLsn: 10 });
      for (const bad of [null, 5, { from: -1 }, { from: '1' }, { durable: 1 }, { signal: {} }, { view: 'x' }]) {
        failure('ERR_VARVE_INVALID_ARGUMENT', () => log.follow(bad as object));
      }
    });

    it('gives runs as batches, and views on request', async () => {
      const { fixture, writer, log } = await pair();
      const list = texts(500, 200);
      appendAll(writer, list);
      fixture.refresh();
      const got: string[] = [];
      const follower = log.follow({ view: true });
      let runs = 0;
      for await (const batch of follower.batches()) {
        runs++;
        got.push(...batch.map(textOf));
        expect(follower.lsn).toBe(got.length);
        if (got.length === 500) break;
      }
      expect(got).toEqual(list);
      expect(runs).toBeLessThan(10);
      expect((await follower.next()).done).toBe(true);
    });

    it('answers calls that do not wait for each other in their order', async () => {
      const { fixture, writer, log } = await pair();
      const follower = log.follow();
      const steps = [follower.next(), follower.next(), follower.next()];
      await settle(fixture);
      appendAll(writer, ['a', 'b', 'c']);
      await settle(fixture);
      expect((await Promise.all(steps)).map(({ value }) => textOf(value!))).toEqual(['a', 'b', 'c']);
    });

    it('holds back what is not durable, where that is asked for', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(3));
      await writer.sync();
      appendAll(writer, texts(4, 20, 4));
      fixture.refresh();
      const follower = log.follow({ durable: true });
      expect(follower.lag).toBe(3);
      expect(await take(fixture, follower, 3)).toEqual(texts(3));
      const next = follower.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      await writer.sync();
      await settle(fixture);
      expect(textOf((await next).value!)).toBe(texts(1, 20, 4)[0]);
      expect(await take(fixture, follower, 3)).toEqual(texts(3, 20, 5));
    });

    it('goes on over a cut behind what it has delivered, and ends where the cut goes through it', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(100, 3000));
      fixture.refresh();
      const follower = log.follow();
      expect(await take(fixture, follower, 10)).toHaveLength(10);
      // The follower has more in its run than it has delivered: what it delivers was in the log when it was read.
      writer.truncateAfter(60);
      appendAll(writer, ['61 anew', '62 anew']);
      const rest = await take(fixture, follower, 52);
      expect(rest.slice(0, 50)).toEqual(texts(50, 3000, 11));
      expect(rest.slice(50)).toEqual(['61 anew', '62 anew']);
      writer.truncateAfter(61);
      await settle(fixture);
      writer.append('62 once more');
      fixture.refresh();
      expect((await rejection('ERR_VARVE_TRUNCATED', follower.next())).details).toMatchObject({ lsn: 62, lastLsn: 62 });
      expect((await follower.next()).done).toBe(true);
    });

    it('ends where it waits and what it had delivered is cut', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(5));
      fixture.refresh();
      const follower = log.follow();
      await take(fixture, follower, 5);
      const next = follower.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      const end = rejection('ERR_VARVE_TRUNCATED', next);
      writer.truncateAfter(3);
      await settle(fixture);
      await end;
    });

    it('ends where a cut goes below the place that it was to begin at', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(5));
      fixture.refresh();
      const follower = log.follow({ from: 6 });
      const next = follower.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      const end = rejection('ERR_VARVE_TRUNCATED', next);
      writer.truncateAfter(2);
      appendAll(writer, ['3 anew', '4 anew', '5 anew', '6 anew']);
      await settle(fixture);
      await end;
    });

    it('ends where records were dropped before it came to them, and not where it had come past them', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(200, 3000));
      fixture.refresh();
      const slow = log.follow();
      const quick = log.follow({ from: 150 });
      await take(fixture, slow, 1);
      await take(fixture, quick, 51);
      const first = writer.truncateBefore(150);
      expect(first).toBeGreaterThan(100);
      writer.append('more');
      fixture.refresh();
      expect(await take(fixture, quick, 1)).toEqual(['more']);
      // It may still have a run of records; then it ends.
      const all = async () => {
        for (;;) {
          if (textOf((await slow.next()).value!) === 'more') return;
        }
      };
      const error = await rejection('ERR_VARVE_TRUNCATED', all());
      expect(error.details).toMatchObject({ lsn: slow.lsn, firstLsn: first });
    });

    it('is ended by its signal, before, while and after it waits', async () => {
      const { fixture, writer, log } = await pair();
      const reason = new Error('enough');
      await expect(log.follow({ signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
      const controller = new AbortController();
      const follower = log.follow({ signal: controller.signal });
      writer.append('a');
      expect(await take(fixture, follower, 1)).toEqual(['a']);
      const next = follower.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      controller.abort();
      await expect(next).rejects.toMatchObject({ name: 'AbortError' });
      expect((await follower.next()).done).toBe(true);
    });

    it('is ended by closing the log, and leaves it when a loop is left', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(3));
      fixture.refresh();
      for await (const record of log.follow()) if (record.lsn === 2) break;
      const follower = log.follow({ from: 4 });
      const batches = log.follow({ from: 4 }).batches();
      const next = follower.next();
      const batch = batches.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      const idle = log.follow();
      await log.close();
      await rejection('ERR_VARVE_CLOSED', next);
      await rejection('ERR_VARVE_CLOSED', batch);
      await rejection('ERR_VARVE_CLOSED', idle.next());
      failure('ERR_VARVE_CLOSED', () => log.follow());
    });

    it('outlives the writer, and passes over what a repair gave up', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(5, 100));
      const { offset } = writer.refOf(3);
      if (side === 'writer') return;
      await writer.close();
      fixture.tamper(fixture.segmentNames()[0]!, offset + 40, Uint8Array.of(0xee));
      await RecordLog.repair(fixture.directory, fixture.options());
      const reader = fixture.openReader();
      const follower = reader.follow();
      expect(await take(fixture, follower, 4)).toEqual(texts(5, 100).filter((_, at) => at !== 2));
      const next = follower.next();
      expect(await isWaiting(fixture, next)).toBe(true);
      const again = await fixture.open({ segmentBytes: 65536 });
      again.append('after');
      await settle(fixture);
      expect(textOf((await next).value!)).toBe('after');
      log.closeSync();
    });

    it('tells listeners of cuts and drops, and of nothing else', async () => {
      const { fixture, writer, log } = await pair();
      const told: unknown[] = [];
      log.on('truncate', (now) => told.push(['truncate', now]));
      log.on('retain', (now) => told.push(['retain', now]));
      appendAll(writer, texts(100, 3000));
      await settle(fixture);
      writer.rotate();
      writer.append('101');
      await settle(fixture);
      expect(told).toEqual([]);
      writer.truncateAfter(90);
      await until(fixture, () => told.length > 0);
      expect(told.splice(0)).toEqual([['truncate', { firstLsn: 1, lastLsn: 90 }]]);
      const first = writer.truncateBefore(50);
      await until(fixture, () => told.length > 0);
      expect(told.splice(0)).toEqual([['retain', { firstLsn: first, lastLsn: 90 }]]);
      writer.truncateAfter(writer.lastLsn);
      writer.truncateBefore(1);
      await settle(fixture);
      writer.reset();
      await until(fixture, () => told.length > 0);
      expect(told.splice(0)).toEqual([['retain', { firstLsn: 91, lastLsn: 90 }]]);
    });
  });
}

onEach('retention', (make, kind) => {
  it('drops whole segments until the rest is small enough, and never the active one', async () => {
    const log = await make().open({ segmentBytes: 65536 });
    appendAll(log, texts(200, 3000));
    const { segments } = log.stats;
    const bytes = log.position;
    expect(log.retain({ maxBytes: bytes })).toBe(1);
    const first = log.retain({ maxBytes: bytes / 2 });
    expect(first).toBeGreaterThan(90);
    expect(log.stats.segments).toBeLessThan(segments);
    // No segment more than was needed has gone: the one before the first would have been too much.
    expect(log.lastLsn - first + 1).toBeGreaterThan(70);
    expect(textOf(log.read(first))).toBe(texts(1, 3000, first)[0]);
    const last = log.retain({ maxBytes: 0 });
    expect(log.stats.segments).toBe(1);
    expect(last).toBeLessThanOrEqual(200);
    expect(log.append('on')).toBe(201);
    for (const bad of [{}, null, { maxBytes: -1 }, { maxAge: 1.5 }, { maxBytes: '1' }, undefined]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => log.retain(bad as object));
    }
  });

  it('drops what was sealed too long ago, whatever the clock does', async () => {
    const fixture = make();
    const log = await fixture.open({ segmentBytes: 65536 });
    if (kind === 'real') {
      appendAll(log, texts(60, 3000));
      expect(log.retain({ maxAge: 3_600_000 })).toBe(1);
      return;
    }
    const { clock } = fixture.disk!;
    const firsts: number[] = [];
    for (let hour = 0; hour < 5; hour++) {
      firsts.push(log.lastLsn + 1);
      appendAll(log, texts(3, 3000));
      log.rotate();
      clock.advance(3_600_000);
    }
    log.append('active');
    expect(log.retain({ maxAge: 100 * 3_600_000 })).toBe(1);
    expect(log.retain({ maxAge: 3 * 3_600_000 })).toBe(firsts[2]);
    clock.advance(-50 * 3_600_000);
    expect(log.retain({ maxAge: 0 })).toBe(firsts[2]);
    clock.advance(100 * 3_600_000);
    expect(log.retain({ maxAge: 0, maxBytes: 1 << 30 })).toBe(log.lastLsn);
  });
});
