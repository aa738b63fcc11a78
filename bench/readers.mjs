/**
 * Readers in other processes that follow a writer live: how old a record is when a reader's JavaScript has it, and how
 * long it takes until all readers have all records, for 1 to 16 reader processes beside this one, which writes.
 *
 * - Latency: records are appended one by one, some time apart, each with the time of its append; each reader notes the
 *   difference. The quantiles are over the records of all readers of a round.
 * - Throughput: records are appended as fast as it goes, 1,000 in a turn of the event loop. The clock runs from the
 *   first append until the last reader has the last record (all readers) or the middle one has it (each reader).
 *
 * The processes are started before and stay; no clock runs until all readers wait at the end. The result is what the
 * readers have seen. Beside varve: a plain file followed by `fs.watch`, and lmdb, whose readers poll (lib/live.mjs).
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { CONTENDERS, PAYLOAD_BYTES, present, ringing, stamping } from './lib/live.mjs';
import { compareFigures, median, quantile } from './lib/measure.mjs';
import { expectReaders, Readers } from './lib/readers.mjs';

export const title = 'readers in other processes, live';

const NAMES = ['varve', 'fs.watch', 'lmdb, each ms'];
/** Keeps a core busy for each reader, so it is not asked for more readers than one. */
const BUSY = 'lmdb, each turn';
const RECORDS_PER_TURN = 1000;

export function parameters(smoke) {
  return {
    payloadBytes: PAYLOAD_BYTES, readers: smoke ? [1, 2] : [1, 2, 4, 8, 16], streamedRecords: smoke ? 300 : 50_000,
    // Alone, a reader gets enough records for its first hundreds, which the compiler slows down, not to be a hundredth.
    alone1ms: smoke ? 5 : 10_000, apart1ms: smoke ? 5 : 1000, apart10ms: smoke ? 3 : 200,
  };
}

export async function run({ places, smoke, ...rest }) {
  const { readers: counts, streamedRecords, alone1ms, apart1ms, apart10ms } = parameters(smoke);
  const readers = new Readers(Math.max(...counts));
  const work = { places, readers, rest };
  const floors = { p50: [{ atMost: 80 }], p99: [{ atMost: 1000 }] };
  const rows = [];
  try {
    rows.push(...await latencies(work, { count: 1, milliseconds: 1, records: alone1ms, floors }));
    rows.push(...await latencies(work, { count: 1, milliseconds: 10, records: apart10ms }));
    for (const count of counts.slice(1)) {
      rows.push(...await latencies(work, { count, milliseconds: 1, records: apart1ms }));
    }
    for (const count of counts) rows.push(...await stream(work, { count, records: streamedRecords }));
  } finally {
    readers.stop();
  }
  return { rows };
}

function named(count) {
  return count === 1 ? '1 reader' : `${count} readers`;
}

/** Opens a writer and readers, lets `write` write, and returns when it began and how the readers ended. */
function following({ places, readers }, { count, records, ...job }, who, write) {
  return places.with('live', async (path) => {
    const writer = await CONTENDERS[who].openWriter(path);
    const { ended } = await readers.open(count, { who, path, records, ...job });
    const begunAt = process.hrtime.bigint();
    await write(writer);
    const ends = await ended;
    await writer.close();
    expectReaders(ends, records);
    return { begunAt, ends };
  });
}

// ---- latency

function latencies(work, { count, milliseconds, records, floors = {} }) {
  const parts = { 'p50': 0.5, 'p99': 0.99, 'p99.9': 0.999 };
  const figures = Object.keys(parts).map((name) => (
    { group: `${named(count)}, ${milliseconds} ms apart, ${name}`, unit: 'µs', floors: floors[name] }));
  const names = present(count === 1 ? [...NAMES, BUSY] : NAMES);
  return compareFigures(work.rest, figures, names.map((who) => ({
    who,
    run: async () => {
      const job = { count, records, latencies: true };
      const { ends } = await following(work, job, who, (writer) => spaced(writer, records, milliseconds));
      const ages = ends.flatMap((end) => [...end.ages]);
      return { values: Object.values(parts).map((part) => quantile(ages, part)), result: ends[0].sum };
    },
  })));
}

async function spaced(writer, records, milliseconds) {
  const next = stamping();
  for (let i = 0; i < records; i++) {
    await setTimeout(milliseconds);
    writer.append(next());
  }
}

// ---- throughput

function stream(work, { count, records }) {
  const figures = ['all readers', 'each reader'].map((name) => (
    { group: `${named(count)}, ${records} at once, ${name}`, unit: 'ms' }));
  return compareFigures(work.rest, figures, present(NAMES).map((who) => ({
    who,
    run: async () => {
      const { begunAt, ends } = await following(work, { count, records, batches: true }, who, async (writer) => {
        const next = ringing();
        for (let left = records; left > 0; left -= RECORDS_PER_TURN) {
          writer.appendAll(Math.min(left, RECORDS_PER_TURN), next);
          await setImmediate();
        }
      });
      const times = ends.map(({ endedAt }) => Number(endedAt - begunAt) / 1e6);
      return { values: [Math.max(...times), median(times)], result: ends[0].sum };
    },
  })));
}
