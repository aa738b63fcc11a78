/**
 * Resident anonymous memory after appending 4 GiB of records of 256 B: MiB, of which the process itself needs some 40.
 *
 * Pages of mapped files are the page cache's and can be dropped at any time; anonymous ones cannot. Measured is RssAnon
 * of /proc/self/status, which the kernel counts, at every 64 MiB and at the end; the loop yields at each, as a program
 * with other work would. What the address space shows (`process.memoryUsage().external`) is no memory.
 */
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { RecordLog } from '../dist/esm/index.js';
import { rowOf } from './lib/measure.mjs';
import { payloadsOf, RING } from './lib/payloads.mjs';

export const title = 'resident anonymous memory';

export function parameters(smoke) {
  return { appendedBytes: smoke ? 1 << 20 : 4 * 2 ** 30, payloadBytes: 256 };
}

function status(name) {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? NaN) / 1024;
}

export async function run({ places, smoke }) {
  const { appendedBytes, payloadBytes } = parameters(smoke);
  if (process.platform !== 'linux') return { rows: [], notes: ['only Linux tells how much of it is anonymous'] };
  return places.with('memory', async (path) => {
    const payloads = payloadsOf(payloadBytes);
    const before = status('RssAnon');
    let most = before;
    const log = await RecordLog.open(path);
    for (let i = 0, next = 64 << 20; log.position < appendedBytes;) {
      for (const end = i + 4096; i < end; i++) log.append(payloads[i % RING]);
      if (log.position < next) continue;
      next += 64 << 20;
      most = Math.max(most, status('RssAnon'));
      await setImmediate();
    }
    const after = status('RssAnon');
    const { segments, mappedBytes, mappedSegments } = log.stats;
    const result = `${log.lastLsn} ${log.position} ${segments}`;
    const notes = [`${segments} segments, of which ${mappedSegments} with ${mappedBytes / (1 << 20)} MiB are mapped`];
    await log.close();
    const row = (who, value, floors = []) => rowOf({ group: 'RssAnon', who, unit: 'MiB', values: [value], floors, result });
    const rows = [row('before opening', before), row('after appending', after), row('most while appending', most)];
    rows[1].floors = [{ text: '≤ 200', actual: after, met: after <= 200 }];
    return { rows, notes };
  });
}
