/**
 * What the live benchmarks write and follow, for each contender the writing and the reading side: varve; a plain file,
 * appended to by `fs.writeSync` and followed by `fs.watch`; lmdb, which tells other processes nothing, so that they
 * look again at each turn of a timer, or of the event loop.
 *
 * `openWriter(path)` gives `append(payload)`, `appendAll(count, next)` for as many as come in one turn of the event
 * loop, and `close()`. `openReader(path, take, { batches })` calls `take(payload)` with each record that comes from
 * then on, the payload being valid until it returns, and gives `close()`.
 *
 * A stamped payload carries at 8 the time of its append: `process.hrtime.bigint()` reads CLOCK_MONOTONIC, which is one
 * clock for all processes of a machine.
 */
import { closeSync, openSync, readSync, watch, writeSync } from 'node:fs';
import { RecordLog, TypedStore } from '../../dist/esm/index.js';
import { bytes, defineSchema } from '../../dist/esm/schema.js';
import { payloadsOf, RING } from './payloads.mjs';
import { peer } from './peers.mjs';

export const PAYLOAD_BYTES = 256;
const READ_BYTES = 65536;
const STAMP_AT = 8;
/** The shortest time that a timer of Node.js takes. */
const POLL_MS = 1;

/** Returns what gives the payloads of the ring one after the other. */
export function ringing() {
  const payloads = payloadsOf(PAYLOAD_BYTES);
  let i = 0;
  return () => payloads[i++ % RING];
}

/** The same, each with the time at which it was asked for; valid until the ring has come round. */
export function stamping() {
  const next = ringing();
  return () => {
    const payload = next();
    new DataView(payload.buffer).setBigUint64(STAMP_AT, process.hrtime.bigint(), true);
    return payload;
  };
}

/** Microseconds since the append of a record. */
export function sinceAppend({ buffer, byteOffset }) {
  return Number(process.hrtime.bigint() - new DataView(buffer, byteOffset).getBigUint64(STAMP_AT, true)) / 1e3;
}

const varve = {
  async openWriter(path) {
    const log = await RecordLog.open(path);
    return {
      append: (payload) => { log.append(payload); },
      appendAll: (count, next) => { for (let i = 0; i < count; i++) log.append(next()); },
      close: () => log.close(),
    };
  },
  async openReader(path, take, { batches }) {
    const log = await RecordLog.open(path, { readOnly: true });
    const follower = log.follow({ from: log.lastLsn + 1 });
    const over = batches ? byBatches(follower, take) : oneByOne(follower, take);
    return {
      close: async () => {
        await follower.return();
        await over;
        await log.close();
      },
    };
  },
};

const Payload = defineSchema('Payload', { fields: { payload: bytes(PAYLOAD_BYTES) } });
/** Records of a typed store that are there before anybody writes: each is set once. */
const TYPED_RECORDS = 1 << 14;

/** A typed store, of which each payload goes to the next record. */
const typed = {
  async openWriter(path) {
    const store = await TypedStore.open(`${path}/file`, Payload, { capacity: TYPED_RECORDS });
    store.appendMany(Array.from({ length: TYPED_RECORDS }, () => ({ payload: new Uint8Array() })));
    let at = 0;
    return {
      append: (payload) => { store.fields.payload.set(at++, payload); },
      appendAll: (count, next) => { for (let i = 0; i < count; i++) store.fields.payload.set(at++, next()); },
      close: () => store.close(),
    };
  },
  async openReader(path, take) {
    const store = await TypedStore.open(`${path}/file`, Payload, { readOnly: true });
    const watcher = store.watch();
    const over = eachChange(store, watcher, take);
    return {
      close: async () => {
        await watcher.return();
        await over;
        await store.close();
      },
    };
  },
};

async function eachChange(store, watcher, take) {
  for await (const { from, to } of watcher) {
    for (let at = from; at <= to; at++) take(store.fields.payload.get(at));
  }
}

async function oneByOne(follower, take) {
  for await (const { payload } of follower) take(payload);
}

async function byBatches(follower, take) {
  for await (const records of follower.batches()) for (const { payload } of records) take(payload);
}

const watchedFile = {
  async openWriter(path) {
    const fd = openSync(path, 'a');
    return {
      append: (payload) => { writeSync(fd, payload); },
      appendAll: (count, next) => { for (let i = 0; i < count; i++) writeSync(fd, next()); },
      close: async () => { closeSync(fd); },
    };
  },
  async openReader(path, take) {
    const fd = openSync(path, 'r');
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    let position = 0;
    const look = () => {
      for (;;) {
        const bytes = readSync(fd, buffer, 0, READ_BYTES, position);
        const whole = bytes - bytes % PAYLOAD_BYTES;
        for (let at = 0; at < whole; at += PAYLOAD_BYTES) take(buffer.subarray(at, at + PAYLOAD_BYTES));
        position += whole;
        if (bytes < READ_BYTES) return;
      }
    };
    const watcher = watch(path, look);
    return {
      close: async () => {
        watcher.close();
        closeSync(fd);
      },
    };
  },
};

const LMDB_OPTIONS = { encoding: 'binary', keyEncoding: 'uint32', compression: false, noSync: true };

/** lmdb, whose readers ask for a new snapshot whenever `later` calls them; `never` takes that back. */
function polledLmdb(later, never) {
  return {
    async openWriter(path) {
      const db = peer('lmdb').open({ path, ...LMDB_OPTIONS });
      let key = 0;
      return {
        append: (payload) => { db.putSync(key++, payload); },
        appendAll: (count, next) => {
          db.transactionSync(() => { for (let i = 0; i < count; i++) db.put(key++, next()); });
        },
        close: () => db.close(),
      };
    },
    async openReader(path, take) {
      const db = peer('lmdb').open({ path, ...LMDB_OPTIONS, readOnly: true });
      let key = 0;
      const look = () => {
        db.resetReadTxn();
        for (let value = db.getBinary(key); value !== undefined; value = db.getBinary(key)) {
          key++;
          take(value);
        }
        pending = later(look);
      };
      let pending = later(look);
      return {
        close: async () => {
          never(pending);
          await db.close();
        },
      };
    },
  };
}

const lmdb = polledLmdb((look) => setTimeout(look, POLL_MS), clearTimeout);
const lmdbSpinning = polledLmdb(setImmediate, clearImmediate);

/** Both sides of each contender, by its name in the tables. */
export const CONTENDERS = {
  varve, typed, 'fs.watch': watchedFile, 'lmdb, each ms': lmdb, 'lmdb, each turn': lmdbSpinning,
};

/** The contenders that can run here. */
export function present(names) {
  return names.filter((name) => !name.startsWith('lmdb') || peer('lmdb') !== undefined);
}
