/**
 * One run of the checkpoint protocol - barriers, syncs, file, name, directory, drop - with a crash at a chosen call or
 * sync of it. What was there before is the same each time: two checkpoints, and segments that the third one lets go.
 */
import type { FaultPlan } from './simulated-disk.ts';
import { withWal, type WorkloadOptions } from './wal-workload.ts';

const CORES = 3;
const ENTRIES = 26;

/** Where a run is crashed. */
export interface Crash {
  /** The call at which something happens, from 1, counted from the asking for the checkpoint. */
  readonly call?: Omit<FaultPlan, 'nth'> & { readonly nth: number };
  /** The sync from which on nothing reaches the disk, from 1. */
  readonly sync?: number;
}

/** Runs it; whether there was such a call or sync. */
export async function crashCheckpoint(options: WorkloadOptions, { call, sync }: Crash): Promise<boolean> {
  let struck = false;
  await withWal({ ...options, cores: CORES }, async (work) => {
    // One core in the coordinator's process, one in another, and one that nobody has.
    for (let core = 0; core < CORES; core++) work.attach(work.parties[core === 1 ? 1 : 0]!, core);
    for (let round = 0; round < 3; round++) {
      for (const core of [0, 1, 2]) {
        if (core === 2 && round === 2) continue;
        for (let count = round === 2 ? 5 : ENTRIES; count > 0; count--) work.append(core);
      }
      if (round < 2) await work.checkpoint();
      await work.settle();
      if (round === 1) {
        const writer = work.writerOf(2)!;
        work.coordinator.writers.delete(2);
        writer.closeSync();
        work.lookAtAll();
      }
    }
    if (sync !== undefined) work.disk.freezeAtSync(work.disk.syncCount + sync);
    work.faulted = call !== undefined;
    const plan = call === undefined ? undefined : work.disk.failAt(call);
    await work.attempt(async () => {
      await work.checkpoint();
      // Writers go on meanwhile.
      for (const core of [0, 1]) work.append(core);
      await work.settle();
    });
    struck = work.disk.frozen || (plan?.fired ?? 0) > 0;
    plan?.cancel();
    await work.cutAndJudge();
  });
  return struck;
}
