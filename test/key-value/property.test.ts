/**
 * A key-value store against a Map: lists of operations that fast-check draws and shrinks, on the simulated disk and on
 * the real one, with small segments, few of which are mapped at a time.
 *
 * VARVE_SEED replays one seed of the simulated disk; fast-check prints its own.
 */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { against } from '../support/kv-against.ts';
import { drawOperation } from '../support/kv-operations.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { scaled } from '../support/tally.ts';

const operation = fc.noShrink(fc.nat(0xffffffff)).map((seed) => drawOperation(new Random(seed)));

const CASES = [
  ['simulated', 'immediate', 60], ['simulated', 'manual', 60], ['real', 'immediate', 25],
] as const;

describe('a key-value store is a Map', { timeout: scaled(180_000) }, () => {
  for (const [kind, syncs, runs] of CASES) {
    it(`whatever is done with it (${kind} disk, ${syncs} syncs)`, async () => {
      const seed = seedFromEnvironment();
      const list = fc.array(operation, { minLength: 20, maxLength: 250, size: 'max' });
      const property = fc.asyncProperty(list, fc.boolean(), (operations, auto) =>
        against(kind, syncs, operations, auto));
      await fc.assert(property, { numRuns: scaled(runs), ...seed === undefined ? {} : { seed } });
    });
  }
});
