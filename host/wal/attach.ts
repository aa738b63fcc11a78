/**
 * Attaching a core: opening its log for writing, with the identity that the group gives it. The log's lock makes sure
 * that nobody else has it, in this process or in another one.
 */
import { STORE_KIND_GROUP_CORE } from '../generated/abi.ts';
import { holdsStore } from '../log/load.ts';
import { openWriter } from '../log/open.ts';
import type { RecoveryReport } from '../log/report.ts';
import type { LogContext } from '../log/segment.ts';
import type { LogWriter } from '../log/writer.ts';
import type { GroupFile } from './group-file.ts';
import { corePath } from './names.ts';
import type { CheckedWalOptions } from './options.ts';
import { WalWriter } from './writer.ts';

/** Where the log of a core is, to be opened for writing or for reading. */
export function coreContext(group: GroupFile, core: number, readOnly: boolean): LogContext {
  const { context } = group;
  return { core: context.core, storage: context.storage, directory: corePath(context.directory, core), readOnly };
}

/** Whether a core has a log. A crash while it was made may have left less: then it has none. */
export function hasLog({ context: { storage, directory } }: GroupFile, core: number): boolean {
  return holdsStore(storage.list(corePath(directory, core)) ?? []);
}

/**
 * Opens the log of a core for writing.
 *
 * Errors: ERR_VARVE_LOCKED (somebody has it), ERR_VARVE_CORRUPT, ERR_VARVE_FOREIGN_DIRECTORY (the log is not the one of
 * this core), ERR_VARVE_DISK_FULL, ERR_VARVE_MEMORY_FULL, ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO
 */
export function openCore(
  group: GroupFile, core: number, { segmentBytes, mappedBytesMax }: CheckedWalOptions,
): { readonly writer: LogWriter; readonly report: RecoveryReport } {
  return openWriter(coreContext(group, core, false), {
    storeKind: STORE_KIND_GROUP_CORE, segmentBytes, mappedBytesMax, create: true, identity: group.identityOf(core),
  });
}

/** Attaches a core. `closed` is told when its writer has closed. Errors: as `openCore` */
export function attachCore(
  group: GroupFile, core: number, options: CheckedWalOptions, closed: (writer: WalWriter) => void,
): WalWriter {
  const { writer: log, report } = openCore(group, core, options);
  try {
    return new WalWriter({ group, core, log, report, options, closed });
  } catch (error) {
    log.closeNow();
    throw error;
  }
}
