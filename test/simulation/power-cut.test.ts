/**
 * Power cuts under a random workload, on the simulated disk: at any call of any operation, and at every single sync of
 * a workload. Whatever the disk kept or lost, the log opens, every durable record is there, nothing is there that was
 * never appended, the order is kept and batches are whole; also where the machine stops again while it recovers. A
 * reader in another process looks on.
 *
 * VARVE_SEED replays one seed.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { Workload, cutThrice, withWorkload } from '../support/log-workload.ts';
import { Random, forEachSeed } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const MEMORY_BYTES = 16 << 20;
const core = takeCore('simd', MEMORY_BYTES);
const readerCore = takeCore('baseline', MEMORY_BYTES);
afterAll(() => {
  giveCore(core);
  giveCore(readerCore);
});

describe('a power cut', { timeout: scaled(120_000) }, () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    it(`at any call loses nothing durable and shows nothing else (${syncs} syncs)`, async () => {
      const tally = newTally(`power cuts at any call, ${syncs} syncs`);
      await forEachSeed(120, async (random) => {
        tally.count('seeds');
        await cutThrice({ core, readerCore, random, tally, syncs });
      });
      tally.report();
    });
  }

  it('at every sync of a workload loses nothing durable and shows nothing else', async () => {
    const tally = newTally('power cuts at every sync');
    await forEachSeed(8, async (_, seed) => {
      tally.count('seeds');
      const syncs = seed % 2 === 0 ? 'manual' : 'immediate';
      for (let k = 1; ; k++) {
        let frozen = false;
        const options = { core, readerCore, random: new Random(seed), tally, syncs } as const;
        try {
          await withWorkload(options, async (workload) => {
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

  it('A8: is not survived where the disk lies about its syncs, so that the judge is known to judge', async () => {
    const failures: string[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const tally = newTally('a disk that lies');
      const workload = new Workload({ core, random: new Random(seed), tally, syncs: 'immediate', lying: true });
      try {
        for (let steps = 20; steps > 0; steps--) await workload.step();
        await workload.cutAndJudge();
      } catch (error) {
        failures.push((error as Error).message);
      }
      workload.abandon();
    }
    expect(failures.length).toBeGreaterThan(10);
    expect(failures.some((message) => /for good/.test(message))).toBe(true);
  });
});
