/**
 * Fills a disk, or what a limit leaves of it, with a log, and says at each step what happened. The parent takes turns:
 * each message is a step to do.
 *
 * Arguments: directory, bytes of a segment. Steps: open, reader, adopt, fill, append, staged, large, batch, rotate,
 * sync, verify, close, end.
 */
import { readdirSync } from 'node:fs';
import { RecordLog, VarveError } from '../../../dist/esm/index.js';
import { payloadOf } from './records.mjs';

const [directory, segmentBytes] = process.argv.slice(2);
let log;
/** How often something was appended that may not have been. */
let appended = 0;

function add() {
  const payload = payloadOf(appended + 1, 0);
  const lsn = log.append(payload);
  appended++;
  if (lsn !== appended) throw new Error(`append gave ${lsn} for ${appended}`);
}

function verify() {
  let lsn = 0;
  for (const record of log.scan()) {
    lsn++;
    if (record.lsn !== lsn || Buffer.compare(record.payload, payloadOf(lsn, 0)) !== 0) return `record ${lsn} is wrong`;
    if (lsn % 17 === 0 && log.read(lsn).lsn !== lsn) return `read ${lsn} is wrong`;
  }
  return lsn === appended && log.lastLsn === appended ? 'right' : `${lsn} records of ${appended}`;
}

const STEPS = {
  open: () => {
    log = RecordLog.openSync(directory, { segmentBytes: Number(segmentBytes) });
    return 'open';
  },
  reader: () => {
    log = RecordLog.openSync(directory, { readOnly: true });
    return 'open';
  },
  fill: () => {
    for (;;) add();
  },
  append: () => {
    add();
    return 'appended';
  },
  /** Counts what an earlier process has appended as its own. */
  adopt: () => {
    appended = log.lastLsn;
    return appended;
  },
  /** A batch that is put together outside of the file; it fits into a segment. */
  staged: () => {
    const records = Array.from({ length: 70 }, (_, i) => ({ payload: payloadOf(appended + 1 + i, 0) }));
    appended = log.appendBatch(records).lastLsn;
    return 'appended';
  },
  large: () => log.append(new Uint8Array(8 << 20)),
  batch: () => log.appendBatch(Array.from({ length: 2000 }, () => new Uint8Array(4096))),
  rotate: () => {
    log.rotate();
    return 'rotated';
  },
  sync: async () => (await log.sync() === log.lastLsn ? 'synced' : 'not synced'),
  verify,
  close: async () => {
    await log.close();
    return 'closed';
  },
};

process.on('message', async (step) => {
  if (step === 'end') return process.disconnect();
  let result;
  try {
    result = await STEPS[step]();
  } catch (error) {
    const { code, kind, message, stack } = error;
    result = VarveError.is(error) ? { code, kind, message } : String(stack);
  }
  process.send({ result, poisoned: log?.closed === false && log.poisoned, names: readdirSync(directory), appended });
});
process.on('disconnect', () => process.exit());
process.send('ready');
