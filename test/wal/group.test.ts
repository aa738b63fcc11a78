/**
 * A group on every disk with every core: making and opening it, attaching cores, entries, epochs, barriers, syncs,
 * truncation, and what is refused.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { WalGroup } from '../../host/wal/wal-group.ts';
import type { WalWriter } from '../../host/wal/writer.ts';
import { failure, onEach, rejection } from '../support/log-fixture.ts';
import { create, options, reopen } from '../support/wal-group.ts';

/** Appends to one core so that its entries can be told. */
function fill(writer: WalWriter, count: number): void {
  for (let i = 0; i < count; i++) writer.put(`key ${i}`, `value ${i} of core ${writer.core}`);
}

onEach('a group', (make) => {
  it('has one log for each core, made when it is attached, and an epoch that begins with 1', async () => {
    const fixture = make();
    const group = create(fixture, 3);
    expect([group.cores, group.epoch, group.completeEpoch]).toEqual([3, 1, 0]);
    expect(fixture.allNames()).toEqual(['GROUP', 'LOCK']);
    fill(group.writer(1), 2);
    expect(group.writer(1)).toBe(group.writer(1));
    expect([group.writer(1).sequence, group.writer(1).entriesSinceSync]).toEqual([2, 2]);
    await group.close();
    expect(group.closed).toBe(true);
    await group.close();
    const again = reopen(fixture);
    expect(again.writer(1).sequence).toBe(2);
    expect(again.writer(0).sequence).toBe(0);
    again.closeSync();
  });

  it('gives positions: where an entry begins, and where the next one will', async () => {
    const fixture = make();
    const group = create(fixture, 1);
    const writer = group.writer(0);
    const positions = [
      writer.put('k', 'v'), writer.delete('k'), writer.checkpoint(7), writer.commit({ a: 1, b: 2n ** 63n }, -5),
      writer.append(9, 'own', Buffer.alloc(5000)), writer.epochBarrier(), writer.put('', ''),
    ];
    expect(positions[0]).toBe(0);
    for (const [at, position] of positions.entries()) expect(position).toBeGreaterThan(positions[at - 1] ?? -1);
    expect(writer.position).toBe(positions.at(-1)! + 32);
    expect([writer.syncedPosition, writer.lastSyncAt]).toEqual([0, undefined]);
    expect(await writer.sync()).toBe(writer.position);
    expect([writer.syncedPosition, writer.entriesSinceSync]).toEqual([writer.position, 0]);
    expect(writer.lastSyncAt).toBeGreaterThan(0);
    await group.close();
  });

  it('refuses a second coordinator, a core that is attached, and what is no group', async () => {
    const fixture = make();
    expect(failure('ERR_VARVE_NOT_FOUND', () => reopen(fixture)).message).toContain('WalGroup.create');
    const group = create(fixture, 2);
    failure('ERR_VARVE_EXISTS', () => create(fixture, 2));
    failure('ERR_VARVE_LOCKED', () => reopen(fixture));
    const attached = WalGroup.attachSync(fixture.directory, 1, options(fixture));
    expect(failure('ERR_VARVE_LOCKED', () => group.writer(1)).details).toMatchObject({ pid: expect.any(Number) as number });
    await rejection('ERR_VARVE_LOCKED', WalGroup.attach(fixture.directory, 1, options(fixture)));
    await attached.close();
    expect(group.writer(1).sequence).toBe(0);
    await group.close();
    const core = { ...fixture.options(), readOnly: true };
    await rejection('ERR_VARVE_FOREIGN_DIRECTORY', RecordLog.open(`${fixture.directory}/core-0001`, core));
  });

  it('refuses a core whose directory is that of another one', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    fill(group.writer(0), 1);
    await group.close();
    for (const name of fixture.allNames().filter((each) => each.startsWith('core-0000/'))) {
      fixture.put(name.replace('core-0000', 'core-0001'), fixture.bytes(name));
    }
    const again = reopen(fixture);
    expect(failure('ERR_VARVE_FOREIGN_DIRECTORY', () => again.writer(1)).message).toContain('another core');
    await again.close();
  });

  it('is known by the second copy of its identity, and refused without both', async () => {
    const fixture = make();
    await create(fixture, 2).close();
    fixture.tamper('GROUP', 20, Uint8Array.of(0xff));
    const group = reopen(fixture);
    expect(group.cores).toBe(2);
    await group.close();
    fixture.tamper('GROUP', 2048 + 28, Uint8Array.of(3));
    expect(failure('ERR_VARVE_CORRUPT', () => reopen(fixture)).details).toMatchObject({ path: `${fixture.directory}/GROUP` });
  });

  it('refuses everything when it is closed, and writing when it was opened read-only', async () => {
    const fixture = make();
    const group = create(fixture, 1);
    const writer = group.writer(0);
    fill(writer, 1);
    await group.close();
    for (const call of [
      () => writer.put('k', 'v'), () => writer.commit({}), () => writer.checkpoint(1), () => writer.epochBarrier(),
      () => writer.syncNow(), () => { writer.truncate(0); }, () => { writer.reset(); },
      () => group.writer(0), () => group.epoch, () => group.advanceEpoch(), () => group.completeEpoch,
    ]) failure('ERR_VARVE_CLOSED', call);
    await rejection('ERR_VARVE_CLOSED', writer.sync());
    await rejection('ERR_VARVE_CLOSED', group.barrierAll());
    const reader = reopen(fixture, { readOnly: true });
    expect(reader.readOnly).toBe(true);
    for (const call of [() => reader.writer(0), () => reader.advanceEpoch()]) failure('ERR_VARVE_READ_ONLY', call);
    await rejection('ERR_VARVE_READ_ONLY', reader.syncAll());
    await reader.close();
  });
});

onEach('epochs', (make) => {
  it('are ended on every core: here, elsewhere, and where nobody is', async () => {
    const fixture = make();
    const group = create(fixture, 3);
    const here = group.writer(0);
    const elsewhere = WalGroup.attachSync(fixture.directory, 1, options(fixture));
    fill(here, 3);
    fill(elsewhere, 2);
    const cut = await group.barrierAll();
    expect(cut.epoch).toBe(1);
    expect(cut.cores).toEqual([
      { core: 0, sequence: 4, position: here.position },
      { core: 1, sequence: 3, position: elsewhere.position },
      { core: 2, sequence: 1, position: 40 },
    ]);
    expect([group.epoch, here.epoch, elsewhere.epoch]).toEqual([2, 2, 2]);
    expect(group.completeEpoch).toBe(0);
    await group.syncAll();
    expect(group.completeEpoch).toBe(1);
    for (const writer of [here, elsewhere]) {
      expect(writer.syncedPosition).toBeGreaterThanOrEqual(cut.cores[writer.core]!.position);
    }
    await elsewhere.close();
    await group.close();
  });

  it('are ended by a writer before its next entry, without a turn of the event loop', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const [first, second] = [group.writer(0), group.writer(1)];
    fill(second, 1);
    first.epochBarrier();
    expect([first.epoch, group.epoch, second.epoch]).toEqual([2, 2, 1]);
    second.put('k', 'v');
    expect([second.epoch, second.sequence]).toEqual([2, 3]);
    expect(group.advanceEpoch()).toBe(3);
    first.put('k', 'v');
    expect([first.epoch, first.sequence]).toEqual([3, 3]);
    await setImmediate();
    await group.barrierAll();
    expect(second.epoch).toBe(4);
    await group.close();
  });

  it('go on above all that were, after a clean end and after the death of everybody (defect 1)', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    fill(group.writer(0), 2);
    for (let i = 0; i < 5; i++) await group.barrierAll();
    expect(group.epoch).toBe(6);
    await group.close();
    const again = reopen(fixture);
    expect(again.epoch).toBeGreaterThan(6);
    expect(again.completeEpoch).toBe(5);
    const { sequence } = again.writer(0);
    expect(sequence).toBe(7);
    const { epoch } = again;
    fill(again.writer(0), 1);
    expect(again.writer(0).epoch).toBe(epoch);
    expect(again.writer(0).sequence).toBe(sequence + 1);
    await again.close();
  });
});

onEach('a writer', (make) => {
  it('is synced by its policy: every entry', async () => {
    const fixture = make();
    const group = create(fixture, 1, { sync: 'entry' });
    const writer = group.writer(0);
    for (let i = 0; i < 3; i++) {
      writer.put('k', 'v');
      expect([writer.entriesSinceSync, writer.syncedPosition]).toEqual([0, writer.position]);
    }
    await group.close();
  });

  it('is synced by its policy: so many entries', async () => {
    const fixture = make();
    const group = create(fixture, 1, { sync: { entries: 10 } });
    const writer = group.writer(0);
    fill(writer, 9);
    await setTimeout(5);
    expect(writer.entriesSinceSync).toBe(9);
    fill(writer, 1);
    await expect.poll(() => writer.entriesSinceSync).toBe(0);
    fill(writer, 25);
    await expect.poll(() => writer.entriesSinceSync).toBeLessThan(10);
    await group.close();
  });

  it('is synced by its policy: so many milliseconds', async () => {
    const fixture = make();
    const group = create(fixture, 1, { sync: { ms: 5 } });
    const writer = group.writer(0);
    fill(writer, 3);
    expect(writer.entriesSinceSync).toBe(3);
    await expect.poll(() => writer.entriesSinceSync).toBe(0);
    await group.close();
  });

  it('cuts its suffix by position, and goes on in a later epoch', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const writer = group.writer(0);
    fill(writer, 3);
    const position = writer.put('goes', 'x');
    fill(writer, 3);
    await writer.sync();
    for (const wrong of [position + 8, writer.position + 64]) {
      expect(failure('ERR_VARVE_OUT_OF_RANGE', () => { writer.truncate(wrong); }).details).toMatchObject({ core: 0 });
    }
    writer.truncate(writer.position);
    expect(writer.sequence).toBe(7);
    writer.truncate(position);
    expect([writer.sequence, writer.position, writer.syncedPosition]).toEqual([3, position, position]);
    expect([writer.epoch, group.epoch]).toEqual([2, 2]);
    expect(writer.put('again', 'y')).toBe(position);
    await group.close();
    const again = reopen(fixture);
    expect(again.writer(0).sequence).toBe(4);
    await again.close();
  });

  it('cuts all of its entries that no checkpoint covers', async () => {
    const fixture = make();
    const group = create(fixture, 1);
    const writer = group.writer(0);
    fill(writer, 5);
    writer.reset();
    expect([writer.sequence, writer.position, writer.epoch]).toEqual([0, 0, 2]);
    const covered = writer.put('k', 'v');
    await group.checkpoint();
    const { position, sequence } = writer;
    fill(writer, 5);
    expect(failure('ERR_VARVE_OUT_OF_RANGE', () => { writer.truncate(covered); }).message).toContain('checkpoint');
    writer.reset();
    expect([writer.sequence, writer.position]).toEqual([sequence, position]);
    await group.close();
  });
});
