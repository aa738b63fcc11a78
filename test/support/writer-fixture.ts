/** A log's writer itself, below every face: what the faces that stand on it have in common is tested on this. */
import type { Core } from '../../host/core/core.ts';
import { STORE_KIND_RECORD_LOG } from '../../host/generated/abi.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import type { Storage } from '../../host/io/storage.ts';
import { openWriter } from '../../host/log/open.ts';
import type { SegmentPool } from '../../host/log/pool.ts';
import type { RecoveryReport } from '../../host/log/report.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import type { LogFixture } from './log-fixture.ts';

export interface OpenedWriter {
  readonly writer: LogWriter;
  readonly pool: SegmentPool;
  readonly report: RecoveryReport;
}

/** Opens the writer of a log; whoever asks for it closes it. */
export function writerOf(
  core: Core, storage: Storage, directory: string, segmentBytes = 65536, mappedBytesMax = Infinity,
): OpenedWriter {
  return openWriter({ core, storage, directory, readOnly: false }, {
    storeKind: STORE_KIND_RECORD_LOG, segmentBytes, create: true, mappedBytesMax,
  });
}

/** The same, where a fixture says. */
export function writerIn(fixture: LogFixture, segmentBytes?: number, mappedBytesMax?: number): OpenedWriter {
  return writerOf(
    fixture.core, fixture.storage ?? realStorage(), fixture.directory, segmentBytes, mappedBytesMax);
}

/** Closes a writer whose process is dead, so that nothing of it waits for the next turn of the event loop. */
export function bury(writer: LogWriter): void {
  try {
    writer.closeNow();
  } catch {
    return;
  }
}
