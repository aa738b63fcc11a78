/**
 * Follows a log by a cursor until it is killed or has processed a last record. What it has processed it notes in a
 * journal by write(2), and after each save that has resolved, how far that was.
 *
 * Arguments: directory, cursor, journal, seed, LSN of the last record.
 */
import { openSync, writeSync } from 'node:fs';
import { RecordLog } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';

const [directory, name, journalPath, seed, last] = process.argv.slice(2);
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);
const below = integers(Number(seed));

process.on('disconnect', () => process.exit());
try {
  const log = RecordLog.openSync(directory, { readOnly: true });
  const cursor = log.cursor(name);
  note('open', cursor.lsn ?? 0);
  process.send('open');
  for await (const { lsn } of cursor.follow()) {
    note('processed', lsn);
    // Most records are not saved by themselves, so that a kill finds some that are processed and not saved.
    const what = below(8);
    if (what === 0) cursor.saveNow(lsn);
    else if (what === 1) await cursor.save(lsn);
    else if (what === 2) cursor.save(lsn).then(() => note('saved', lsn), () => undefined);
    if (what < 2) note('saved', lsn);
    if (lsn === Number(last)) break;
  }
  await log.close();
  process.send('done');
  process.disconnect();
} catch (error) {
  const { code, message, details } = error;
  process.send({ code, message, details });
  process.disconnect();
}
