/**
 * Typed stores, through the classes that `varve generate` writes: nanoseconds for a field, a record, a text, an append,
 * a column; microseconds to open and close. What stands beside as *by fields* is the same without a generated class.
 *
 * Measured are loops over a store that is mapped and in the page cache. Beside them stands what one would write by hand
 * over a `SharedArrayBuffer` (lib/hand-records.mjs), which keeps nothing on a disk. *hot* is one record again and
 * again, *in order* and *at random* are all records. The result is the sum of what was read, or what the store holds in
 * the end.
 */
import { recordLayout } from '../dist/esm/index.js';
import { bool, bytes, defineSchema, f64, str, u64 } from '../dist/esm/schema.js';
import { generatedClasses } from './lib/generated.mjs';
import { HandRecords } from './lib/hand-records.mjs';
import { compare } from './lib/measure.mjs';
import { insist } from './lib/payloads.mjs';
import { timed } from './lib/places.mjs';

export const title = 'typed records';

const TEXT = 'NASDAQ:AAPL-2024-0001';
const BY_HAND = 'by hand';
const BY_FIELDS = 'varve, by fields';

export function parameters(smoke) {
  return { records: smoke ? 256 : 1 << 20, calls: smoke ? 512 : 1 << 22, opens: smoke ? 3 : 1000 };
}

export async function run({ places, smoke, ...rounds }) {
  const sizes = parameters(smoke);
  const classes = await generatedClasses();
  const rows = [];
  const group = async (name, contenders) => { rows.push(...await compare(rounds, name, contenders)); };
  await places.with('seven', (path) => overSeven(classes, path, sizes, group));
  await places.with('tick', (path) => overTicks(classes, path, sizes, group));
  await places.with('append', (path) => appending(classes, path, sizes, group));
  await group('layout and hash of 5 fields', layouts(sizes));
  await places.with('open', (path) => opening(classes, path, sizes, group));
  return { rows };
}

/** A contender that takes nanoseconds a call. */
function loop(who, calls, work, ...floors) {
  return { who, unit: 'ns', floors, run() {
    const { result, ns } = timed(() => work(calls));
    return { value: ns / calls, result };
  } };
}

async function overSeven({ SevenStore }, path, { records, calls }, group) {
  const store = SevenStore.openSync(`${path}/file`, { capacity: records });
  const hand = new HandRecords(records);
  for (let i = 0; i < records; i++) {
    const record = { a: i, b: i + 0.5, c: 1, d: 2, e: 3, f: 4, g: 5 };
    store.append(record);
    hand.setAll(i, record);
  }
  const order = shuffled(records);
  const { fields } = store;
  const { b, c } = fields;
  await group('get f64, hot', [
    loop('varve', calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += store.getB(7);
      return sum;
    }, { atMost: 4 }, { times: 3, of: BY_HAND }),
    loop(BY_FIELDS, calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += b.get(7);
      return sum;
    }),
    loop(BY_HAND, calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.get(7, 1);
      return sum;
    }),
  ]);
  await group('get f64, in order', [
    loop('varve', records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += store.getB(i);
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
      for (let i = 0; i < count; i++) sum += store.getB(order[i]);
      return sum;
    }, { atMost: 25 }),
    loop(BY_HAND, records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.get(order[i], 1);
      return sum;
    }),
    // What the memory alone takes.
    loop('by hand, unguarded', records, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += hand.peek(order[i], 1);
      return sum;
    }),
  ]);
  await group('set f64, hot', [
    loop('varve', calls, (count) => {
      for (let i = 0; i < count; i++) store.setC(7, i + 0.5);
      return c.get(7);
    }, { atMost: 8 }),
    loop(BY_FIELDS, calls, (count) => {
      for (let i = 0; i < count; i++) c.set(7, i + 0.5);
      return c.get(7);
    }),
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

async function overTicks({ TickStore, WideStore }, path, { records, calls }, group) {
  const store = TickStore.openSync(`${path}/file`, { capacity: records });
  for (let i = 0; i < records; i++) store.append({ symbol: TEXT, price: i, volume: 1, timestamp: i });
  await group('get text of 21 bytes', [
    loop('varve', calls, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += store.getSymbol(7).length;
      return sum;
    }, { atMost: 60 }),
  ]);
  await group('set text of 21 bytes', [
    loop('varve', calls, (count) => {
      for (let i = 0; i < count; i++) store.setSymbol(7, TEXT);
      return store.getSymbol(7);
    }, { atMost: 50 }),
  ]);
  store.closeSync();
  const wide = WideStore.openSync(`${path}/wide`, { capacity: records });
  for (let i = 0; i < records; i++) wide.append({ symbol: TEXT, price: i, volume: 1, bid: 2, ask: 3 });
  await group('sum of a column, records of 88 B', [
    loop('varve, a record', records, () => wide.column('price').sum(), { atMost: 6 }),
  ]);
  wide.closeSync();
}

async function appending({ SevenStore }, path, { records }, group) {
  const record = { a: 0.5, b: 1.5, c: 2.5, d: 3.5, e: 4.5, f: 5.5, g: 6.5 };
  let files = 0;
  // Each has a loop of its own: one for all would call a function a record, which is not what is measured.
  const append = (who, options, floors, fill) => ({ who, unit: 'ns', floors, run() {
    const store = SevenStore.openSync(`${path}/${++files}`, options);
    const { ns } = timed(() => { fill(store); });
    const result = store.length;
    store.closeSync();
    return { value: ns / records, result };
  } });
  const full = (store) => {
    for (let i = 0; i < records; i++) {
      record.a = i + 0.5;
      store.append(record);
    }
  };
  await group('append', [
    append('varve, of zeros', { capacity: records }, [{ atMost: 4 }], (store) => {
      for (let i = 0; i < records; i++) store.append();
    }),
    append('varve, 7 fields', { capacity: records }, [{ atMost: 40 }], full),
    append('varve, 7 fields, growing', {}, [], full),
  ]);
}

/** The five fields of mmapforge's own benchmark of the same. */
function layouts({ opens }) {
  const schemas = Array.from({ length: opens }, (_, at) => defineSchema('Five', {
    version: at + 1, fields: { name: str(64), price: f64, volume: u64, active: bool, data: bytes(32) },
  }));
  return [loop('varve', opens, () => schemas.reduce((sum, schema) => sum + recordLayout(schema).stride, 0), { atMost: 5000 })];
}

async function opening({ TickStore }, path, { opens }, group) {
  const store = TickStore.openSync(`${path}/file`);
  for (let i = 0; i < 100; i++) store.append();
  store.closeSync();
  const contender = (who, options, floors) => ({ who, unit: 'µs', floors, run() {
    const { result, ns } = timed(() => {
      let length = 0;
      for (let i = 0; i < opens; i++) {
        const opened = TickStore.openSync(`${path}/file`, options);
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
