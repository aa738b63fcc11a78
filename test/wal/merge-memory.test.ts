/**
 * What a merge takes of memory, on real files: its own bytes do not grow with the logs, mapped segments stay within
 * what each log allows, and where the address space has no room for a segment of each log, it goes on all the same.
 */
import { describe, expect, it } from 'vitest';
import { Kind } from '../../host/generated/abi.ts';
import { WalMerge } from '../../host/wal/merge.ts';
import { planRecovery } from '../../host/wal/plan.ts';
import { LogFixture, logFixture } from '../support/log-fixture.ts';
import { withCores, type Cores } from '../support/wal-cores.ts';

const MIB = 1 << 20;
const CORES = 4;

function fill(cores: Cores, core: number, bytes: number, segmentBytes: number, valueBytes: number): number {
  const writer = cores.writer(core, segmentBytes);
  const value = new Uint8Array(valueBytes).fill(core + 1);
  const key = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  while (writer.position < bytes) writer.appendStamped(Kind.Put, key, core, 0, value);
  const { lastLsn } = writer;
  writer.closeNow();
  return lastLsn;
}

describe('the memory of a merge', () => {
  it('does not grow with the logs', { timeout: 120_000 }, () => {
    const fixture = logFixture('real', 'simd');
    withCores(fixture, (cores) => {
      const last = Array.from({ length: CORES }, (_, core) => fill(cores, core, 64 * MIB, 4 * MIB, 200));
      const logs = last.map((_, core) => cores.reader(core, 8 * MIB));
      const merge = new WalMerge(logs.map((log, core) => ({ core, log })));
      let entries = 0;
      let sum = 0;
      let most = 0;
      let mapped = 0;
      const before = process.memoryUsage().arrayBuffers;
      for (let run = merge.nextRun(); run.length > 0; run = merge.nextRun()) {
        entries += run.length;
        sum += run[0]!.value[0]!;
        if (entries % 64 === 0 || entries % 101 === 0) {
          globalThis.gc?.();
          most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        }
        mapped = Math.max(mapped, ...logs.map((log) => log.segments.pool.counters.mappedBytes));
      }
      expect(entries).toBe(last.reduce((total, lsn) => total + lsn, 0));
      expect(sum).toBeGreaterThan(0);
      // The collector decides when what was delivered goes; 256 MiB were read.
      expect(most).toBeLessThan(96 * MIB);
      expect(mapped).toBeLessThanOrEqual(8 * MIB);
    });
  });

  it('has one run for each core, and smaller ones where there are many', () => {
    const fixture = logFixture('simulated', 'simd');
    withCores(fixture, (cores) => {
      const lastLsn = fill(cores, 0, 512 * 1024, MIB, 100);
      const log = cores.reader(0);
      for (const [count, most] of [[1, 65536], [16, 65536], [1024, 16384]] as const) {
        const merge = new WalMerge(Array.from({ length: count }, (_, core) => ({ core, log })));
        merge.next();
        const { cursors } = merge as unknown as { cursors: { run: { buffer: ArrayBuffer } }[] };
        const bytes = cursors.map(({ run }) => run.buffer.byteLength);
        expect(Math.max(...bytes)).toBeLessThanOrEqual(most);
        merge.return();
        expect(cursors.every(({ run }) => (run as unknown) === undefined)).toBe(true);
      }
      expect(lastLsn).toBeGreaterThan(1000);
    });
  });

  it('needs no room for a segment of each log at once', () => {
    const fixture = new LogFixture('real', 'simd', undefined, {}, 16 * MIB);
    try {
      withCores(fixture, (cores) => {
        // 20 segments of 1 MiB do not fit into 16 MiB.
        const last = Array.from({ length: 20 }, (_, core) => fill(cores, core, MIB * 0.9, MIB, 500));
        const logs = last.map((_, core) => cores.reader(core));
        const plan = planRecovery({ cores: logs });
        expect(plan.cores.map(({ entries }) => entries)).toEqual(last);
        const merge = new WalMerge(logs.map((log, core) => ({ core, log })));
        let entries = 0;
        for (let run = merge.nextRun(); run.length > 0; run = merge.nextRun()) entries += run.length;
        expect(entries).toBe(last.reduce((total, lsn) => total + lsn, 0));
        expect(logs.reduce((total, log) => total + log.segments.pool.counters.mounts, 0)).toBeGreaterThan(40);
      });
    } finally {
      fixture.dispose();
    }
  });
});
