/**
 * Power cuts of a group of several cores in several processes, on the simulated disk: at any call of any operation.
 * Whatever the disk kept or lost, checkpoint and replay together are the model's fold of a beginning of each core that
 * holds all that was durable; also where calls fail, processes die, and the machine stops again while it recovers.
 *
 * VARVE_SEED replays one seed, and shows its last steps.
 */
import { afterAll, beforeEach, describe, it, vi } from 'vitest';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { forEachSeed } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';
import { letTheDeadRest } from '../support/wal-driver.ts';
import { cutWalThrice } from '../support/wal-workload.ts';

const MEMORY_BYTES = 64 << 20;
const memories = [takeCore('simd', MEMORY_BYTES), takeCore('baseline', MEMORY_BYTES)];
afterAll(() => { for (const core of memories) giveCore(core); });

letTheDeadRest();
// Time passes where it is looked at, so that seeds replay.
let milliseconds = 0;
beforeEach(() => { vi.spyOn(performance, 'now').mockImplementation(() => milliseconds += 20); });

describe('a power cut of a group', { timeout: scaled(180_000) }, () => {
  for (const syncs of ['immediate', 'manual'] as const) {
    for (const faults of [false, true]) {
      it(`at any call: ${syncs} syncs${faults ? ', with calls that fail' : ''}`, async () => {
        const tally = newTally(`power cuts of a group, ${syncs} syncs${faults ? ', faults' : ''}`);
        await forEachSeed(40, async (random) => {
          tally.count('seeds');
          await cutWalThrice({ memories, random, tally, syncs, faults });
        });
        tally.report();
      });
    }
  }
});
