/**
 * Opens a directory for writing, appends records, says so, and lives until it is killed or told to close.
 *
 * Arguments: directory, how many records.
 */
import { RecordLog } from '../../../dist/esm/index.js';
import { recordOf } from './records.mjs';

const [directory, count] = process.argv.slice(2);
try {
  const log = RecordLog.openSync(directory, { segmentBytes: 65536 });
  const { lastLsn } = log;
  for (let i = 0; i < Number(count); i++) log.appendBatch([recordOf(lastLsn + i, 0)]);
  process.send({ lastLsn: log.lastLsn });
  process.on('disconnect', () => process.exit());
  process.on('message', async () => {
    await log.close();
    process.disconnect();
  });
} catch (error) {
  const { code, kind, message, details } = error;
  process.send({ code, kind, message, details });
  process.disconnect();
}
