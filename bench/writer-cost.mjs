/**
 * What readers cost the writer: its processor time per record, user and system together, with no reader and with
 * sixteen processes that follow it. Time and not duration, because the readers compete with it for the cores.
 *
 * - At full speed: records of 256 B appended one by one, the event loop getting its turn every 1,000 records.
 * - At a modest rate: as many records as are due at each tick of a timer of 1 ms, 20,000 in a second. Nearly all of
 *   what is measured there is the waking: of this process by its timer, and of the readers.
 *
 * Measured is `process.cpuUsage()`, which counts every thread of the process, from the first append to the last. The
 * readers wait at the end before it begins, and it is over before they are waited for. The result is what they saw.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { CONTENDERS, PAYLOAD_BYTES, ringing } from './lib/live.mjs';
import { compare } from './lib/measure.mjs';
import { expectReaders, Readers } from './lib/readers.mjs';

export const title = "the writer's processor time beside readers";

const RECORDS_PER_TURN = 1000;

export function parameters(smoke) {
  return {
    payloadBytes: PAYLOAD_BYTES, readers: smoke ? 2 : 16, records: smoke ? 3000 : 500_000,
    ratedRecords: smoke ? 300 : 20_000, recordsPerSecond: 20_000,
  };
}

export async function run({ places, smoke, ...rest }) {
  const sizes = parameters(smoke);
  const readers = new Readers(sizes.readers);
  const contenders = (records, write, floors) => [0, sizes.readers].map((count) => ({
    who: count === 0 ? 'no reader' : `${count} readers`,
    unit: 'ns',
    floors: count === 0 ? [] : floors,
    run: () => places.with('cost', (path) => cost({ readers, path, count, records, write })),
  }));
  try {
    return { rows: [
      ...await compare(rest, 'at full speed',
        contenders(sizes.records, atFullSpeed, [{ timesAtMost: 1.1, of: 'no reader' }])),
      ...await compare(rest, `${sizes.recordsPerSecond} records a second`,
        contenders(sizes.ratedRecords, (...work) => atRate(...work, sizes.recordsPerSecond), [])),
    ] };
  } finally {
    readers.stop();
  }
}

async function cost({ readers, path, count, records, write }) {
  const writer = await CONTENDERS.varve.openWriter(path);
  const { ended } = await readers.open(count, { who: 'varve', path, records, batches: true });
  const before = process.cpuUsage();
  await write(writer, ringing(), records);
  const { user, system } = process.cpuUsage(before);
  expectReaders(await ended, records);
  await writer.close();
  return { value: (user + system) * 1e3 / records, result: `${count} × ${records}` };
}

async function atFullSpeed(writer, next, records) {
  for (let left = records; left > 0; left -= RECORDS_PER_TURN) {
    writer.appendAll(Math.min(left, RECORDS_PER_TURN), next);
    await setImmediate();
  }
}

async function atRate(writer, next, records, perSecond) {
  const begun = performance.now();
  for (let done = 0; done < records;) {
    await setTimeout(1);
    const due = Math.min(records, Math.floor((performance.now() - begun) * perSecond / 1e3));
    writer.appendAll(due - done, next);
    done = due;
  }
}
