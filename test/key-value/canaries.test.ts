/**
 * Whether the simulation of the key-value store would find a bug: promises are broken on purpose, each behind a switch
 * that exists in tests alone (test/simulation/canaries.test.ts shows that nothing of them is shipped), and the power
 * cuts must find each within few seeds - and nothing in that seed without the bug.
 */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KEY_VALUE_CANARIES } from '../support/kv-canaries.ts';
import { cutKeyValueThrice } from '../support/kv-workload.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { Random } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';

const SEEDS_MAX = 150;
const core = takeCore('simd', 64 << 20);
afterAll(() => { giveCore(core); });

let milliseconds = 0;
beforeEach(() => { vi.spyOn(performance, 'now').mockImplementation(() => ++milliseconds); });
afterEach(() => { globalThis.varveCanary = undefined; });

/** Runs a seed; returns what the simulation found, if anything. */
async function findingOf(seed: number): Promise<string | undefined> {
  try {
    await cutKeyValueThrice({ core, random: new Random(seed), tally: newTally('canaries'), syncs: 'manual' });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the simulation of the key-value store finds', { timeout: scaled(180_000) }, () => {
  for (const [canary, what] of Object.entries(KEY_VALUE_CANARIES)) {
    it(what, async () => {
      let found: string | undefined;
      let seed = 0;
      while (found === undefined && seed < SEEDS_MAX) {
        globalThis.varveCanary = canary as keyof typeof KEY_VALUE_CANARIES;
        found = await findingOf(++seed);
      }
      globalThis.varveCanary = undefined;
      console.info(`canary (${what}): seed ${seed}: ${found}`);
      expect(found, `${what} is not found in ${SEEDS_MAX} seeds`).toBeDefined();
      expect(await findingOf(seed)).toBeUndefined();
    });
  }
});
