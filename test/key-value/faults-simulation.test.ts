/**
 * Failing calls under a random workload on a key-value store, on the simulated disk: any call of any operation fails,
 * wholly or after a part of its work, once or from then on; the disk fills up; the writer is killed, and the power is
 * cut in between. A store that is not poisoned is as it was before the call or as it should be after it, in this
 * process and in the next; a poisoned one can be read, and is opened again.
 *
 * VARVE_SEED replays one seed.
 */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { withKeyValueWorkload } from '../support/kv-workload.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { forEachSeed, seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const MEMORY_BYTES = 64 << 20;
const core = takeCore('simd', MEMORY_BYTES);
const readerCore = takeCore('baseline', MEMORY_BYTES);
afterAll(() => {
  giveCore(core);
  giveCore(readerCore);
});

let milliseconds = 0;
beforeEach(() => { vi.spyOn(performance, 'now').mockImplementation(() => ++milliseconds); });

describe('failing calls', { timeout: scaled(180_000) }, () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    it(`lose nothing that was promised and show nothing else (${syncs} syncs)`, async () => {
      const tally = newTally(`key-value store, failing calls, ${syncs} syncs`);
      await forEachSeed(60, async (random) => {
        tally.count('seeds');
        await withKeyValueWorkload({ core, readerCore, random, tally, syncs, faults: true }, async (workload) => {
          for (let life = 0; life < 3; life++) {
            const plan = workload.disk.failAt({ error: 'power-cut', nth: random.between(1, 1500) });
            let on = true;
            for (let steps = random.between(3, 50); on && steps > 0; steps--) on = await workload.step();
            plan.cancel();
            if (!on || random.chance(0.5)) await workload.cutAndJudge();
          }
        });
      });
      tally.report();
      if (seedFromEnvironment() !== undefined) return;
      for (const name of ['faults.EIO', 'faults.ENOSPC', 'faults.kill', 'faults.short call', 'faults.disk full',
        'faults.power cut', 'poisoned', 'errors survived', 'openings that failed', 'kills']) {
        expect(tally.get(name), name).toBeGreaterThan(0);
      }
    });
  }
});
