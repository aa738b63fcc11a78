/**
 * Power cuts under a random workload on a key-value store, on the simulated disk: at any call of any operation, and at
 * every single sync; also while it compacts, and where the machine stops again while it recovers. Whatever the disk
 * kept or lost, the store holds what was put up to some moment behind the last durable write, and nothing else.
 *
 * VARVE_SEED replays one seed.
 */
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeyValueWorkload, cutKeyValueThrice, withKeyValueWorkload } from '../support/kv-workload.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { Random, forEachSeed } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const MEMORY_BYTES = 64 << 20;
const core = takeCore('simd', MEMORY_BYTES);
const readerCore = takeCore('baseline', MEMORY_BYTES);
afterAll(() => {
  giveCore(core);
  giveCore(readerCore);
});

// Compaction looks at the time it has used: a millisecond passes whenever it does, so that seeds replay.
let milliseconds = 0;
beforeEach(() => { vi.spyOn(performance, 'now').mockImplementation(() => ++milliseconds); });

describe('a power cut', { timeout: scaled(180_000) }, () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    it(`at any call loses nothing durable and shows nothing else (${syncs} syncs)`, async () => {
      const tally = newTally(`key-value store, power cuts at any call, ${syncs} syncs`);
      await forEachSeed(60, async (random) => {
        tally.count('seeds');
        await cutKeyValueThrice({ core, readerCore, random, tally, syncs });
      });
      tally.report();
    });
  }

  it('at every sync of a workload loses nothing durable and shows nothing else', async () => {
    const tally = newTally('key-value store, power cuts at every sync');
    await forEachSeed(4, async (_, seed) => {
      tally.count('seeds');
      const syncs = seed % 2 === 0 ? 'manual' : 'immediate';
      for (let k = 1; ; k++) {
        let frozen = false;
        try {
          await withKeyValueWorkload({ core, readerCore, random: new Random(seed), tally, syncs }, async (workload) => {
            workload.disk.freezeAtSync(k);
            for (let steps = 30; steps > 0; steps--) expect(await workload.step()).toBe(true);
            ({ frozen } = workload.disk);
            await workload.cutAndJudge();
          });
        } catch (error) {
          (error as Error).message += ` [frozen at sync ${k}]`;
          throw error;
        }
        if (!frozen) break;
        tally.count('syncs at which the disk was frozen');
      }
    });
    tally.report();
  });

  it('is not survived where the disk lies about its syncs, so that the judge is known to judge', async () => {
    const failures: string[] = [];
    for (let seed = 1; seed <= 20; seed++) {
      const tally = newTally('a disk that lies');
      const workload = new KeyValueWorkload({ core, random: new Random(seed), tally, syncs: 'immediate', lying: true });
      try {
        for (let steps = 20; steps > 0; steps--) await workload.step();
        await workload.cutAndJudge();
      } catch (error) {
        failures.push((error as Error).message);
      }
      await workload.abandon();
    }
    expect(failures.length).toBeGreaterThan(5);
    expect(failures.some((message) => /for good/.test(message))).toBe(true);
  });
});
