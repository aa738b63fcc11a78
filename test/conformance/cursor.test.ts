/**
 * Cursors on every disk with every core, of writers and of readers: a position is there again after closing; it says so
 * when its record was cut or what follows was dropped; one opener at a time; damage, other stores and later versions
 * are told, never taken for a new cursor.
 */
import { expect, it } from 'vitest';
import { RecordLog, type Cursor } from '../../host/index.ts';
import {
  CONTROL_BYTES, CURSOR_BYTES, CURSOR_SLOT_BYTES, CURSOR_SLOT_STRIDE, CursorSlot,
} from '../../host/generated/abi.ts';
import { crc32c } from '../../host/core/crc32c.ts';
import {
  appendAll, failure, onEach, rejection, textOf, texts, type LogFixture,
} from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';

const FILE = 'cursors/mailer.cursor';

/** The texts that a cursor's follower delivers at once. */
async function delivered(fixture: LogFixture, cursor: Cursor): Promise<string[]> {
  const follower = cursor.follow();
  const list: string[] = [];
  while (follower.lag > 0) {
    const step = follower.next();
    fixture.refresh();
    list.push(textOf((await step).value!));
  }
  await follower.return();
  return list;
}

/** Saves twice, so that both slots are written, and closes. */
async function savedTwice(fixture: LogFixture): Promise<RecordLog> {
  const log = await fixture.open();
  appendAll(log, texts(9));
  using cursor = log.cursor('mailer');
  await cursor.save(4);
  cursor.saveNow(7);
  return log;
}

for (const side of ['writer', 'reader'] as const) {
  onEach(`a cursor of a ${side}`, (make) => {
    /** A writer, and the log that has the cursors: itself or a reader beside it. */
    async function pair(): Promise<{ fixture: LogFixture; writer: RecordLog; log: RecordLog }> {
      const fixture = make();
      const writer = await fixture.open({ segmentBytes: 65536 });
      return { fixture, writer, log: side === 'writer' ? writer : fixture.openReader() };
    }

    it('resumes where it was when its log is opened again', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(10));
      fixture.refresh();
      const cursor = log.cursor('mailer');
      expect([cursor.name, cursor.lsn, cursor.epoch]).toEqual(['mailer', undefined, undefined]);
      expect(await delivered(fixture, cursor)).toEqual(texts(10));
      for (let lsn = 1; lsn <= 6; lsn++) {
        if (lsn % 2 === 0) await cursor.save(lsn);
        else cursor.saveNow(lsn);
        expect([cursor.lsn, cursor.epoch]).toEqual([lsn, 1]);
      }
      await log.close();
      await writer.close();
      const next = await fixture.open();
      next.append('the next');
      const again = (side === 'writer' ? next : fixture.openReader()).cursor('mailer');
      expect([again.lsn, again.epoch]).toEqual([6, 1]);
      expect(await delivered(fixture, again)).toEqual([...texts(4, 20, 7), 'the next']);
      again.saveNow(11);
      expect(again.epoch).toBe(2);
    });

    it('can stand anywhere from in front of the first record to the last, and go back', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(30, 5000));
      writer.truncateBefore(14);
      fixture.refresh();
      const { firstLsn } = log;
      expect(firstLsn).toBe(13);
      const cursor = log.cursor('mailer');
      for (const lsn of [30, 13, 12, 0, 20]) {
        await cursor.save(lsn);
        expect([cursor.lsn, cursor.epoch]).toEqual([lsn, lsn < firstLsn ? 0 : 1]);
      }
      for (const lsn of [31, 11, 1, 2 ** 53 - 1]) {
        const { details } = await rejection('ERR_VARVE_OUT_OF_RANGE', cursor.save(lsn));
        expect(details).toEqual({ lsn, firstLsn, lastLsn: 30 });
        failure('ERR_VARVE_OUT_OF_RANGE', () => { cursor.saveNow(lsn); });
      }
      for (const lsn of [-1, 1.5, NaN, '1', undefined, 1n, null]) {
        await rejection('ERR_VARVE_INVALID_ARGUMENT', cursor.save(lsn as number));
      }
      expect(cursor.lsn).toBe(20);
      expect((await delivered(fixture, cursor)).length).toBe(10);
    });

    it('says that its record was cut, also where another one has taken its place', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(10));
      fixture.refresh();
      const cursor = log.cursor('mailer');
      cursor.saveNow(8);
      writer.truncateAfter(8);
      fixture.refresh();
      expect(await delivered(fixture, cursor)).toEqual([]);
      writer.truncateAfter(7);
      fixture.refresh();
      expect(failure('ERR_VARVE_TRUNCATED', () => cursor.follow()).details)
        .toMatchObject({ name: 'mailer', lsn: 8, epoch: 1, lastLsn: 7 });
      appendAll(writer, ['another 8', 'another 9']);
      fixture.refresh();
      expect(failure('ERR_VARVE_TRUNCATED', () => cursor.follow()).details)
        .toMatchObject({ lsn: 8, epoch: 1, actual: 3, lastLsn: 9 });
      cursor.saveNow(7);
      expect(await delivered(fixture, cursor)).toEqual(['another 8', 'another 9']);
      await cursor.save(8);
      expect(await delivered(fixture, cursor)).toEqual(['another 9']);
    });

    it('says so too where the record that was delivered was replaced before it was saved', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(8));
      fixture.refresh();
      const cursor = log.cursor('mailer');
      const delivered = log.read(8);
      writer.truncateAfter(7);
      writer.append('another 8');
      fixture.refresh();
      await cursor.save(delivered);
      expect([cursor.lsn, cursor.epoch]).toEqual([8, 1]);
      expect(failure('ERR_VARVE_TRUNCATED', () => cursor.follow()).details).toMatchObject({ lsn: 8, epoch: 1, actual: 2 });
      // An LSN alone means the record that has it now.
      cursor.saveNow(8);
      expect([cursor.epoch, cursor.follow().lsn]).toEqual([2, 8]);
      cursor.saveNow(log.read(8));
      expect(cursor.epoch).toBe(2);
      for (const wrong of [{}, { lsn: 8 }, { lsn: '8', epoch: 1 }, { lsn: 8, epoch: 2 ** 32 }, { lsn: 8, epoch: -1 }]) {
        await rejection('ERR_VARVE_INVALID_ARGUMENT', cursor.save(wrong as number));
      }
    });

    it('says that records which were not done with were dropped, and only then', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(30, 5000));
      fixture.refresh();
      const [exact, late, fresh] = [log.cursor('exact'), log.cursor('late'), log.cursor('fresh')];
      exact.saveNow(12);
      late.saveNow(11);
      writer.truncateBefore(14);
      fixture.refresh();
      expect(log.firstLsn).toBe(13);
      expect((await delivered(fixture, exact)).length).toBe(18);
      expect((await delivered(fixture, fresh)).length).toBe(18);
      expect(failure('ERR_VARVE_TRUNCATED', () => late.follow()).details).toMatchObject({ lsn: 11, firstLsn: 13 });
      late.saveNow(0);
      failure('ERR_VARVE_TRUNCATED', () => late.follow());
      writer.reset();
      fixture.refresh();
      fresh.saveNow(log.lastLsn);
      expect(await delivered(fixture, fresh)).toEqual([]);
    });

    it('follows as it is told, and stays where it is until it is saved', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(4));
      await writer.sync();
      appendAll(writer, texts(3, 20, 5));
      fixture.refresh();
      const cursor = log.cursor('mailer');
      cursor.saveNow(2);
      const abort = new AbortController();
      const follower = cursor.follow({ durable: true, view: true, signal: abort.signal });
      expect([follower.lsn, follower.lag, cursor.follow().lag]).toEqual([2, 2, 5]);
      expect([(await follower.next()).value?.lsn, cursor.lsn]).toEqual([3, 2]);
      abort.abort(new Error('enough'));
      await expect(follower.next()).rejects.toThrow('enough');
      for (const wrong of [null, 7, { durable: 1 }, { signal: 'now' }]) {
        failure('ERR_VARVE_INVALID_ARGUMENT', () => cursor.follow(wrong as object));
      }
    });

    it('is one opener\'s at a time, and free after it was closed or removed, or its log was closed', async () => {
      const { fixture, writer, log } = await pair();
      writer.append('one');
      fixture.refresh();
      const refused = () => {
        const { details, message } = failure('ERR_VARVE_LOCKED', () => writer.cursor('mailer'));
        const pid = fixture.disk === undefined ? process.pid : side === 'writer' ? 1000 : 1001;
        expect(details).toMatchObject({ pid, name: 'mailer', path: expect.stringContaining(FILE) as string });
        expect(message).toContain(String(pid));
      };
      const cursor = log.cursor('mailer');
      refused();
      cursor.saveNow(1);
      refused();
      await cursor.close();
      await cursor.close();
      expect(cursor.closed).toBe(true);
      await log.cursor('mailer').remove();
      {
        using second = log.cursor('mailer');
        expect(second.lsn).toBeUndefined();
        refused();
      }
      const third = log.cursor('mailer');
      refused();
      const saved = third.save(1);
      await log.close();
      await saved;
      expect([third.closed, third.lsn]).toEqual([true, 1]);
      if (side === 'reader') expect(writer.cursor('mailer').lsn).toBe(1);
    });

    it('cannot be used when it or its log is closed', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(3));
      fixture.refresh();
      const [one, other] = [log.cursor('one'), log.cursor('other')];
      await one.save(2);
      one.closeSync();
      const unusable = async (cursor: Cursor) => {
        await rejection('ERR_VARVE_CLOSED', cursor.save(1));
        failure('ERR_VARVE_CLOSED', () => { cursor.saveNow(1); });
        failure('ERR_VARVE_CLOSED', () => cursor.follow());
        await rejection('ERR_VARVE_CLOSED', cursor.remove());
      };
      await unusable(one);
      expect([one.lsn, one.closed, other.closed]).toEqual([2, true, false]);
      log.closeSync();
      await unusable(other);
      expect(other.closed).toBe(true);
      failure('ERR_VARVE_CLOSED', () => log.cursor('one'));
      failure('ERR_VARVE_CLOSED', () => log.cursors());
    });

    it('lists all of them by name, open or not, damaged ones too, without a lock', async () => {
      const { fixture, writer, log } = await pair();
      appendAll(writer, texts(5));
      fixture.refresh();
      expect(log.cursors()).toEqual([]);
      const before = fixture.disk === undefined ? Date.now() : 0;
      for (const [at, name] of ['b', 'a', 'C', 'ü/.'].entries()) log.cursor(name).saveNow(at + 1);
      log.cursor('new');
      const list = writer.cursors();
      expect(list.map(({ name, lsn }) => [name, lsn]))
        .toEqual([['C', 3], ['a', 2], ['b', 1], ['new', undefined], ['ü/.', 4]]);
      expect(list[0]!.savedAt).toBeGreaterThanOrEqual(before);
      fixture.tamper('cursors/a.cursor', 20, Uint8Array.of(0xff));
      fixture.put('cursors/NotOurs.cursor', Uint8Array.of(1));
      fixture.put('cursors/%2e.cursor', Uint8Array.of(1));
      expect(log.cursors()[1]).toEqual({ name: 'a', damaged: true });
      expect(log.cursors().length).toBe(5);
    });
  });
}

onEach('the file of a cursor', (make) => {
  it('has two slots, and the owner\'s process id only while it is open', async () => {
    const fixture = make();
    const log = await savedTwice(fixture);
    expect(fixture.bytes(FILE).length).toBe(CURSOR_BYTES);
    const cursor = log.cursor('mailer');
    if (fixture.disk === undefined) {
      expect(Buffer.from(fixture.bytes(FILE).subarray(CURSOR_BYTES)).toString()).toBe(`${process.pid}\n`);
    }
    await cursor.remove();
    expect(fixture.names().filter((name) => name.endsWith('.cursor'))).toEqual([]);
    expect(log.cursors()).toEqual([]);
  });

  it('is a new cursor where it is empty or all zeros, as a crash while it was made leaves it', async () => {
    const fixture = make();
    const log = await savedTwice(fixture);
    for (const bytes of [0, 1, 4096, CURSOR_BYTES, CURSOR_BYTES + 7]) {
      fixture.put(FILE, new Uint8Array(bytes));
      using cursor = log.cursor('mailer');
      expect([cursor.lsn, log.cursors()[0]!.lsn]).toEqual([undefined, undefined]);
      cursor.saveNow(3);
      expect(log.cursors()[0]!.lsn).toBe(3);
    }
  });

  it('gives the older position where the newest slot is damaged, and an error where both are', async () => {
    const fixture = make();
    const log = await savedTwice(fixture);
    fixture.tamper(FILE, CURSOR_SLOT_STRIDE + 90, Uint8Array.of(1));
    {
      using cursor = log.cursor('mailer');
      expect(cursor.lsn).toBe(4);
      cursor.saveNow(5);
    }
    for (const at of [30, CURSOR_SLOT_STRIDE + 30]) {
      fixture.tamper(FILE, at, Uint8Array.of(fixture.bytes(FILE)[at]! ^ 0x10));
    }
    const before = fixture.bytes(FILE);
    expect(failure('ERR_VARVE_CORRUPT', () => log.cursor('mailer')).details)
      .toMatchObject({ name: 'mailer', status: 'BadHeader' });
    expect(fixture.bytes(FILE)).toEqual(before);
    expect(log.cursors()).toEqual([{ name: 'mailer', damaged: true }]);
    // The lock of the attempt is free again.
    fixture.remove(FILE);
    expect(log.cursor('mailer').lsn).toBeUndefined();
  });

  it('is an error where its only slot is damaged or half of it is gone, never a new cursor', async () => {
    const fixture = make();
    const log = await fixture.open();
    log.append('one');
    {
      using cursor = log.cursor('mailer');
      cursor.saveNow(1);
    }
    const whole = fixture.bytes(FILE);
    fixture.put(FILE, whole.subarray(0, CursorSlot.name));
    failure('ERR_VARVE_CORRUPT', () => log.cursor('mailer'));
    fixture.put(FILE, whole.map((byte, at) => (at === 50 ? 1 : byte)));
    failure('ERR_VARVE_CORRUPT', () => log.cursor('mailer'));
    fixture.put(FILE, whole);
    expect(log.cursor('mailer').lsn).toBe(1);
  });

  it('of another store or under another name is an error', async () => {
    const fixture = make();
    const log = await savedTwice(fixture);
    fixture.put('cursors/other.cursor', fixture.bytes(FILE));
    expect(failure('ERR_VARVE_CORRUPT', () => log.cursor('other')).details).toMatchObject({ status: 'ForeignStore' });
    const foreign = make({ random: new Random(2) });
    const second = await savedTwice(foreign);
    foreign.put(FILE, fixture.bytes(FILE));
    failure('ERR_VARVE_CORRUPT', () => second.cursor('mailer'));
    expect(log.cursors()).toMatchObject([{ lsn: 7 }, { name: 'other', damaged: true }]);
  });

  it('of a later version is told, whichever slot it is in', async () => {
    const fixture = make();
    const log = await savedTwice(fixture);
    for (const field of [CursorSlot.version, CursorSlot.incompatible]) {
      for (const at of [0, CURSOR_SLOT_STRIDE]) {
        const whole = fixture.bytes(FILE);
        const slot = whole.slice(at, at + CURSOR_SLOT_BYTES);
        new DataView(slot.buffer).setUint32(field, 2, true);
        new DataView(slot.buffer).setUint32(CursorSlot.crc, crc32c(slot.subarray(CursorSlot.version)), true);
        fixture.tamper(FILE, at, slot);
        failure('ERR_VARVE_NEWER_VERSION', () => log.cursor('mailer'));
        expect(log.cursors()).toEqual([{ name: 'mailer', damaged: true }]);
        fixture.put(FILE, whole);
      }
    }
    expect(log.cursor('mailer').lsn).toBe(7);
  });

  it('is not opened where nothing tells which store this is, and the others are still named', async () => {
    const fixture = make();
    await (await savedTwice(fixture)).close();
    fixture.put('CONTROL', new Uint8Array(CONTROL_BYTES));
    for (const name of fixture.segmentNames()) fixture.tamper(name, 20, Uint8Array.of(0xff));
    const reader = fixture.openReader();
    expect(reader.cursors()).toEqual([{ name: 'mailer', damaged: true }]);
    failure('ERR_VARVE_CORRUPT', () => reader.cursor('mailer'));
  });

  it('does not keep the store from being opened, checked, repaired, or made anew', async () => {
    const fixture = make();
    await (await savedTwice(fixture)).close();
    fixture.put('CONTROL', new Uint8Array(CONTROL_BYTES));
    await RecordLog.repair(fixture.directory, fixture.options());
    const log = await fixture.open();
    expect([log.check().outcome, log.cursor('mailer').lsn]).toEqual(['ok', 7]);
    await log.close();
    for (const name of fixture.names()) if (!name.startsWith('cursors')) fixture.remove(name);
    // What is left belongs to a store that is no more.
    const anew = await fixture.open();
    appendAll(anew, texts(9));
    expect(anew.length).toBe(9);
    failure('ERR_VARVE_CORRUPT', () => anew.cursor('mailer'));
  });
});
