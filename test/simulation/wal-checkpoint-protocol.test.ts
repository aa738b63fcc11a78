/**
 * Crashes at every single call, and at every single sync, of one whole checkpoint of a group: the machine stops there,
 * or a process dies, or the call fails. Checkpoint and replay together are the model's state after each.
 */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled, type Tally } from '../support/tally.ts';
import { letTheDeadRest } from '../support/wal-driver.ts';
import { crashCheckpoint, type Crash } from '../support/wal-protocol.ts';

const memories = [takeCore('simd', 64 << 20), takeCore('baseline', 64 << 20)];
afterAll(() => { for (const core of memories) giveCore(core); });

letTheDeadRest();
let milliseconds = 0;
beforeEach(() => { vi.spyOn(performance, 'now').mockImplementation(() => milliseconds += 20); });

/** Crashes at the first, the second, … until there are no more; returns how many there were. */
async function crashAtEach(tally: Tally, syncs: 'immediate' | 'manual', at: (nth: number) => Crash): Promise<number> {
  const seed = seedFromEnvironment() ?? 7;
  for (let nth = 1; ; nth++) {
    try {
      const random = new Random(seed + nth % scaled(3));
      const struck = await crashCheckpoint({ memories, random, tally, syncs }, at(nth));
      if (!struck) return nth - 1;
    } catch (error) {
      (error as Error).message += ` [crash ${nth}, seed ${seed + nth % scaled(3)}]`;
      throw error;
    }
  }
}

describe('a checkpoint of a group', { timeout: scaled(120_000) }, () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    it(`survives a crash at each of its calls (${syncs} syncs)`, async () => {
      const tally = newTally(`crashes at each call of a checkpoint, ${syncs} syncs`);
      for (const error of ['power-cut', 'kill', 'EIO'] as const) {
        const count = await crashAtEach(tally, syncs, (nth) => ({ call: { nth, error } }));
        tally.add(`calls (${error})`, count);
        expect(count).toBeGreaterThan(40);
      }
      tally.report();
    });

    it(`survives that nothing reaches the disk from one of its syncs on (${syncs} syncs)`, async () => {
      const tally = newTally(`crashes at each sync of a checkpoint, ${syncs} syncs`);
      const count = await crashAtEach(tally, syncs, (nth) => ({ sync: nth }));
      tally.add('syncs', count);
      expect(count).toBeGreaterThan(6);
      tally.report();
    });
  }
});
