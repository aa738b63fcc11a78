/**
 * Visiting every record in JavaScript, checksums checked: millions of records a second, 256 B each.
 *
 * Measured is one pass over a closed and opened log whose files are in the page cache; each payload's length and three
 * of its bytes go into a sum. `scan()` gives records that stay valid (a run of them shares one copy), `view: true`
 * gives parts of a private mapping. Beside it: the log written by hand, whose payloads are valid until the next one.
 */
import { RecordLog } from '../dist/esm/index.js';
import { HandLog } from './lib/hand-log.mjs';
import { compare } from './lib/measure.mjs';
import { expectedSum, fold, insist, payloadsOf, RING } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timed } from './lib/places.mjs';

export const title = 'scan, visiting each record';

export function parameters(smoke) {
  return { records: smoke ? 300 : 1_000_000, payloadBytes: 256 };
}

export async function run({ places, smoke, ...rest }) {
  const { records, payloadBytes } = parameters(smoke);
  const payloads = payloadsOf(payloadBytes);
  const expected = expectedSum(payloads, records);
  return places.with('scan', async (path) => {
    let log = await RecordLog.open(path);
    for (let i = 0; i < records; i++) log.append(payloads[i % RING]);
    await log.close();
    log = await RecordLog.open(path);
    const crc32c = peer('crc-32/crc32c');
    const hand = crc32c === undefined ? undefined : new HandLog(places.fresh('by-hand'), crc32c.buf);
    if (hand !== undefined) for (let i = 0; i < records; i++) hand.append(payloads[i % RING]);
    const measured = (pass) => {
      const { result, ns } = timed(pass);
      return { value: records * 1e3 / ns, result };
    };
    const forwards = (pass) => () => {
      const { value, result } = measured(pass);
      insist('sum', result, expected);
      return { value, result };
    };
    const rows = await compare(rest, `${payloadBytes} B`, [
      { who: 'varve', unit: 'M/s', floors: [{ atLeast: 5 }, { times: 1, of: 'log by hand' }],
        run: forwards(() => byCopy(log)) },
      { who: 'varve, views', unit: 'M/s', run: forwards(() => byView(log)) },
      { who: 'varve, reverse', unit: 'M/s', run: () => measured(() => inReverse(log)) },
      ...hand === undefined ? [] : [{ who: 'log by hand', unit: 'M/s', run: forwards(() => byHand(hand)) }],
    ]);
    hand?.close();
    await log.close();
    return { rows };
  });
}

function byCopy(log) {
  let sum = 0;
  for (const { payload } of log.scan()) sum = fold(sum, payload);
  return sum;
}

function byView(log) {
  let sum = 0;
  for (const { payload } of log.scan({ view: true })) sum = fold(sum, payload);
  return sum;
}

function inReverse(log) {
  let sum = 0;
  for (const { payload } of log.scan({ reverse: true })) sum = fold(sum, payload);
  return sum;
}

function byHand(log) {
  let sum = 0;
  log.scan((payload) => { sum = fold(sum, payload); });
  return sum;
}
