/**
 * Checkpoints on a disk that fails: whatever call fails, whenever the process or the machine ends, there are the
 * checkpoints of before, or those and the new one, each whole; and what a removal says is gone is gone.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Checkpoints, type CheckpointsContext } from '../../host/wal/checkpoints.ts';
import { isUnusable } from '../../host/wal/checkpoint-file.ts';
import { checkpointsIn, contentsOf, GROUP, stateOf } from '../support/checkpoint-fixture.ts';
import { logFixture, rejection, type LogFixture } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { SimulatedPowerCut, type SimulatedDisk } from '../support/simulated-disk.ts';

/** Longer than a stage, so that there are several writes. */
const STATE = Buffer.alloc(700_000, 'a state that is not short, ');
const tally = { cuts: 0, kills: 0, old: 0, new: 0, faults: 0, removals: 0 };
afterAll(() => { console.info('crashes at checkpoints:', tally); });

/** A group's directory whose checkpoints are durable. */
async function written(count: number): Promise<LogFixture & { readonly disk: SimulatedDisk }> {
  const fixture = logFixture('simulated', 'simd');
  const checkpoints = checkpointsIn(fixture);
  fixture.storage!.syncDirectoryNow('/');
  for (let n = 1; n <= count; n++) await checkpoints.write(contentsOf(n));
  return fixture as LogFixture & { readonly disk: SimulatedDisk };
}

/** The checkpoints of a disk, as the next process finds them, all of which must be whole. */
async function found(context: CheckpointsContext): Promise<number[]> {
  const checkpoints = new Checkpoints(context, GROUP);
  checkpoints.removeUnfinished();
  const names = context.storage.list(checkpoints.directory) ?? [];
  expect(names.filter((name) => name.endsWith('.new'))).toEqual([]);
  const list = checkpoints.list();
  expect(list.filter(isUnusable)).toEqual([]);
  const { checkpoint, skipped } = await checkpoints.newest();
  expect([checkpoint?.id, skipped]).toEqual([list.at(-1)?.id, []]);
  for (const { id } of list) {
    const state = checkpoints.load(id)!.readState();
    expect(state.equals(id === 3 ? STATE : stateOf(id))).toBe(true);
  }
  return list.map(({ id }) => id);
}

/** Pieces, so that the caller's code runs in between. */
function* pieces(): Generator<Uint8Array> {
  for (let from = 0; from < STATE.length; from += 100_000) yield STATE.subarray(from, from + 100_000);
}

describe('a checkpoint that is being written', () => {
  it.each([['power-cut', 2], ['power-cut', 0], ['kill', 2]] as const)(
    'when there is a %s at any call, with %i before it', async (error, count) => {
      const origin = await written(count);
      const before = Array.from({ length: count }, (_, at) => at + 1);
      const after = [...before, count + 1];
      const random = new Random(17);
      const seen = { old: 0, new: 0 };
      let ended = false;
      for (let nth = 1; !ended; nth++) {
        for (let repeat = 0; repeat < (error === 'kill' ? 1 : 8); repeat++) {
          const disk = origin.disk.clone();
          const plan = disk.failAt({ nth, error });
          const { core, directory } = origin;
          const checkpoints = new Checkpoints({ core, directory, storage: disk.storage() }, GROUP);
          // In a directory without any, its own making may be lost too.
          const state = count === 2 ? pieces() : stateOf(1);
          const failed: unknown = await checkpoints.write(contentsOf(count + 1, state)).then(() => undefined, (e) => e);
          ended = failed === undefined;
          if (!ended) expect(failed).toBeInstanceOf(SimulatedPowerCut);
          plan.cancel();
          if (error === 'power-cut') disk.powerCut(random);
          else disk.processCrash();
          tally[error === 'kill' ? 'kills' : 'cuts']++;
          const ids = await found({ core, directory, storage: disk.storage() });
          if (ended) expect(ids).toEqual(after);
          else expect([before, after]).toContainEqual(ids);
          seen[ids.length === before.length ? 'old' : 'new']++;
        }
      }
      tally.old += seen.old;
      tally.new += seen.new;
      expect([seen.old > 5, seen.new > 0]).toEqual([true, true]);
    });

  it('leaves nothing where any call fails, and is made by the next attempt', async () => {
    const fixture = await written(2);
    const { disk } = fixture;
    const names = fixture.names();
    const bytes = names.map((name) => Buffer.from(fixture.bytes(name)));
    const operations = [
      ['createDirectory', 1], ['list', 1], ['create', 1], ['write', 5], ['sync', 1], ['rename', 1],
      ['syncDirectory', 2],
    ] as const;
    for (const [operation, calls] of operations) {
      for (let nth = 1; nth <= calls; nth++) {
        for (const error of ['EIO', 'ENOSPC'] as const) {
          const checkpoints = checkpointsIn(fixture);
          const plan = disk.failAt({ operation, nth, error, written: 10 });
          const code = error === 'EIO' ? 'ERR_VARVE_IO' : 'ERR_VARVE_DISK_FULL';
          await rejection(code, checkpoints.write(contentsOf(3, pieces())));
          expect([operation, nth, plan.fired]).toEqual([operation, nth, 1]);
          expect([operation, nth, fixture.names()]).toEqual([operation, nth, names]);
          expect(names.every((name, at) => bytes[at]!.equals(fixture.bytes(name)))).toBe(true);
          tally.faults++;
        }
      }
    }
    // What the disk had no room for is given back.
    const { capacity } = disk;
    const used = names.reduce((sum, name) => sum + fixture.bytes(name).length, 0);
    for (const room of [0, 4096, 300_000]) {
      disk.capacity = used + room;
      await rejection('ERR_VARVE_DISK_FULL', checkpointsIn(fixture).write(contentsOf(3, pieces())));
      expect(fixture.names()).toEqual(names);
    }
    disk.capacity = capacity;
    expect((await checkpointsIn(fixture).write(contentsOf(3, pieces()))).id).toBe(3);
    const { core, directory } = fixture;
    expect(await found({ core, directory, storage: disk.storage() })).toEqual([1, 2, 3]);
  });

  it('is not believed to be durable where what failed was the sync, whatever the kernel then drops', async () => {
    for (const dirtyPages of ['dropped', 'kept'] as const) {
      const fixture = await written(2);
      fixture.disk.failAt({ operation: 'sync', error: 'EIO', dirtyPages });
      await rejection('ERR_VARVE_IO', checkpointsIn(fixture).write(contentsOf(3, pieces())));
      fixture.disk.evictFailedPages();
      expect((await checkpointsIn(fixture).write(contentsOf(3, pieces()))).id).toBe(3);
      fixture.disk.powerCut(new Random(3), { pages: 'lost', names: 'lost', sizes: 'old' });
      fixture.startAgain();
      expect(await found({ core: fixture.core, directory: fixture.directory, storage: fixture.storage! }))
        .toEqual([1, 2, 3]);
    }
  });

  it('names its directory durably, even where the one who made it died before', async () => {
    const fixture = await written(0);
    fixture.storage!.createDirectory(`${fixture.directory}/checkpoints`);
    await checkpointsIn(fixture).write(contentsOf(1));
    fixture.disk.powerCut(new Random(3), { pages: 'lost', names: 'lost', sizes: 'old' });
    fixture.startAgain();
    expect(await found({ core: fixture.core, directory: fixture.directory, storage: fixture.storage! })).toEqual([1]);
  });
});

describe('checkpoints that are being removed', () => {
  it('are gone for good when that is said, and before that the kept ones are there', async () => {
    const origin = await written(5);
    const random = new Random(23);
    const { core, directory } = origin;
    let ended = false;
    for (let nth = 1; !ended; nth++) {
      for (let repeat = 0; repeat < 8; repeat++) {
        const disk = origin.disk.clone();
        const checkpoints = new Checkpoints({ core, directory, storage: disk.storage() }, GROUP);
        disk.failAt({ nth, error: 'power-cut' });
        ended = await checkpoints.keepNewest(2).then(({ removed }) => removed.length === 3, (error: unknown) => {
          expect(error).toBeInstanceOf(SimulatedPowerCut);
          return false;
        });
        disk.powerCut(random);
        const after = new Checkpoints({ core, directory, storage: disk.storage() }, GROUP).list();
        expect(after.filter(isUnusable)).toEqual([]);
        const ids = after.map(({ id }) => id);
        expect(ids.slice(-2)).toEqual([4, 5]);
        if (ended) expect(ids).toEqual([4, 5]);
        tally.removals++;
      }
    }
  });

  it('stay, or go without its being said, where the disk refuses it; the next removal makes it durable', async () => {
    const fixture = await written(4);
    const { disk, core, directory } = fixture;
    const checkpoints = checkpointsIn(fixture);
    disk.failAt({ operation: 'remove', error: 'EIO' });
    await rejection('ERR_VARVE_IO', checkpoints.keepNewest(2));
    expect(checkpoints.list().length).toBe(4);
    for (const others of [false, true]) {
      const [copy, plan] = [disk.clone(), { operation: 'syncDirectory', error: 'EIO' } as const];
      const context = { core, directory, storage: copy.storage() };
      const first = new Checkpoints(context, GROUP);
      copy.failAt(plan);
      await rejection('ERR_VARVE_IO', first.keepNewest(1));
      const { removed, kept } = await (others ? new Checkpoints(context, GROUP) : first).keepNewest(1);
      expect([removed, kept.map(({ id }) => id)]).toEqual([[], [4]]);
      copy.powerCut(new Random(5), { names: 'lost' });
      const after = new Checkpoints({ ...context, storage: copy.storage() }, GROUP);
      expect(after.list().map(({ id }) => id)).toEqual([4]);
    }
  });
});
