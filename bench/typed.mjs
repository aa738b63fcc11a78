/**
 * Typed stores: nanoseconds for a field, a record, a text, an append, a column; microseconds to open and close.
 *
 * Measured are loops over a store that is mapped and in the page cache. Beside them stands what one would write by hand
 * over a `SharedArrayBuffer` (lib/hand-records.mjs), which keeps nothing on a disk. *hot* is one record again and
 * again, *in order* and *at random* are all records. The result is the sum of what was read, or what the store holds in
 * the end.
 */
import { TypedStore } from '../dist/esm/index.js';
import { defineSchema, f64, str, u64 } from '../dist/esm/schema.js';
import { HandRecords } from './lib/hand-records.mjs';
import { compare } from './lib/measure.mjs';
import { insist } from './lib/payloads.mjs';
import { timed } from './lib/places.mjs';

export const title = 'typed records';

/** Seven numbers: 64 bytes with the stamp. */
const Seven = defineSchema('Seven', { fields: { a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64 } });
/** The record of mmapforge's own benchmarks: 96 bytes with the stamp. */
const Tick = defineSchema('Tick', { fields: { symbol: str(64), price: f64, volume: f64, timestamp: u64.number } });
const TEXT = 'NASDAQ:AAPL-2024-0001';
const BY_HAND = 'by hand';

export function parameters(smoke) {
  return { records: smoke ? 256 : 1 << 20, calls: smoke ? 512 : 1 << 22, opens: smoke ? 3 : 100 };
}

export async function run({ places, smoke, ...rounds }) {
  const sizes = parameters(smoke);
  const rows = [];
  const group = async (name, contenders) => { rows.push(...await compare(rounds, name, contenders)); };
  await places.with('seven', (path) => overSeven(path, sizes, group));
  await places.with('tick', (path) => overTicks(path, sizes, group));
  await places.with('append', (path) => appending(path, sizes, group));
  await places.with('open', (path) => opening(path, sizes, group));
  return { rows };
}

/** A contender that takes nanoseconds a call. */
function loop(who, calls, work, ...floors) {
  return { who, unit: 'ns', floors, run() {
    const { result, ns } = timed(() => work(calls));
    return { value: ns / calls, result };
  } };
}

async function overSeven(path, { records, calls }, group) {
  const store = TypedStore.openSync(`${path}/file`, Seven, { capacity: records });
  const hand = new HandRecords(records);
  for (let i = 0; i < records; i++) {
    const record = { a: i, b: i + 0.5, c: 1, d: 2, e: 3, f: 4, g: 5 };
    store.append(record);
    hand.setAll(i, record);
  }
  const order = shuffled(records);
  const { b, c } = store.fields;
  await group('get f64, hot', [
    loop('varve', calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += b.get(7);
      return sum;
    }, { atMost: 4 }, { times: 3, of: BY_HAND }),
    loop(BY_HAND, calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.get(7, 1);
      return sum;
    }),
  ]);
  await group('get f64, in order', [
    loop('varve', records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += b.get(i);
      return sum;
    }, { atMost: 9 }),
    loop(BY_HAND, records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.get(i, 1);
      return sum;
    }),
  ]);
  await group('get f64, at random', [
    loop('varve', records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += b.get(order[i]);
      return sum;
    }, { atMost: 25 }),
    loop(BY_HAND, records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.get(order[i], 1);
      return sum;
    }),
  ]);
  await group('set f64, hot', [
    loop('varve', calls, (count) => {
      for (let i = 0; i < count; i++) c.set(7, i + 0.5);
      return c.get(7);
    }, { atMost: 8 }),
    loop(BY_HAND, calls, (count) => {
      for (let i = 0; i < count; i++) hand.set(7, 2, i + 0.5);
      return hand.get(7, 2);
    }),
  ]);
  await wholeRecords(store, hand, calls, group);
  await group('sum of a column', [loop('varve, a record', records, () => store.column('b').sum(), { atMost: 6 })]);
  insist('records', store.length, records);
  store.closeSync();
}

async function wholeRecords(store, hand, calls, group) {
  const into = { a: 0.5, b: 0.5, c: 0.5, d: 0.5, e: 0.5, f: 0.5, g: 0.5 };
  const record = { ...into };
  await group('get 7 fields, reused object', [
    loop('varve', calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += store.get(7, into).b;
      return sum;
    }, { atMost: 30 }),
    loop(BY_HAND, calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.getAll(7, into).b;
      return sum;
    }),
  ]);
  await group('set 7 fields', [
    loop('varve', calls, (count) => {
      for (let i = 0; i < count; i++) {
        record.a = i + 0.5;
        store.set(9, record);
      }
      return store.get(9).a;
    }, { atMost: 25 }),
    loop(BY_HAND, calls, (count) => {
      for (let i = 0; i < count; i++) {
        record.a = i + 0.5;
        hand.setAll(9, record);
      }
      return hand.get(9, 0);
    }),
  ]);
}

async function overTicks(path, { records, calls }, group) {
  const store = TypedStore.openSync(`${path}/file`, Tick, { capacity: records });
  for (let i = 0; i < records; i++) store.append({ symbol: TEXT, price: i, volume: 1, timestamp: i });
  const { symbol } = store.fields;
  await group('get text of 21 bytes', [
    loop('varve', calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += symbol.get(7).length;
      return sum;
    }, { atMost: 60 }),
  ]);
  await group('set text of 21 bytes', [
    loop('varve', calls, (count) => {
      for (let i = 0; i < count; i++) symbol.set(7, TEXT);
      return symbol.get(7);
    }, { atMost: 50 }),
  ]);
  await group('sum of a column, records of 96 B', [
    loop('varve, a record', records, () => store.column('price').sum(), { atMost: 6 }),
  ]);
  store.closeSync();
}

async function appending(path, { records }, group) {
  const record = { a: 0.5, b: 1.5, c: 2.5, d: 3.5, e: 4.5, f: 5.5, g: 6.5 };
  let files = 0;
  const append = (who, floor, one) => ({ who, unit: 'ns', floors: [floor], run() {
    const store = TypedStore.openSync(`${path}/${++files}`, Seven, { capacity: records });
    const { ns } = timed(() => { for (let i = 0; i < records; i++) one(store, i); });
    const result = store.length;
    store.closeSync();
    return { value: ns / records, result };
  } });
  await group('append', [
    append('varve, of zeros', { atMost: 4 }, (store) => store.append()),
    append('varve, 7 fields', { atMost: 40 }, (store, i) => {
      record.a = i + 0.5;
      store.append(record);
    }),
  ]);
}

async function opening(path, { opens }, group) {
  const store = TypedStore.openSync(`${path}/file`, Tick);
  for (let i = 0; i < 100; i++) store.append();
  store.closeSync();
  const contender = (who, options, floors) => ({ who, unit: 'µs', floors, run() {
    const { result, ns } = timed(() => {
      let length = 0;
      for (let i = 0; i < opens; i++) {
        const opened = TypedStore.openSync(`${path}/file`, Tick, options);
        ({ length } = opened);
        opened.closeSync();
      }
      return length;
    });
    return { value: ns / opens / 1e3, result };
  } });
  await group('open and close, 100 records', [
    contender('varve', {}, [{ atMost: 150 }]), contender('varve, read-only', { readOnly: true }, []),
  ]);
}

/** The numbers below `count`, each once, in an order that is the same in each run. */
function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 1;
  for (let last = count - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}
