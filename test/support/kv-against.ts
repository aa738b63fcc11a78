/**
 * Runs a list of operations on a key-value store and on its model, from an empty directory to a clean close.
 */
import { realStorage } from '../../host/io/real-storage.ts';
import type { Storage } from '../../host/io/storage.ts';
import { KeyValueDriver } from './kv-driver.ts';
import { STORE_ID_BYTE, type Operation } from './kv-operations.ts';
import { type DiskKind, LogFixture } from './log-fixture.ts';

/** VARVE_TRACE=1 prints the operations. */
const TRACE = process.env['VARVE_TRACE'] === '1';

/** A storage that gives the store an id that is known. */
export function withKnownId(storage: Storage): Storage {
  const random = storage.random.bind(storage);
  storage.random = (target) => {
    if (target.length === 16) target.fill(STORE_ID_BYTE);
    else random(target);
  };
  return storage;
}

/** What is wrong is thrown. */
export async function against(kind: DiskKind, syncs: 'immediate' | 'manual', operations: readonly Operation[], auto: boolean) {
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
    if (TRACE) process.stderr.write(`${JSON.stringify(each).slice(0, 200)}\n`);
    await driver.run(each);
    if (syncs === 'manual' && driver.model.committedLsn % 3 === 0) fixture.disk?.completeSyncs(1);
  }
  await driver.finish();
  fixture.dispose();
}
