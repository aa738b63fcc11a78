/**
 * Power cuts under a random workload, on the simulated disk: at any call of any operation, and at every single sync of
 * a workload. Whatever the disk kept or lost, the log opens, every durable record is there, nothing is there that was
 * never appended, the order is kept and batches are whole; also where the machine stops again while it recovers.
 *
 * VARVE_SEED replays one seed.
 */
import { describe, expect, it } from 'vitest';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { Workload, emptyTally } from '../support/log-workload.ts';
import { Random, forEachSeed } from '../support/random.ts';

const MEMORY_BYTES = 16 << 20;

describe('a power cut', () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    it(`at any call loses nothing durable and shows nothing else (${syncs} syncs)`, async () => {
      const tally = emptyTally();
      const core = takeCore('simd', MEMORY_BYTES);
      await forEachSeed(250, async (random) => {
        const workload = new Workload(core, random, tally, syncs);
        for (let life = 0; life < 3; life++) {
          const plan = workload.disk.failAt({ error: 'power-cut', nth: random.between(1, 600) });
          for (let steps = random.between(3, 40); steps > 0; steps--) if (!await workload.step()) break;
          plan.cancel();
          await workload.cutAndJudge();
        }
        await workload.finish();
      });
      giveCore(core);
      console.info(`power cuts at any call, ${syncs} syncs:`, tally);
    });
  }

  it('at every sync of a workload loses nothing durable and shows nothing else', async () => {
    const tally = emptyTally();
    const core = takeCore('baseline', MEMORY_BYTES);
    await forEachSeed(8, async (_, seed) => {
      const mode = seed % 2 === 0 ? 'manual' : 'immediate';
      for (let k = 1; ; k++) {
        const workload = new Workload(core, new Random(seed), tally, mode);
        workload.disk.freezeAtSync(k);
        for (let steps = 30; steps > 0; steps--) expect(await workload.step()).toBe(true);
        const { frozen } = workload.disk;
        try {
          await workload.cutAndJudge();
          await workload.finish();
        } catch (error) {
          (error as Error).message += ` [frozen at sync ${k}]`;
          throw error;
        }
        if (!frozen) break;
      }
    });
    giveCore(core);
    console.info('power cuts at every sync:', tally);
  });

  it('A8: is not survived where the disk lies about its syncs, so that the judge is known to judge', async () => {
    const core = takeCore('simd', MEMORY_BYTES);
    const failures: string[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed);
      const workload = new Workload(core, random, emptyTally(), 'immediate', true);
      try {
        for (let steps = 20; steps > 0; steps--) await workload.step();
        await workload.cutAndJudge();
      } catch (error) {
        failures.push((error as Error).message);
      }
      workload.abandon();
    }
    giveCore(core);
    expect(failures.length).toBeGreaterThan(10);
    expect(failures.some((message) => /durable/.test(message))).toBe(true);
  });
});
