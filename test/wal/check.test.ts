/**
 * What a group says of itself, on every disk with every core: check, stats, merge, reset and repair, of groups that are
 * whole and damaged, beside live writers, and of groups that were left half-made.
 */
import { expect, it } from 'vitest';
import { WalGroup } from '../../host/wal/wal-group.ts';
import { failure, onEach, rejection, type LogFixture } from '../support/log-fixture.ts';
import { create, options, reopen, text } from '../support/wal-group.ts';

/** What needs no segment size. */
function repairing(fixture: LogFixture) {
  const { core, storage } = options(fixture);
  return { core: core!, ...(storage === undefined ? {} : { storage }) };
}

const keysOf = (group: WalGroup, merging = {}): string[] => (
  [...group.merge(merging)].filter(({ type }) => type === 'put').map(({ core, key }) => `${core}${text(key)}`));

/** Flips a bit of the last place where bytes stand in a file of the group. */
function flip(fixture: LogFixture, name: string, what: string): void {
  const bytes = fixture.bytes(name);
  const at = Buffer.from(bytes).lastIndexOf(what);
  expect(at).toBeGreaterThan(0);
  fixture.tamper(name, at, Uint8Array.of(bytes[at]! ^ 1));
}

const namesOf = (fixture: LogFixture, start: string): string[] => (
  fixture.allNames().filter((name) => name.startsWith(start) && /\.(seg|checkpoint)$/.test(name)));

onEach('a check of a group', (make) => {
  it('finds nothing in a whole one, whoever has its cores', async () => {
    const fixture = make();
    const group = create(fixture, 3);
    expect(group.check()).toMatchObject({
      outcome: 'ok', joined: true, replay: 0, completeEpoch: 0, damaged: [], cores: [{ outcome: 'absent' }, {}, {}],
    });
    const [a, b] = [group.writer(0), group.writer(1)];
    for (let i = 0; i < 50; i++) a.put(`a${i}`, Buffer.alloc(4000));
    b.commit({ s: 1 });
    await group.checkpoint({ state: 'some state' });
    a.put('behind', 'x');
    const seen: [number, number][] = [];
    const report = group.check({ onProgress: (done, total) => { seen.push([done, total]); } });
    expect(report).toMatchObject({
      outcome: 'ok', because: 'every frame and every checkpoint is valid', joined: true, damaged: [], unusable: [],
      checkpoints: [{ id: 1, epoch: 1, stateBytes: 10 }],
    });
    expect(report.cores.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok']);
    const { entries, lastSequence, firstEpoch, lastEpoch, segments } = report.cores[0]!;
    expect([entries, firstEpoch, segments]).toEqual([lastSequence, 1, 4]);
    expect(lastEpoch).toBe(group.epoch);
    const reader = reopen(fixture, { readOnly: true });
    expect(report.replay).toBe([...(await reader.recover()).entries()].length);
    await reader.close();
    expect(seen.at(-1)![0]).toBe(seen.at(-1)![1]);
    expect(seen.every(([done], at) => done > (seen[at - 1]?.[0] ?? 0))).toBe(true);
    expect(JSON.stringify(report).length).toBeLessThan(5000);
    failure('ERR_VARVE_INVALID_ARGUMENT', () => group.check({ onProgress: 7 as never }));
    await group.close();
    failure('ERR_VARVE_CLOSED', () => group.check());
  });

  it('names damaged entries, checkpoints and copies of what the group is, and goes on behind them', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    group.writer(0).put('first of a', 'x');
    group.writer(0).put('second of a', 'x');
    group.writer(1).put('first of b', 'x');
    for (const state of ['state one', 'state two']) await group.checkpoint({ state });
    await group.close();
    const [segment] = namesOf(fixture, 'core-0000');
    flip(fixture, segment!, 'second of a');
    flip(fixture, namesOf(fixture, 'checkpoints/')[1]!, 'state two');
    fixture.tamper('GROUP', 20, Uint8Array.of(0xff));
    const again = reopen(fixture, { readOnly: true });
    const before = fixture.allNames().map((name) => [name, text(fixture.bytes(name))]);
    const report = again.check();
    expect(report).toMatchObject({
      outcome: 'corrupt', joined: true, replay: undefined, checkpoints: [{ id: 1 }],
      unusable: [{ id: 2, reason: 'damaged' }],
      damaged: [
        { core: undefined, path: `${fixture.directory}/GROUP`, offset: 0, sequence: undefined, status: 'BadHeader' },
        { core: 0, path: `${fixture.directory}/${segment}`, sequence: 2, entries: 1, status: 'BadCrc' },
      ],
    });
    const { offset } = report.damaged[1]!;
    expect(text(fixture.bytes(segment!).subarray(offset, offset + 64))).toContain('econd of a');
    expect(report.cores.map(({ outcome, entries, lastSequence }) => [outcome, entries, lastSequence]))
      .toEqual([['corrupt', 3, 4], ['ok', 3, 3]]);
    expect(fixture.allNames().map((name) => [name, text(fixture.bytes(name))])).toEqual(before);
    await again.close();
  });

  it('says where the logs do not join on to the newest checkpoint', async () => {
    const fixture = make();
    const group = create(fixture, 3);
    for (const core of [0, 1, 2]) group.writer(core).put('k', 'v');
    await group.checkpoint();
    await group.close();
    for (const name of fixture.allNames().filter((each) => each.startsWith('core-0001/'))) fixture.remove(name);
    const lost = reopen(fixture, { readOnly: true });
    expect(lost.check()).toMatchObject({
      outcome: 'corrupt', joined: false, replay: undefined,
      damaged: [{ core: 1, path: `${fixture.directory}/core-0001`, sequence: 3, status: 'Absent' }],
    });
    await lost.close();
  });
});

onEach('statistics of a group', (make) => {
  it('say of every core who has it and how far it is', async () => {
    const fixture = make();
    const group = create(fixture, 3);
    const [a, b] = [group.writer(0), group.writer(1)];
    a.put('a1', 'x');
    a.put('a2', 'x');
    await group.barrierAll();
    await a.sync();
    const { epoch, cores, completeEpoch, checkpoints } = group.stats();
    expect([epoch, completeEpoch, checkpoints]).toEqual([group.epoch, group.completeEpoch, []]);
    const pid = fixture.storage?.pid ?? process.pid;
    expect(cores.map(({ attached, poisoned }) => [attached, poisoned])).toEqual([
      [pid, false], [pid, false], [undefined, false],
    ]);
    expect(cores[0]).toMatchObject({
      core: 0, firstSequence: 1, lastSequence: a.sequence, position: a.position, syncedPosition: a.syncedPosition,
      segments: 1, bytes: a.position, log: { outcome: 'whole' },
    });
    expect(cores[0]!.syncedEpoch).toBe(cores[0]!.endedEpoch);
    expect([cores[1]!.lastSequence, cores[1]!.position]).toEqual([b.sequence, b.position]);
    await b.close();
    expect(group.stats().cores[1]!.attached).toBeUndefined();
    await group.close();
    const reader = reopen(fixture, { readOnly: true });
    expect(reader.stats().cores.map(({ attached }) => attached)).toEqual([undefined, undefined, undefined]);
    expect(reader.stats().cores[0]).toMatchObject({ lastSequence: a.sequence, syncedPosition: a.position });
    await reader.close();
    failure('ERR_VARVE_CLOSED', () => reader.stats());
  });

  it('count an epoch as complete when its barriers are on disk, and not before', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    group.writer(0).put('a', 'x');
    group.writer(1).put('b', 'x');
    await group.barrierAll();
    expect(group.stats().cores.map(({ endedEpoch }) => endedEpoch)).toEqual([1, 1]);
    expect(group.stats().completeEpoch).toBe(0);
    await group.writer(0).sync();
    expect([group.stats().completeEpoch, group.stats().cores[0]!.syncedEpoch]).toEqual([0, 1]);
    await group.writer(1).sync();
    expect(group.stats().completeEpoch).toBe(1);
    await group.close();
  });
});

onEach('a merge of a group', (make) => {
  it('gives all that the logs hold, in order, beside live writers, up to where it is told', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const [a, b] = [group.writer(0), group.writer(1)];
    b.put('b1', 'x');
    a.put('a1', 'x');
    await group.barrierAll();
    a.put('a2', 'x');
    await group.checkpoint();
    b.put('b2', 'x');
    const all = group.merge();
    a.put('later', 'x');
    expect([...all].filter(({ type }) => type === 'put').map(({ key }) => text(key))).toEqual(['a1', 'b1', 'a2', 'b2']);
    expect(keysOf(group).sort()).toEqual(['0a1', '0a2', '0later', '1b1', '1b2']);
    expect(keysOf(group, { upTo: 1 })).toEqual(['0a1', '1b1']);
    expect(keysOf(group, { upTo: 0 })).toEqual([]);
    expect(keysOf(group, { upTo: 'epoch' })).toEqual(['0a1', '1b1', '0a2']);
    expect(keysOf(group, { core: 1 })).toEqual(['1b1', '1b2']);
    expect([...group.merge({ core: 0, from: 2 })][0]).toMatchObject({ core: 0, sequence: 2 });
    expect([...group.merge({ core: 0, from: a.sequence + 1 })]).toEqual([]);
    expect(failure('ERR_VARVE_OUT_OF_RANGE', () => group.merge({ core: 0, from: a.sequence + 2 })).details)
      .toMatchObject({ core: 0, lsn: a.sequence + 2, firstLsn: 1, lastLsn: a.sequence });
    for (const wrong of [{ from: 1 }, { core: 2 }, { upTo: 'now' }, { upTo: -1 }, { core: 0, from: 0 }, { to: 1 }]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => group.merge(wrong as never));
    }
    const open = group.merge();
    open.next();
    await group.close();
    failure('ERR_VARVE_CLOSED', () => group.merge());
    expect(() => { for (const entry of open) void entry; }).not.toThrow(/ERR_VARVE_INTERNAL/);
  });
});

onEach('a group', (make) => {
  it('is reset: nothing of before is replayed, and epochs, sequences and positions go on', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const writer = group.writer(0);
    for (let i = 0; i < 60; i++) writer.put(`before ${i}`, Buffer.alloc(4000));
    await group.checkpoint({ state: 'old', offsets: { s: 5 }, watermark: 9 });
    writer.put('also before', 'x');
    const { epoch } = group;
    const { sequence } = writer;
    const made = await group.reset();
    expect(group.checkpoints().map(({ id }) => id)).toEqual([made.id]);
    expect(made.stateBytes).toBe(0);
    expect(namesOf(fixture, 'core-0000').length).toBeLessThanOrEqual(1);
    writer.put('after', 'x');
    expect(writer.sequence).toBeGreaterThan(sequence + 1);
    expect(group.epoch).toBeGreaterThan(epoch);
    await group.close();
    const again = reopen(fixture);
    const recovery = await again.recover();
    const { offsets, watermark, checkpoint } = recovery;
    expect([offsets.size, watermark, checkpoint?.readState().length]).toEqual([0, undefined, 0]);
    expect([...recovery.entries()].filter(({ type }) => type === 'put').map(({ key }) => text(key))).toEqual(['after']);
    expect(again.check()).toMatchObject({ outcome: 'ok', joined: true });
    await again.close();
  });

  it('goes on in the epoch that it is told, which every writer follows', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    group.writer(0).put('a', 'x');
    expect([group.advanceEpoch(100), group.epoch]).toEqual([100, 100]);
    group.writer(0).put('b', 'x');
    expect(group.writer(0).epoch).toBe(100);
    expect([...group.merge()].map(({ epoch, type, ended }) => [epoch, type, ended])).toEqual([
      [1, 'put', undefined], [1, 'barrier', 99], [100, 'put', undefined],
    ]);
    for (const wrong of [100, 0, 2 ** 32, 1.5]) {
      failure('ERR_VARVE_INVALID_ARGUMENT', () => group.advanceEpoch(wrong));
    }
    await group.close();
  });

  it('is repaired: what was damaged is counted as lost, the rest is recovered', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    for (const key of ['one', 'two', 'three']) group.writer(0).put(key, 'x');
    group.writer(1).put('other', 'x');
    await group.close();
    flip(fixture, namesOf(fixture, 'core-0000')[0]!, 'two');
    fixture.tamper('GROUP', 2048 + 20, Uint8Array.of(0xff));
    const damaged = reopen(fixture, { readOnly: true });
    expect(damaged.check().damaged.map(({ core, sequence }) => [core, sequence]))
      .toEqual([[undefined, undefined], [0, 2]]);
    await damaged.close();
    const before = fixture.allNames().map((name) => [name, text(fixture.bytes(name))]);
    const planned = await WalGroup.repair(fixture.directory, { ...repairing(fixture), dryRun: true });
    expect(planned).toMatchObject({
      changed: true, restoredGroup: true, cores: [{ core: 0, changed: true }, { changed: false }],
    });
    expect(fixture.allNames().map((name) => [name, text(fixture.bytes(name))])).toEqual(before);
    const report = await WalGroup.repair(fixture.directory, repairing(fixture));
    expect(report.cores[0]).toMatchObject({ lost: [{ firstLsn: 2, lastLsn: 2 }], path: `${fixture.directory}/core-0000` });
    const again = reopen(fixture);
    expect(again.check()).toMatchObject({
      outcome: 'ok', cores: [{ outcome: 'ok', entries: 2, lostSequences: [2] }, { entries: 1 }],
    });
    const recovery = await again.recover();
    expect(recovery.cores[0]).toMatchObject({ entries: 2, lost: 1 });
    expect([...recovery.entries()].map(({ key }) => text(key))).toEqual(['one', 'other', 'three']);
    const writer = again.writer(0);
    writer.put('four', 'x');
    await rejection('ERR_VARVE_LOCKED', WalGroup.repair(fixture.directory, repairing(fixture)));
    await again.close();
    expect(await WalGroup.repair(fixture.directory, repairing(fixture))).toMatchObject({ changed: false });
  });

  it('opens where the first attaching of a core has ended before its log was made', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    group.writer(0).put('k', 'v');
    group.writer(1).put('k', 'v');
    await group.close();
    for (const name of fixture.allNames()) {
      if (name.startsWith('core-0001/') && name !== 'core-0001/LOCK') fixture.remove(name);
    }
    const again = reopen(fixture);
    expect(again.stats().cores[1]).toMatchObject({ lastSequence: 0, log: undefined });
    expect((await again.recover()).cores[1]).toMatchObject({ entries: 0, log: undefined });
    expect(again.writer(1).put('again', 'v')).toBe(0);
    expect(again.check()).toMatchObject({ outcome: 'ok' });
    await again.close();
  });
});
