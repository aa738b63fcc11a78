/**
 * Appending records one by one from JavaScript, not synced: millions of records a second.
 *
 * Measured is the loop of appends alone, into a new log, through as many segments as it takes; opening and closing are
 * not. Beside it, with the same payloads: `fs.writeSync` of each record, and the log written by hand, lib/hand-log.mjs,
 * whose last buffer is written within the measured time. The result is what reading all of it back gives.
 */
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { RecordLog } from '../dist/esm/index.js';
import { HandLog } from './lib/hand-log.mjs';
import { compare } from './lib/measure.mjs';
import { expectedSum, fold, insist, payloadsOf, RING } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timed } from './lib/places.mjs';

export const title = 'append one by one, not synced';

export function parameters(smoke) {
  return { records: smoke ? 300 : 1_000_000, segmentBytes: 64 << 20 };
}

export async function run({ places, smoke, ...rest }) {
  const { records, segmentBytes } = parameters(smoke);
  const rows = [];
  for (const bytes of [256, 64]) {
    const work = { places, records, segmentBytes, payloads: payloadsOf(bytes) };
    const crc32c = peer('crc-32/crc32c');
    const against = bytes === 256 ? [{ times: 2.5, of: 'fs.writeSync' }, { times: 1, of: 'log by hand' }] : [];
    rows.push(...await compare(rest, `${bytes} B`, [
      { who: 'varve', unit: 'M/s', floors: [{ atLeast: bytes === 256 ? 4.5 : 9 }, ...against], run: () => varve(work) },
      { who: 'fs.writeSync', unit: 'M/s', run: () => plainWrites(work) },
      ...crc32c === undefined ? [] : [{ who: 'log by hand', unit: 'M/s', run: () => byHand(work, crc32c.buf) }],
    ]));
  }
  return { rows };
}

function varve({ places, records, segmentBytes, payloads }) {
  return places.with('varve', async (path) => {
    const log = await RecordLog.open(path, { segmentBytes });
    const { ns } = timed(() => {
      for (let i = 0; i < records; i++) log.append(payloads[i % RING]);
    });
    let sum = 0;
    for (const { payload } of log.scan()) sum = fold(sum, payload);
    insist('records', log.lastLsn, records);
    insist('sum', sum, expectedSum(payloads, records));
    await log.close();
    return { value: records * 1e3 / ns, result: sum };
  });
}

function plainWrites({ places, records, payloads }) {
  return places.with('plain', (path) => {
    const fd = openSync(path, 'w');
    const { ns } = timed(() => {
      for (let i = 0; i < records; i++) writeSync(fd, payloads[i % RING]);
    });
    closeSync(fd);
    return { value: records * 1e3 / ns, result: statSync(path).size };
  });
}

function byHand({ places, records, payloads }, crc32c) {
  return places.with('by-hand', (path) => {
    const log = new HandLog(path, crc32c);
    const { ns } = timed(() => {
      for (let i = 0; i < records; i++) log.append(payloads[i % RING]);
      log.flush();
    });
    let sum = 0;
    log.scan((payload) => { sum = fold(sum, payload); });
    log.close();
    insist('sum', sum, expectedSum(payloads, records));
    return { value: records * 1e3 / ns, result: sum };
  });
}
