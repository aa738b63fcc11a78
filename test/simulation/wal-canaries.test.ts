/**
 * Whether the simulation of groups would find a bug: promises are broken on purpose, each behind a switch that exists
 * in tests alone (canaries.test.ts shows that nothing of them is shipped), and the power cuts must find each within few
 * seeds - and nothing in that seed without the bug.
 */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';
import { WAL_CANARIES } from '../support/wal-canaries.ts';
import { letTheDeadRest } from '../support/wal-driver.ts';
import { crashCheckpoint } from '../support/wal-protocol.ts';
import { cutWalThrice } from '../support/wal-workload.ts';

const SEEDS_MAX = 300;
const memories = [takeCore('simd', 64 << 20), takeCore('simd', 64 << 20)];
afterAll(() => { for (const core of memories) giveCore(core); });

letTheDeadRest();
let milliseconds = 0;
beforeEach(() => { vi.spyOn(performance, 'now').mockImplementation(() => milliseconds += 20); });
afterEach(() => { globalThis.varveCanary = undefined; });

/** Runs a seed; returns what the simulation found, if anything. */
async function findingOf(seed: number): Promise<string | undefined> {
  try {
    const options = { memories, random: new Random(seed), tally: newTally('canaries'), syncs: 'manual' } as const;
    if (seed % 2 === 0) await cutWalThrice(options);
    else await crashCheckpoint(options, { call: { nth: (seed + 1) / 2, error: 'power-cut' } });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the simulation of groups finds', { timeout: scaled(180_000) }, () => {
  for (const [canary, what] of Object.entries(WAL_CANARIES)) {
    it(what, async () => {
      let found: string | undefined;
      let seed = 0;
      while (found === undefined && seed < SEEDS_MAX) {
        globalThis.varveCanary = canary as keyof typeof WAL_CANARIES;
        found = await findingOf(++seed);
      }
      globalThis.varveCanary = undefined;
      console.info(`canary (${what}): seed ${seed}: ${found}`);
      expect(found, `${what} is not found in ${SEEDS_MAX} seeds`).toBeDefined();
      expect(await findingOf(seed)).toBeUndefined();
    });
  }
});
