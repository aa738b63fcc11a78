/**
 * Opening a log for writing: milliseconds until the first record can be read or appended.
 *
 * Measured is `RecordLog.open` of a log that was closed, with 1 M and 10 M records of 64 B in sealed segments: what
 * it takes must not depend on their number. Then the same in a fresh process, where the core is compiled and the
 * bindings are loaded first, and with a segment nearly full whose writer was killed, so that every frame of it is
 * scanned. The result is what the last record holds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RecordLog } from '../dist/esm/index.js';
import { compare } from './lib/measure.mjs';
import { fold, insist, payloadsOf } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'open';

const ONCE = fileURLToPath(new URL('lib/open-once.mjs', import.meta.url));
const CRASH = fileURLToPath(new URL('lib/crash.mjs', import.meta.url));

export function parameters(smoke) {
  return {
    records: smoke ? [300, 3000] : [1_000_000, 10_000_000], payloadBytes: 64, unsealedBytes: smoke ? 1 << 16 : 60 << 20,
  };
}

export async function run({ places, smoke, ...rest }) {
  const { records: [few, many], payloadBytes, unsealedBytes } = parameters(smoke);
  const payloads = payloadsOf(payloadBytes, 1000);
  const small = places.fresh('few');
  const large = places.fresh('many');
  await fill(small, few, payloads);
  await fill(large, many, payloads);
  const rows = await compare(rest, 'sealed', [
    { who: `varve, ${many} records`, unit: 'ms', floors: [{ atMost: 20 }, { timesAtMost: 2, of: `varve, ${few} records` }],
      run: () => opening(large, many) },
    { who: `varve, ${few} records`, unit: 'ms', run: () => opening(small, few) },
  ]);
  rows.push(...await compare(rest, 'sealed, fresh process', [
    { who: `varve, ${many} records`, unit: 'ms', run: () => openingOnce(large) },
  ]));
  rows.push(...await compare(rest, `${unsealedBytes / (1 << 20)} MiB unsealed, writer killed`, [
    { who: 'varve', unit: 'ms', run: () => places.with('crash', (path) => afterCrash(path, unsealedBytes)) },
  ]));
  return { rows };
}

async function fill(path, records, payloads) {
  const log = await RecordLog.open(path);
  for (let done = 0; done < records; done += payloads.length) {
    log.appendBatch(payloads.slice(0, Math.min(payloads.length, records - done)));
  }
  await log.close();
}

async function opening(path, records) {
  const { result: log, ns } = await timedLater(() => RecordLog.open(path));
  insist('last record', log.lastLsn, records);
  const sum = fold(log.lastLsn, log.read(log.lastLsn).payload);
  await log.close();
  return { value: ns / 1e6, result: sum };
}

function openingOnce(path) {
  const { milliseconds, lastLsn } = JSON.parse(execFileSync(process.execPath, [ONCE, path], { encoding: 'utf8' }));
  return { value: milliseconds, result: lastLsn };
}

async function afterCrash(path, bytes) {
  spawnSync(process.execPath, [CRASH, path, String(bytes)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const { result: log, ns } = await timedLater(() => RecordLog.open(path));
  const { lastLsn } = log;
  let sum = 0;
  for (const { payload } of log.scan()) sum = fold(sum, payload);
  await log.close();
  return { value: ns / 1e6, result: `${lastLsn} ${sum}` };
}
