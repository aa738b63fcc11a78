/**
 * Appending puts to one core of a write-ahead log group from JavaScript, not synced: nanoseconds an entry, of a key of
 * 8 B and values of 16 B, 256 B and 1 KiB.
 *
 * Measured is the loop of puts alone, into a new group, through as many segments as it takes. Beside it, with the same
 * bytes: `RecordLog.append` of records without key and time, and the log written by hand, lib/hand-log.mjs, with key
 * and value in one payload. The program that WalGroup succeeds, laminar-storage's writer in Rust, took 116, 283 and
 * 717 ns on such a machine. The result is what reading all of it back gives.
 */
import { RecordLog, WalGroup } from '../dist/esm/index.js';
import { HandLog } from './lib/hand-log.mjs';
import { compare } from './lib/measure.mjs';
import { expectedSum, fold, insist, payloadsOf, RING } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timed } from './lib/places.mjs';

export const title = 'write-ahead log group: append puts, not synced';

const FLOORS = { 16: 100, 256: 260, 1024: 650 };
const KEY = Buffer.from('key-0001');

export function parameters(smoke) {
  return { entries: smoke ? 300 : 1_000_000, keyBytes: KEY.length };
}

export async function run({ places, smoke, ...rest }) {
  const { entries } = parameters(smoke);
  const crc32c = peer('crc-32/crc32c');
  const rows = [];
  for (const bytes of [16, 256, 1024]) {
    const work = { places, entries, payloads: payloadsOf(bytes) };
    rows.push(...await compare(rest, `${bytes} B`, [
      { who: 'varve', unit: 'ns', floors: [{ atMost: FLOORS[bytes] }], run: () => puts(work) },
      { who: 'varve, record log', unit: 'ns', run: () => appends(work) },
      ...crc32c === undefined ? [] : [{ who: 'log by hand', unit: 'ns', run: () => byHand(work, crc32c.buf) }],
    ]));
  }
  return { rows };
}

function puts({ places, entries, payloads }) {
  return places.with('wal', async (path) => {
    const group = await WalGroup.create(path, { cores: 1 });
    const writer = group.writer(0);
    const { ns } = timed(() => {
      for (let i = 0; i < entries; i++) writer.put(KEY, payloads[i % RING]);
    });
    await writer.close();
    let sum = 0;
    for (const { value } of (await group.recover()).entries()) sum = fold(sum, value);
    insist('sum', sum, expectedSum(payloads, entries));
    await group.close();
    return { value: ns / entries, result: sum };
  });
}

function appends({ places, entries, payloads }) {
  return places.with('log', async (path) => {
    const log = await RecordLog.open(path);
    const { ns } = timed(() => {
      for (let i = 0; i < entries; i++) log.append(payloads[i % RING]);
    });
    let sum = 0;
    for (const { payload } of log.scan()) sum = fold(sum, payload);
    await log.close();
    return { value: ns / entries, result: sum };
  });
}

function byHand({ places, entries, payloads }, crc32c) {
  return places.with('by-hand', (path) => {
    const log = new HandLog(path, crc32c);
    const whole = payloads.map((payload) => Buffer.concat([KEY, payload]));
    const { ns } = timed(() => {
      for (let i = 0; i < entries; i++) log.append(whole[i % RING]);
      log.flush();
    });
    let sum = 0;
    log.scan((payload) => { sum = fold(sum, payload.subarray(KEY.length)); });
    log.close();
    return { value: ns / entries, result: sum };
  });
}
