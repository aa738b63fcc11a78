/**
 * Appending atomic batches of 1,000 records of 256 B, not synced: millions of records a second.
 *
 * Measured is the loop of `appendBatch`, with payloads as bare arrays and as `{payload, key, kind}`. Beside it: varve's
 * own `append` of the same records, and the log written by hand, which writes its buffer at the end of each batch and
 * whose batches are not atomic. The result is what reading all of it back gives.
 */
import { RecordLog } from '../dist/esm/index.js';
import { HandLog } from './lib/hand-log.mjs';
import { compare } from './lib/measure.mjs';
import { expectedSum, fold, insist, payloadsOf } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timed } from './lib/places.mjs';

export const title = 'append batches, not synced';

export function parameters(smoke) {
  return { batches: smoke ? 3 : 1000, recordsPerBatch: smoke ? 100 : 1000, payloadBytes: 256, segmentBytes: 64 << 20 };
}

export async function run({ places, smoke, ...rest }) {
  const { batches, recordsPerBatch, payloadBytes, segmentBytes } = parameters(smoke);
  const payloads = payloadsOf(payloadBytes, recordsPerBatch);
  const key = new TextEncoder().encode('key:0000');
  const work = { places, batches, payloads, segmentBytes };
  const keyed = { ...work, inputs: payloads.map((payload) => ({ payload, key, kind: 1 })) };
  const crc32c = peer('crc-32/crc32c');
  const rows = await compare(rest, `${recordsPerBatch} × ${payloadBytes} B`, [
    { who: 'varve', unit: 'M/s', floors: [{ atLeast: 5 }], run: () => inBatches({ ...work, inputs: payloads }) },
    { who: 'varve with keys', unit: 'M/s', run: () => inBatches(keyed) },
    { who: 'varve one by one', unit: 'M/s', run: () => oneByOne(work) },
    ...crc32c === undefined ? [] : [{ who: 'log by hand', unit: 'M/s', run: () => byHand(work, crc32c.buf) }],
  ]);
  return { rows };
}

function withLog({ places, batches, payloads, segmentBytes }, append) {
  return places.with('varve', async (path) => {
    const records = batches * payloads.length;
    const log = await RecordLog.open(path, { segmentBytes });
    const { ns } = timed(() => {
      for (let batch = 0; batch < batches; batch++) append(log);
    });
    let sum = 0;
    for (const { payload } of log.scan()) sum = fold(sum, payload);
    insist('records', log.lastLsn, records);
    insist('sum', sum, expectedSum(payloads, records));
    await log.close();
    return { value: records * 1e3 / ns, result: sum };
  });
}

function inBatches(work) {
  return withLog(work, (log) => { log.appendBatch(work.inputs); });
}

function oneByOne(work) {
  return withLog(work, (log) => {
    for (const payload of work.payloads) log.append(payload);
  });
}

function byHand({ places, batches, payloads }, crc32c) {
  return places.with('by-hand', (path) => {
    const records = batches * payloads.length;
    const log = new HandLog(path, crc32c);
    const { ns } = timed(() => {
      for (let batch = 0; batch < batches; batch++) {
        for (const payload of payloads) log.append(payload);
        log.flush();
      }
    });
    let sum = 0;
    log.scan((payload) => { sum = fold(sum, payload); });
    log.close();
    insist('sum', sum, expectedSum(payloads, records));
    return { value: records * 1e3 / ns, result: sum };
  });
}
