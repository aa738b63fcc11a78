/**
 * Recovery of a group: the newest checkpoint that is whole, what follows it, and where everything ends.
 *
 * What a crash leaves: each log is recovered, and cut, by itself and durably. Where some were cut at an epoch and
 * others not yet, the next recovery finds the same last complete epoch, and cuts the rest. A log need not show it any
 * more: that a core has ended an epoch may be known by nothing but an entry of a later one, which is cut. So all logs
 * are synced, and GROUP says the epoch, durably, before the first one is cut.
 */
import type { LogWriter } from '../log/writer.ts';
import type { RecoveryReport } from '../log/report.ts';
import { hasLog, openCore } from './attach.ts';
import type { Checkpoint, UnusableCheckpoint } from './checkpoint-file.ts';
import type { NewestCheckpoint } from './checkpoints.ts';
import type { CheckedWalOptions } from './options.ts';
import { planRecovery, type CorePlan, type RecoveryPlan } from './plan.ts';
import { readCore, WalReplay, type ReplaySource } from './replay.ts';

/** Where a recovery ends: with all that the logs hold, or with the last epoch that is complete on every core. */
export type RecoveryEnd = 'end' | 'epoch';

/** What recovery found, and did, of one core. */
export interface CoreRecovery extends Omit<CorePlan, 'log' | 'beyond'> {
  /** What opening its log found and did, a torn tail among it; `undefined` where the core was never attached. */
  readonly log: RecoveryReport | undefined;
  /** Entries behind the end: cut off with `upTo: 'epoch'`, unless the group is read-only. */
  readonly cut: number;
}

/** The state of a group, to begin with. */
export interface WalRecovery {
  /** The newest checkpoint that is whole; `readState` or `state` gives its state. `undefined` where there is none. */
  readonly checkpoint: Checkpoint | undefined;
  /** Newer checkpoints that cannot be used, and why. Nothing is lost by it: the logs reach back to the older one. */
  readonly skipped: readonly UnusableCheckpoint[];
  /** The last epoch that every core has ended; 0 for none. */
  readonly completeEpoch: number;
  /** Of each source the offset of the latest commit, in the order of a replay, over those of the checkpoint. */
  readonly offsets: Map<string, number | bigint>;
  /** The highest of all, that of the checkpoint included. */
  readonly watermark: number | bigint | undefined;
  readonly cores: readonly CoreRecovery[];
  /** Entries that are to be replayed on the checkpoint's state, in order. Each call begins anew. */
  entries(): WalReplay;
}

/** Recovers for writing: repairs the logs' tails, and cuts them where that is asked for. No core may be attached. */
export function recoverLogs(
  source: ReplaySource, options: CheckedWalOptions, newest: NewestCheckpoint, upTo: RecoveryEnd,
): WalRecovery {
  const { group } = source;
  const opened: { readonly log: LogWriter; readonly report: RecoveryReport }[] = [];
  try {
    const cores = coresOf(source, (core) => {
      const { writer: log, report } = openCore(group, core, options);
      opened.push({ log, report });
      return { log, report };
    });
    const plan = planRecovery({
      cores: cores.map((core) => core?.log), checkpoint: newest.checkpoint, upTo, complete: group.page.complete,
    });
    if (plan.cores.some(({ core, beyond }) => beyond > 0 && cores[core] !== undefined)) {
      for (const { log } of opened) log.syncNow();
      group.noteComplete(plan.completeEpoch);
    }
    for (const { core, to, beyond } of plan.cores) {
      const log = cores[core]?.log;
      if (log === undefined) continue;
      if (beyond > 0) log.truncateAfter(to);
      group.page.raiseEpoch(log.epoch);
    }
    return recoveryOf(source, newest, plan, cores.map((core) => core?.report));
  } finally {
    for (const { log } of opened) log.closeNow();
  }
}

/** The same for a reader, beside whoever writes: changes nothing. */
export function inspectLogs(source: ReplaySource, newest: NewestCheckpoint, upTo: RecoveryEnd): WalRecovery {
  const readers = coresOf(source, (core) => readCore(source, core));
  try {
    const { complete } = source.group.page;
    const plan = planRecovery({ cores: readers, checkpoint: newest.checkpoint, upTo, complete });
    return recoveryOf(source, newest, plan, readers.map((reader) => reader?.report));
  } finally {
    for (const reader of readers) reader?.close();
  }
}

/** Something of each core, in their order; nothing of those that were never attached. */
function coresOf<T>({ group }: ReplaySource, take: (core: number) => T): (T | undefined)[] {
  return Array.from({ length: group.facts.cores }, (_, core) => (hasLog(group, core) ? take(core) : undefined));
}

function recoveryOf(
  source: ReplaySource, { checkpoint, skipped }: NewestCheckpoint, plan: RecoveryPlan,
  reports: readonly (RecoveryReport | undefined)[],
): WalRecovery {
  const { completeEpoch, offsets, watermark } = plan;
  const cores = plan.cores.map(({ log, beyond, ...core }) => {
    void log;
    return { ...core, log: reports[core.core], cut: beyond };
  });
  const ranges = cores.map(({ core, from, to }) => ({ core, from, to }));
  return {
    checkpoint, skipped, completeEpoch, offsets, watermark, cores, entries: () => new WalReplay(source, ranges),
  };
}
