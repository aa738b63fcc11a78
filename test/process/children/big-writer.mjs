/**
 * Writes more than 4 GiB into one log with a small mapped window, then reads parts of it back.
 *
 * Arguments: directory, bytes to write, bytes of a record. Tells how much anonymous memory came on top, and what is
 * wrong.
 */
import { readFileSync } from 'node:fs';
import { RecordLog } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';

const [directory, totalBytes, recordBytes] = process.argv.slice(2).map((word, at) => (at === 0 ? word : Number(word)));
const options = { segmentBytes: 64 << 20, mappedBytesMax: 128 << 20 };
const payload = new Uint8Array(recordBytes);
const stamps = new DataView(payload.buffer);
const STAMP_EVERY = 4096;

/** Marks each page of the payload with the record's LSN, so that no page of another record is taken for it. */
function stamp(lsn) {
  for (let at = 0; at < recordBytes; at += STAMP_EVERY) stamps.setFloat64(at, lsn * 1024 + at / STAMP_EVERY, true);
}

function isRight({ lsn, payload: bytes }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length !== recordBytes) return false;
  for (let at = 0; at < recordBytes; at += STAMP_EVERY) {
    if (view.getFloat64(at, true) !== lsn * 1024 + at / STAMP_EVERY) return false;
  }
  return true;
}

/** Anonymous resident memory in MiB, after a collection where that can be had. */
function anonymousMiB() {
  globalThis.gc?.();
  const kilobytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return kilobytes === null ? 0 : Number(kilobytes[1]) / 1024;
}

const wrong = [];
const before = anonymousMiB();
let log = RecordLog.openSync(directory, options);
const count = Math.ceil(totalBytes / recordBytes);
let mappedMax = 0;
for (let lsn = 1; lsn <= count; lsn++) {
  stamp(lsn);
  if (log.append(payload) !== lsn) wrong.push(`append gave another LSN than ${lsn}`);
  if (lsn % 1024 === 0) mappedMax = Math.max(mappedMax, log.stats.mappedBytes);
}
const grown = anonymousMiB() - before;

const below = integers(20240701);
function readBack() {
  for (let i = 0; i < 300; i++) {
    const lsn = 1 + below(count);
    if (!isRight(log.read(lsn))) wrong.push(`record ${lsn} is another one`);
    mappedMax = Math.max(mappedMax, log.stats.mappedBytes);
  }
  // Around the place where positions leave 32 bits.
  const middle = Math.floor(4294967296 / recordBytes);
  let expected = middle - 200;
  for (const record of log.scan({ from: expected, to: Math.min(count, middle + 200) })) {
    if (record.lsn !== expected++ || !isRight(record)) wrong.push(`scan came to ${record.lsn}`);
  }
  if (log.lastLsn !== count) wrong.push(`lastLsn is ${log.lastLsn}`);
}

readBack();
const { position, stats } = log;
log.closeSync();
// Nothing of the sealed segments is read again for this.
log = RecordLog.openSync(directory, { ...options, readOnly: true });
readBack();
const scanned = log.recovery.scannedRecords;
log.closeSync();
process.send({ wrong, count, position, grown, mappedMax, scanned, segments: stats.segments });
process.disconnect();
