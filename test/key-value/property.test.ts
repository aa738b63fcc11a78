/**
 * A key-value store against a Map: lists of operations that fast-check draws and shrinks, on the simulated disk and on
 * the real one, with small segments, few of which are mapped at a time.
 *
 * VARVE_SEED replays one seed of the simulated disk; fast-check prints its own.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { realStorage } from '../../host/io/real-storage.ts';
import type { Storage } from '../../host/io/storage.ts';
import { KeyValueDriver } from '../support/kv-driver.ts';
import { COLLIDING, STORE_ID_BYTE, drawOperation, type Operation } from '../support/kv-operations.ts';
import { type DiskKind, LogFixture } from '../support/log-fixture.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { scaled } from '../support/tally.ts';

/** A storage that gives the store an id that is known. */
function withKnownId(storage: Storage): Storage {
  const random = storage.random.bind(storage);
  storage.random = (target) => {
    if (target.length === 16) target.fill(STORE_ID_BYTE);
    else random(target);
  };
  return storage;
}

const operation = fc.noShrink(fc.nat(0xffffffff)).map((seed) => drawOperation(new Random(seed)));

async function against(kind: DiskKind, syncs: 'immediate' | 'manual', operations: readonly Operation[], auto: boolean) {
  const fixture = new LogFixture(kind, 'simd', undefined, { syncs });
  const storage = withKnownId(fixture.storage ?? realStorage());
  const driver = new KeyValueDriver({
    directory: fixture.directory,
    store: () => ({
      core: fixture.core, storage, autoCompact: auto ? { minBytes: 100_000, minDeadRatio: 0.3 } : false,
    }),
    refresh: () => { fixture.refresh(); },
    completeSyncs: () => { fixture.disk?.completeSyncs(); },
  });
  driver.open();
  for (const each of operations) {
    if (process.env['VARVE_TRACE'] === '1') process.stderr.write(`${JSON.stringify(each).slice(0, 200)}\n`);
    await driver.run(each);
    if (syncs === 'manual' && driver.model.committedLsn % 3 === 0) fixture.disk?.completeSyncs(1);
  }
  await driver.finish();
  fixture.dispose();
}

describe('a key-value store is a Map', { timeout: scaled(180_000) }, () => {
  for (const [kind, syncs, runs] of [['simulated', 'immediate', 60], ['simulated', 'manual', 60], ['real', 'immediate', 25]] as const) {
    it(`whatever is done with it (${kind} disk, ${syncs} syncs)`, async () => {
      const seed = seedFromEnvironment();
      const list = fc.array(operation, { minLength: 20, maxLength: 250, size: 'max' });
      await fc.assert(fc.asyncProperty(list, fc.boolean(), (operations, auto) => against(kind, syncs, operations, auto)),
        { numRuns: scaled(runs), ...seed === undefined ? {} : { seed } });
    });
  }
});
