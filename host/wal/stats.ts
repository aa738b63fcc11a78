/**
 * What a group is like at a moment, of all cores alike, whoever has them: what its logs say, read beside their writers,
 * and what GROUP says of who has which. Takes no lock, changes nothing.
 */
import { CORE_STATE } from '../core/group-page.ts';
import type { LogReader } from '../log/reader.ts';
import type { RecoveryReport } from '../log/report.ts';
import { hasLog } from './attach.ts';
import { infoOf, isUnusable, type CheckpointInfo, type UnusableCheckpoint } from './checkpoint-file.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { GroupFile } from './group-file.ts';
import { lastEndedEpoch, type CheckpointCut } from './plan.ts';
import { lookAt, readCore, type ReplaySource } from './replay.ts';

/** A core as `WalGroup.stats` finds it. */
export interface CoreStats {
  readonly core: number;
  /**
   * The process of the writer; `undefined` where nobody has the core. A thread that was terminated has it, by this,
   * until its process ends or the core is attached again.
   */
  readonly attached: number | undefined;
  /** Whether its writer cannot write any more. */
  readonly poisoned: boolean;
  /** Sequences of the first entry that the log still holds, and of the last one; one less where it holds none. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Up to where the log was written, and is known to be on disk, in bytes since it began. */
  readonly position: number;
  readonly syncedPosition: number;
  /** The epoch of the last entry, 0 where there is none. */
  readonly epoch: number;
  /** The last epoch that the core has ended, and the last whose end is known to be on disk. */
  readonly endedEpoch: number;
  readonly syncedEpoch: number;
  readonly segments: number;
  /** Bytes of the entries that the log still holds. */
  readonly bytes: number;
  /** What opening the log for reading found; `undefined` where the core was never attached. */
  readonly log: RecoveryReport | undefined;
}

/** A group as `WalGroup.stats` finds it. */
export interface WalStats {
  /** The epoch that new entries belong to, as far as GROUP knows it. */
  readonly epoch: number;
  /** The last epoch that every core has ended, with all that is known to be on disk; 0 for none. */
  readonly completeEpoch: number;
  /** Oldest first; their states are not looked at. */
  readonly checkpoints: readonly (CheckpointInfo | UnusableCheckpoint)[];
  /** In the order of their numbers. */
  readonly cores: readonly CoreStats[];
}

/** Looks at the group and at every core, one after the other. */
export function statsOf(source: ReplaySource, checkpoints: Checkpoints): WalStats {
  const { group } = source;
  const latest = checkpoints.latest();
  const cores = Array.from({ length: group.facts.cores }, (_, core) => coreStats(source, core, latest));
  return {
    epoch: group.page.epoch,
    completeEpoch: Math.max(group.page.complete, Math.min(...cores.map(({ syncedEpoch }) => syncedEpoch))),
    checkpoints: checkpoints.list().map((each) => (isUnusable(each) ? each : infoOf(each))),
    cores,
  };
}

function coreStats(source: ReplaySource, core: number, checkpoint: CheckpointCut | undefined): CoreStats {
  const { group } = source;
  const ended = lastEndedEpoch(undefined, checkpoint);
  if (!hasLog(group, core)) {
    return {
      core, attached: undefined, poisoned: false, firstSequence: 1, lastSequence: 0, position: 0, syncedPosition: 0,
      epoch: 0, endedEpoch: ended, syncedEpoch: ended, segments: 0, bytes: 0, log: undefined,
    };
  }
  const reader = readCore(source, core);
  try {
    const facts = lookAt(reader, () => factsOf(reader, checkpoint));
    return { core, ...facts, ...ownerOf(group, core, reader), log: reader.report };
  } finally {
    reader.close();
  }
}

/** What the log of a core says. */
function factsOf(reader: LogReader, checkpoint: CheckpointCut | undefined) {
  const { firstLsn, lastLsn, durableLsn, position, durablePosition, segments: { list } } = reader;
  return {
    firstSequence: firstLsn,
    lastSequence: lastLsn,
    position,
    syncedPosition: durablePosition,
    epoch: reader.epochOf(lastLsn) ?? 0,
    endedEpoch: lastEndedEpoch(reader, checkpoint),
    syncedEpoch: lastEndedEpoch(reader, checkpoint, durableLsn),
    segments: list.length,
    bytes: list.length === 0 ? 0 : position - list[0]!.header.basePosition,
  };
}

/** Who has a core, by what its log, and GROUP, say of it. */
function ownerOf({ page, context: { storage } }: GroupFile, core: number, reader: LogReader) {
  const pid = page.pid(core);
  const state = page.coreState(core);
  const isAttached = state !== CORE_STATE.detached && reader.live && storage.alive(pid);
  return { attached: isAttached ? pid : undefined, poisoned: isAttached && state === CORE_STATE.poisoned };
}
