/**
 * Makes the fixtures of the current format version, once, when a version is new: `node scripts/format-fixture.mjs DIR`.
 * Fixtures of versions that have been published are never made again: later versions must read the old bytes.
 */
import { cpSync, mkdirSync, mkdtempSync, openSync, writeSync, closeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecordLog } from '../dist/esm/index.js';

const SEGMENT_BYTES = 65536;
/** Where the frames of the four records below end. */
const TORN_AT = 4096 + 32 + 32 + 32 + 32;

function append(log) {
  log.append('alpha');
  log.append('beta', { kind: 1, key: 'k' });
  log.appendBatch(['gamma', 'delta']);
}

const target = process.argv[2];
if (target === undefined) throw new Error('usage: node scripts/format-fixture.mjs DIR');
const scratch = mkdtempSync(join(tmpdir(), 'varve-fixture-'));
const closed = join(target, 'closed');
const crashed = join(target, 'crashed');
const torn = join(target, 'torn');
const followed = join(target, 'followed');
mkdirSync(target, { recursive: true });

const log = await RecordLog.open(join(scratch, 'log'), { segmentBytes: SEGMENT_BYTES });
append(log);
await log.sync();
// What a killed process leaves: the files as they are while the log is open.
cpSync(join(scratch, 'log'), crashed, { recursive: true });
await log.close();
cpSync(join(scratch, 'log'), closed, { recursive: true });
cpSync(crashed, torn, { recursive: true });
cpSync(closed, followed, { recursive: true });
const reader = await RecordLog.open(followed, { readOnly: true });
const cursor = reader.cursor('Mailer é');
for (const lsn of [1, 3]) cursor.saveNow(lsn);
await reader.close();
const file = openSync(join(torn, '00000000000000000001.seg'), 'r+');
writeSync(file, Buffer.from('half a frame that never was published'), 0, 37, TORN_AT);
closeSync(file);
for (const directory of [closed, crashed, torn, followed]) rmSync(join(directory, 'LOCK'), { force: true });
rmSync(scratch, { recursive: true });
