/**
 * Checkpoints and recovery of a group on every disk with every core: state, offsets, watermark and order of what is
 * replayed; where it ends; what is dropped, and what a damaged checkpoint costs.
 */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { WalEntry } from '../../host/wal/entry.ts';
import type { WalRecovery } from '../../host/wal/recover.ts';
import { failure, onEach, rejection } from '../support/log-fixture.ts';
import { create, reopen, text } from '../support/wal-group.ts';

/** What an entry is, as a text. */
function told(entry: WalEntry): string {
  const { core, type } = entry;
  switch (type) {
    case 'barrier': return `${core}|${entry.ended}`;
    case 'checkpoint': return `${core}#${entry.id}`;
    case 'commit': return `${core}@${[...entry.offsets!].join()};${entry.watermark}`;
    case 'delete': return `${core}-${text(entry.key)}`;
    default: return `${core}${type === 'put' ? '+' : entry.kind}${text(entry.key)}=${text(entry.value)}`;
  }
}

function replayed(recovery: WalRecovery): string[] {
  return [...recovery.entries()].map(told);
}

onEach('recovery', (make) => {
  it('of a group without anything has nothing to replay', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const recovery = await group.recover();
    expect(recovery).toMatchObject({ checkpoint: undefined, skipped: [], completeEpoch: 0, watermark: undefined });
    expect(recovery.offsets.size).toBe(0);
    expect(replayed(recovery)).toEqual([]);
    await group.close();
  });

  it('gives entries of every kind in the order epoch, sequence, core', async () => {
    const fixture = make();
    const group = create(fixture, 3);
    const [a, b, c] = [group.writer(0), group.writer(1), group.writer(2)];
    c.put('c1', 'x');
    c.put('c2', 'y');
    a.put('a1', 'x');
    b.delete('b1');
    await group.barrierAll();
    b.checkpoint(77);
    a.commit({ s: 5 }, 9);
    c.append(40, 'own', 'z');
    await group.close();
    const again = reopen(fixture);
    const recovery = await again.recover();
    expect(replayed(recovery)).toEqual([
      '0+a1=x', '1-b1', '2+c1=x', '0|1', '1|1', '2+c2=y', '2|1', '0@s,5;9', '1#77', '240own=z',
    ]);
    expect(recovery.completeEpoch).toBe(1);
    expect(recovery.cores.map(({ core, entries, firstEpoch, lastEpoch, cut }) => (
      [core, entries, firstEpoch, lastEpoch, cut]))).toEqual([[0, 3, 1, 2, 0], [1, 3, 1, 2, 0], [2, 4, 1, 2, 0]]);
    const first = again.writer(0);
    expect(failure('ERR_VARVE_CLOSED', () => { group.checkpoints(); }).message).toContain('closed');
    await rejection('ERR_VARVE_LOCKED', again.recover());
    await first.close();
    expect(replayed(await again.recover()).length).toBe(10);
    await again.close();
  });

  it('begins at the newest checkpoint; offsets are the latest, the watermark is the highest (defects 5 and 6)', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const [a, b] = [group.writer(0), group.writer(1)];
    a.put('before', '1');
    a.commit({ x: 1, y: 1 }, 100);
    const made = await group.checkpoint({ state: 'the state', offsets: { x: 1, y: 1, z: 2n ** 60n }, watermark: 100 });
    expect(made).toMatchObject({ id: 1, epoch: 1, stateBytes: 9, watermark: 100 });
    b.commit({ x: 7 }, 90);
    a.put('after', '2');
    a.commit({ x: 8 }, 150);
    b.commit({ y: 4 }, 120);
    await group.close();
    const again = reopen(fixture);
    const recovery = await again.recover();
    expect(recovery.checkpoint?.id).toBe(1);
    expect(text(recovery.checkpoint!.readState())).toBe('the state');
    expect(replayed(recovery)).toEqual(['1@x,7;90', '1@y,4;120', '0+after=2', '0@x,8;150']);
    expect(Object.fromEntries(recovery.offsets)).toEqual({ x: 8, y: 4, z: 2n ** 60n });
    expect(recovery.watermark).toBe(150);
    await again.close();
  });

  it('begins with what commits have said before the checkpoint, too (defect 6)', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const [a, b] = [group.writer(0), group.writer(1)];
    a.commit({ x: 1, y: 2 }, 50);
    await group.checkpoint({ state: 'one' });
    b.commit({ y: 3 }, 40);
    await group.checkpoint({ state: 'two', offsets: { z: 9 }, watermark: 45 });
    await group.close();
    const again = reopen(fixture);
    const third = await again.checkpoint({ watermark: 60n });
    expect([...third.offsets]).toEqual([['x', 1], ['y', 3], ['z', 9]]);
    const recovery = await again.recover();
    expect(Object.fromEntries(recovery.offsets)).toEqual({ x: 1, y: 3, z: 9 });
    expect(recovery.watermark).toBe(60);
    await again.close();
  });

  it('ends with all that there is, or is cut at the last epoch that every core has ended (defect 7)', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const [a, b] = [group.writer(0), group.writer(1)];
    a.put('a', '1');
    b.put('b', '1');
    await group.barrierAll();
    // The other core never hears of what comes.
    await b.close();
    a.put('a', '2');
    a.epochBarrier();
    a.put('a', '3');
    await a.sync();
    await a.close();
    await group.close();
    const reader = reopen(fixture, { readOnly: true });
    expect(replayed(await reader.recover())).toEqual(['0+a=1', '1+b=1', '0|1', '1|1', '0+a=2', '0|2', '0+a=3']);
    const cut = ['0+a=1', '1+b=1', '0|1', '1|1'];
    expect(replayed(await reader.recover({ upTo: 'epoch' }))).toEqual(cut);
    await reader.close();
    for (let round = 0; round < 2; round++) {
      const again = reopen(fixture);
      const recovery = await again.recover({ upTo: 'epoch' });
      expect(recovery.completeEpoch).toBe(1);
      expect(recovery.cores.map((core) => core.cut)).toEqual([round === 0 ? 3 : 0, 0]);
      expect(replayed(recovery)).toEqual(cut);
      expect(again.epoch).toBeGreaterThan(3);
      await again.close();
    }
    const again = reopen(fixture);
    expect(replayed(await again.recover())).toEqual(cut);
    const writer = again.writer(0);
    writer.put('a', '4');
    expect(writer.sequence).toBe(3);
    await again.close();
  });

  it('replays at the end of the logs as they were then, beside those who append', async () => {
    const fixture = make();
    const group = create(fixture, 1);
    group.writer(0).put('k', '1');
    await group.writer(0).close();
    const recovery = await group.recover();
    group.writer(0).put('k', '2');
    expect(replayed(recovery)).toEqual(['0+k=1']);
    const entries = recovery.entries();
    await group.close();
    expect(() => entries.next()).toThrow(expect.objectContaining({ code: 'ERR_VARVE_CLOSED' }) as Error);
  });
});

onEach('checkpoints', (make) => {
  it('take a state from a function when the cut is durable, or from pieces', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const writer = group.writer(1);
    writer.put('k', 'v');
    const made = await group.checkpoint({
      state: (cut) => {
        expect(group.completeEpoch).toBeGreaterThanOrEqual(cut.epoch);
        expect(cut.cores[1]).toMatchObject({ core: 1, sequence: 2 });
        return JSON.stringify(cut.cores);
      },
    });
    expect(JSON.parse(text((await group.loadCheckpoint(made.id))!.readState()))).toEqual(made.cores);
    async function* pieces() {
      for (let i = 0; i < 10; i++) {
        await setImmediate();
        yield Buffer.alloc(50_000, i);
      }
    }
    const streamed = await group.checkpoint({ state: pieces() });
    expect(streamed).toMatchObject({ id: 2, stateBytes: 500_000 });
    expect(group.checkpoints().map(({ id }) => id)).toEqual([1, 2]);
    await group.close();
  });

  it('that fail leave everything as it was', async () => {
    const fixture = make();
    const group = create(fixture, 1);
    group.writer(0).put('k', 'v');
    const wrong = new Error('no state today');
    await expect(group.checkpoint({ state: () => { throw wrong; } })).rejects.toBe(wrong);
    await expect(group.checkpoint({

      state: (async function* () { throw wrong; })(),
    })).rejects.toBe(wrong);
    for (const bad of [{ state: 5 }, { offsets: { '': 1 } }, { watermark: 0.5 }, { timeoutMs: 0 }, { stat: '' }]) {
      await rejection('ERR_VARVE_INVALID_ARGUMENT', group.checkpoint(bad as object));
    }
    expect(group.checkpoints()).toEqual([]);
    await group.checkpoint({ state: 'well' });
    await group.close();
    const again = reopen(fixture);
    const recovery = await again.recover();
    expect([recovery.checkpoint?.id, replayed(recovery)]).toEqual([1, []]);
    await again.close();
  });

  it('are not cut under, and are not finished by a group that was closed', async () => {
    const fixture = make();
    const group = create(fixture, 1);
    const writer = group.writer(0);
    const position = writer.put('k', 'v');
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => { go = resolve; });
    async function* slowly() {
      await gate;
      yield Buffer.from('late');
    }
    const making = group.checkpoint({ state: slowly() });
    await expect.poll(() => writer.sequence).toBe(2);
    failure('ERR_VARVE_CONTENTION', () => { writer.truncate(position); });
    failure('ERR_VARVE_CONTENTION', () => { writer.reset(); });
    const closing = group.close();
    go();
    await rejection('ERR_VARVE_CLOSED', making);
    await closing;
    expect(fixture.allNames().filter((name) => name.startsWith('checkpoints'))).toEqual([]);
    const again = reopen(fixture);
    again.writer(0).truncate(position);
    expect((await again.checkpoint()).id).toBe(1);
    await again.close();
  });

  it('let the logs drop whole segments that the oldest kept one covers, and never more (defect 4)', async () => {
    const fixture = make();
    const group = create(fixture, 2, { checkpointsKept: 2 });
    const [a, b] = [group.writer(0), group.writer(1)];
    const value = Buffer.alloc(4000, 7);
    const segments = (): number => fixture.allNames().filter((name) => /^core-0000.*\.seg$/.test(name)).length;
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 40; i++) a.put(`${round} ${i}`, value);
      b.put(`b${round}`, 'x');
      await group.checkpoint({ state: `round ${round}` });
    }
    expect(segments()).toBeLessThanOrEqual(5);
    expect(group.checkpoints().map(({ id }) => id)).toEqual([4, 5]);
    a.put('last', 'x');
    await group.close();
    const again = reopen(fixture);
    expect(replayed(await again.recover())).toEqual(['0+last=x']);
    await again.close();
  });

  it('that are damaged are walked over, and nothing is lost by it', async () => {
    const fixture = make();
    const group = create(fixture, 2);
    const writer = group.writer(0);
    group.writer(1);
    for (let round = 1; round <= 3; round++) {
      writer.put(`round ${round}`, 'x');
      await group.checkpoint({ state: `state ${round}`, offsets: { s: round } });
    }
    writer.put('last', 'x');
    await group.close();
    const newest = fixture.allNames().filter((name) => name.startsWith('checkpoints/')).at(-1)!;
    const bytes = fixture.bytes(newest);
    const at = Buffer.from(bytes).indexOf('state 3');
    fixture.tamper(newest, at, Uint8Array.of(bytes[at]! ^ 1));
    const again = reopen(fixture);
    const recovery = await again.recover();
    expect(recovery.checkpoint?.id).toBe(2);
    expect(recovery.skipped.map(({ id, reason }) => [id, reason])).toEqual([[3, 'damaged']]);
    expect(text(recovery.checkpoint!.readState())).toBe('state 2');
    expect(replayed(recovery)).toEqual(['1|3', '0+round 3=x', '0|3', '0+last=x']);
    await again.close();
  });

  it('can be let go of by hand; without the logs\' beginning, no recovery passes over the gap', async () => {
    const fixture = make();
    const group = create(fixture, 1, { checkpointsKept: 10 });
    const writer = group.writer(0);
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 40; i++) writer.put(`${round} ${i}`, Buffer.alloc(4000));
      await group.checkpoint();
    }
    await rejection('ERR_VARVE_INVALID_ARGUMENT', group.dropBefore(9));
    await group.dropBefore(3);
    expect(group.checkpoints().map(({ id }) => id)).toEqual([3, 4]);
    await group.close();
    for (const name of fixture.allNames().filter((each) => each.startsWith('checkpoints/'))) fixture.remove(name);
    const again = reopen(fixture);
    expect((await rejection('ERR_VARVE_CORRUPT', again.recover())).details).toMatchObject({ core: 0, lsn: 1 });
    await again.close();
  });
});
