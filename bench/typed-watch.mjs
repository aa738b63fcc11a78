/**
 * Typed stores that are watched: how old a record is when a watcher in another process has read it, and what a look at
 * all records costs.
 *
 * - Latency: records are set one by one, a millisecond apart, each with the time of its write; the reader notes the
 *   difference when it has read the record. Beside it stands a log whose follower gets the same payloads
 *   (lib/live.mjs). The quantiles are over all records of a round.
 * - A look: one record of 1 M is set, and the same thread waits until its watcher says so. Nearly all of that is the
 *   look at the stamps of all records, each in a cache line of its own.
 *
 * The result is what the reader has seen, and how many looks found their record.
 */
import { TypedStore } from '../dist/esm/index.js';
import { bytes, defineSchema, f64 } from '../dist/esm/schema.js';
import { CONTENDERS, PAYLOAD_BYTES, stamping } from './lib/live.mjs';
import { compare, compareFigures, quantile } from './lib/measure.mjs';
import { insist } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';
import { expectReaders, Readers } from './lib/readers.mjs';
import { setTimeout } from 'node:timers/promises';

export const title = 'typed records, watched';

/** 88 bytes with the stamp. */
const Wide = defineSchema('Wide', { fields: { price: f64, rest: bytes(68) } });

export function parameters(smoke) {
  return {
    payloadBytes: PAYLOAD_BYTES, records: smoke ? 5 : 10_000, watched: smoke ? 1000 : 1 << 20, looks: smoke ? 2 : 50,
  };
}

export async function run({ places, smoke, ...rest }) {
  const { records, watched, looks } = parameters(smoke);
  const readers = new Readers(1);
  try {
    const rows = await latencies({ places, readers, rest }, records);
    rows.push(...await places.with('looks', (path) => looking(path, watched, looks, rest)));
    return { rows };
  } finally {
    readers.stop();
  }
}

function latencies({ places, readers, rest }, records) {
  const parts = { p50: 0.5, p99: 0.99 };
  const figures = Object.keys(parts).map((name) => ({ group: `set to seen, 1 ms apart, ${name}`, unit: 'µs' }));
  return compareFigures(rest, figures, [['varve', 'typed'], ['varve, a log', 'varve']].map(([who, side]) => ({
    who,
    run: () => places.with('live', async (path) => {
      const writer = await CONTENDERS[side].openWriter(path);
      const { ended } = await readers.open(1, { who: side, path, records, latencies: true });
      const next = stamping();
      for (let i = 0; i < records; i++) {
        await setTimeout(1);
        writer.append(next());
      }
      const ends = await ended;
      await writer.close();
      expectReaders(ends, records);
      return { values: Object.values(parts).map((part) => quantile(ends[0].ages, part)), result: ends[0].sum };
    }),
  })));
}

async function looking(path, watched, looks, rest) {
  const store = TypedStore.openSync(`${path}/file`, Wide, { capacity: watched });
  for (let i = 0; i < watched; i++) store.append();
  const watcher = store.watch();
  const rows = await compare(rest, `a look at ${watched} records of 88 bytes`, [{
    who: 'varve', unit: 'ms', async run() {
      let found = 0;
      const { ns } = await timedLater(async () => {
        for (let i = 0; i < looks; i++) {
          const index = i * 7919 % watched;
          store.fields.price.set(index, i);
          const { value } = await watcher.next();
          if (value.from === index && value.to === index) found++;
        }
      });
      insist('looks that found their record', found, looks);
      return { value: ns / looks / 1e6, result: found };
    },
  }]);
  await watcher.return();
  store.closeSync();
  return rows;
}
