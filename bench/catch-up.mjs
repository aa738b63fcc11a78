/**
 * A fresh reader process catches up: milliseconds in which it reads 1 M records of 256 B from the start, by `follow`,
 * record by record and in batches, and by `scan`, beside a writer that has the log open and is idle.
 *
 * Measured is within the reader process, from the first call to the last record, each payload going into a sum. Each
 * way has a process of its own, which has read nothing before, so that the compiler and the mapping of the segments are
 * within; then it reads everything in the same way again, as a process that runs for longer does.
 *
 * A batch is an array of records, so it is held against a scan whose records go into arrays too. The plain scan is
 * faster than both, because the engine then makes no objects but the payloads.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RecordLog } from '../dist/esm/index.js';
import { compareFigures, median } from './lib/measure.mjs';
import { expectedSum, insist, payloadsOf, RING } from './lib/payloads.mjs';

export const title = 'a fresh reader process catches up';

const PROGRAM = fileURLToPath(new URL('lib/catch-up-child.mjs', import.meta.url));
const WAYS = {
  'follow, in batches': 'batches', 'follow, one by one': 'follow', 'scan': 'scan', 'scan, into arrays': 'collected',
};

export function parameters(smoke) {
  return { records: smoke ? 300 : 1_000_000, payloadBytes: 256 };
}

export async function run({ places, smoke, ...rest }) {
  const { records, payloadBytes } = parameters(smoke);
  const payloads = payloadsOf(payloadBytes);
  const expected = expectedSum(payloads, records);
  return places.with('catch-up', async (path) => {
    const log = await RecordLog.open(path);
    for (let i = 0; i < records; i++) log.append(payloads[i % RING]);
    const figures = ['first reading', 'second reading'].map((group) => ({ group, unit: 'ms' }));
    const rows = await compareFigures(rest, figures, Object.entries(WAYS).map(([who, way]) => ({
      who,
      run: () => {
        const taken = JSON.parse(execFileSync(process.execPath, [PROGRAM, path, way, way], { encoding: 'utf8' }));
        for (const { sum } of taken) insist('sum', sum, expected);
        return { values: taken.map(({ ns }) => ns / 1e6), result: expected };
      },
    })));
    await log.close();
    for (const { group } of figures) judge(rows.filter((row) => row.group === group));
    return { rows };
  });
}

function judge([batches, , , collected]) {
  const actual = median(batches.values.map((value, round) => value / collected.values[round]));
  batches.floors = [{ text: '≤ 1.05 × scan, into arrays', actual, met: actual <= 1.05 }];
}
