/**
 * Repairing a group: every log by itself, as host/log/repair.ts does it, and the copies of GROUP's identity. A crash in
 * between leaves logs that are repaired and logs that can be.
 */
import { Status, STORE_KIND_GROUP_CORE } from '../generated/abi.ts';
import { repairLog } from '../log/open.ts';
import type { RepairReport } from '../log/repair.ts';
import { coreContext, hasLog } from './attach.ts';
import type { GroupFile } from './group-file.ts';
import { corePath } from './names.ts';
import type { CheckedWalOptions } from './options.ts';
import type { WalWriterOptions } from './types.ts';

/** Options of `WalGroup.repair`. */
export interface WalRepairOptions extends Pick<WalWriterOptions, 'mappedBytesMax' | 'core' | 'storage'> {
  /** Says what would be done and changes nothing; takes no lock. Default false. */
  readonly dryRun?: boolean;
}

/** What a repair did to one core, or would do. LSNs are sequences. */
export interface CoreRepair extends RepairReport {
  readonly core: number;
  /** The directory of its log. */
  readonly path: string;
}

/** What `WalGroup.repair` did, or would do. */
export interface WalRepair {
  /** Whether anything had to be changed. */
  readonly changed: boolean;
  /** Whether one of the two copies of what the group is was damaged. */
  readonly restoredGroup: boolean;
  /** Every core that has a log, in the order of their numbers. */
  readonly cores: readonly CoreRepair[];
}

/** Repairs what it can; read-only, it is a dry run. */
export function repairGroup(group: GroupFile, options: CheckedWalOptions): WalRepair {
  const { segmentBytes, mappedBytesMax, readOnly } = options;
  const cores: CoreRepair[] = [];
  for (let core = 0; core < group.facts.cores; core++) {
    if (!hasLog(group, core)) continue;
    const report = repairLog(coreContext(group, core, readOnly), {
      storeKind: STORE_KIND_GROUP_CORE, segmentBytes, mappedBytesMax, create: false, identity: group.identityOf(core),
    });
    cores.push({ core, path: corePath(group.context.directory, core), ...report });
  }
  const restoredGroup = readOnly
    ? group.page.copies().some(({ status }) => status !== Status.Ok) : group.restoreCopies();
  return { changed: restoredGroup || cores.some(({ changed }) => changed), restoredGroup, cores };
}
