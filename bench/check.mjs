/**
 * Checking every frame of a log in the core alone, without a step into JavaScript for a record: gigabytes a second.
 *
 * Measured is `log.check()` over segments that are mapped and in the page cache, in bytes of frames. The limit of what
 * the machine can do is beside it: the same bytes read by `fs.readSync` in pieces of 1 MiB, which checks nothing.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { RecordLog } from '../dist/esm/index.js';
import { compare } from './lib/measure.mjs';
import { insist, payloadsOf } from './lib/payloads.mjs';
import { timed } from './lib/places.mjs';

export const title = 'check in the core alone';

export function parameters(smoke) {
  return { payloadBytes: [256, 65536], bytesEach: smoke ? 1 << 18 : 512 << 20 };
}

export async function run({ places, smoke, ...rest }) {
  const { payloadBytes, bytesEach } = parameters(smoke);
  const rows = [];
  for (const bytes of payloadBytes) {
    const records = Math.ceil(bytesEach / bytes);
    rows.push(...await places.with('check', (path) => checkOf(path, bytes, records, rest)));
  }
  return { rows };
}

async function checkOf(path, bytes, records, rounds) {
  const payloads = payloadsOf(bytes, 16);
  let log = await RecordLog.open(path);
  for (let i = 0; i < records; i++) log.append(payloads[i % 16]);
  await log.close();
  log = await RecordLog.open(path);
  const rows = await compare(rounds, bytes === 256 ? '256 B' : `${bytes / 1024} KiB`, [
    { who: 'varve', unit: 'GB/s', floors: [{ atLeast: bytes === 256 ? 2.5 : 8 }], run() {
      const { result, ns } = timed(() => log.check());
      insist('outcome', result.outcome, 'ok');
      insist('records', result.records, records);
      return { value: result.bytes / ns, result: `${result.records} ${result.bytes}` };
    } },
    { who: 'fs.readSync', unit: 'GB/s', run: () => reading(path, log.firstLsn) },
  ]);
  await log.close();
  return rows;
}

/** Reads all segment files; the first record's number stands in the result so that the work has one. */
function reading(path, firstLsn) {
  const piece = new Uint8Array(1 << 20);
  const names = readdirSync(path).filter((name) => /\d{6}/.test(name));
  const { result, ns } = timed(() => {
    let total = 0;
    for (const name of names) {
      const fd = openSync(join(path, name), 'r');
      let part = readSync(fd, piece, 0, piece.length, null);
      while (part > 0) {
        total += part;
        part = readSync(fd, piece, 0, piece.length, null);
      }
      closeSync(fd);
    }
    return total;
  });
  return { value: result / ns, result: `${firstLsn} ${result}` };
}
