/**
 * Syncs that fail while others are asked for: what the kernel has dropped is never called durable by the sync after.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const core = takeCore('simd', 64 << 20);
afterAll(() => { giveCore(core); });

function openLog() {
  const disk = new SimulatedDisk({ syncs: 'manual' });
  const log = RecordLog.openSync('/store', { core, storage: disk.storage(), segmentBytes: 65536 });
  log.append('first');
  log.syncNow();
  return { disk, log };
}

async function hops(count: number): Promise<void> {
  for (let hop = 0; hop < count; hop++) await Promise.resolve();
}

describe('a sync that fails', () => {
  it('is not followed by one that was asked for while the one before it ended', async () => {
    let failed = 0;
    for (let asked = 0; asked < 12; asked++) {
      const { disk, log } = openLog();
      log.append('second');
      const before = log.sync();
      const waiting = log.sync().catch(() => undefined);
      log.append('third');
      disk.completeSyncs();
      await hops(asked);
      const plan = disk.failAt({ operation: 'sync', error: 'EIO' });
      const third = log.sync().catch(() => undefined);
      await hops(30);
      disk.completeSyncs();
      await hops(30);
      disk.completeSyncs();
      await Promise.all([before, waiting, third]);
      plan.cancel();
      // Asked late, the sync that waited has covered it before the disk fails.
      if (plan.fired > 0) {
        failed++;
        expect(log.durableLsn, `asked after ${asked} microtasks`).toBe(2);
      }
      expect(log.poisoned).toBe(plan.fired > 0);
      log.closeSync();
    }
    expect(failed).toBeGreaterThan(3);
  });
});
