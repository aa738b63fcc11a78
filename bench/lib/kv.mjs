/**
 * The key-value stores of the benchmarks, each behind the same interface and each set up as somebody would who wants it
 * to be fast and honest:
 *
 * - varve: the defaults, but for automatic compaction, which would run beside what is measured; keys as Buffers, and in
 *   a contender of its own as strings.
 * - lmdb: binary keys and values, no compression, `useWritemap` and a map of 512 MiB from the start, which is the
 *   fastest of all ways to load it; `noSync` where nothing has to be durable, `overlappingSync: false` where it has, so
 *   that a transaction is on disk when it returns. One by one means `put`, whose commits run in a thread of lmdb's and
 *   are waited for at each `settled()`. `get` is `getBinary`; `getView` is `getBinaryFast`, whose bytes are valid until
 *   the next get.
 * - better-sqlite3: WAL, a table WITHOUT ROWID, prepared statements, keys as text (faster than blobs), a cache of 256
 *   MiB, reads through a mapping of 1 GiB; `synchronous` NORMAL, or FULL where it has to be durable. A scan asks for
 *   pages of 1,000 rows, which is faster than to iterate or to take all.
 * - classic-level: keys as UTF-8 (faster than Buffers), no compression, a block cache of 256 MiB; `getSync`; batches of
 *   1,000 by its chained batch, with `sync: true` where they have to be durable.
 * - bitcask by hand: hand-bitcask.mjs, checksums by crc-32; durable by fdatasync.
 *
 * `ENGINES[name].open(path, { durable })` resolves with a store; varve takes options of its own in `{ varve }`:
 *
 *     put(key, value)            not durable; what does not happen at once is waited for by `await settled()`
 *     putMany(entries)           not durable; in one transaction, or in runs. A promise where it is not done at return
 *     putDurable(key, value)     on disk when it returns or, of a promise, resolves
 *     putGroupDurable(entries)   the same for an array of entries
 *     get(key), getView(key)     the value, or undefined; `getView` only where there is another way than `get`
 *     scan(visit)                calls visit(key, value) with all entries, in any order; may be a promise
 *     close()
 *     intoTables()               classic-level's alone: takes everything out of its log
 *
 * A key is what `ENGINES[name].keyOf(text)` makes of 16 characters of ASCII, an entry `[key, value]`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { KeyValueStore } from '../../dist/esm/index.js';
import { HandBitcask } from './hand-bitcask.mjs';
import { peer } from './peers.mjs';

const CACHE_BYTES = 256 << 20;
const SQLITE_MAPPED_BYTES = 2 ** 30;
const LMDB_MAPPED_BYTES = 512 << 20;
const RUN = 1000;

const bytesOf = (text) => Buffer.from(text, 'latin1');
const textOf = (text) => text;

function varveWith(keys, keyOf) {
  return {
    keyOf,
    installed: () => true,
    async open(path, options = {}) {
      const store = await KeyValueStore.open(path, { keys, autoCompact: false, ...options.varve });
      return {
        store,
        put: (key, value) => store.put(key, value),
        settled: () => undefined,
        putMany: (entries) => store.putMany(entries),
        putDurable: (key, value) => store.put(key, value, { durable: true }),
        putGroupDurable: (entries) => store.putMany(entries, { durable: true }),
        get: (key) => store.get(key),
        getView: (key) => store.getView(key),
        scan: (visit) => { for (const [key, value] of store.entries()) visit(key, value); },
        close: () => store.close(),
      };
    },
  };
}

/** The same, but that what has to be durable is synced by a call that blocks, as SQLite's and lmdb's do. */
const varveBlocking = {
  ...varveWith('binary', bytesOf),
  async open(path, options) {
    const one = await varveWith('binary', bytesOf).open(path, options);
    return {
      ...one,
      putDurable: (key, value) => {
        one.store.put(key, value);
        one.store.syncNow();
      },
      putGroupDurable: (entries) => {
        one.store.putMany(entries);
        one.store.syncNow();
      },
    };
  },
};

const lmdb = {
  keyOf: bytesOf,
  installed: () => peer('lmdb') !== undefined,
  async open(path, { durable = false } = {}) {
    const db = peer('lmdb').open({
      path, encoding: 'binary', keyEncoding: 'binary', compression: false, useWritemap: true,
      mapSize: LMDB_MAPPED_BYTES, ...durable ? { overlappingSync: false } : { noSync: true },
    });
    let last;
    const putMany = (entries) => db.transactionSync(() => {
      for (let i = 0; i < entries.length; i++) db.put(entries[i][0], entries[i][1]);
    });
    return {
      put: (key, value) => { last = db.put(key, value); },
      settled: () => last,
      putMany,
      putDurable: (key, value) => db.putSync(key, value),
      putGroupDurable: putMany,
      get: (key) => db.getBinary(key),
      getView: (key) => db.getBinaryFast(key),
      scan: (visit) => { for (const { key, value } of db.getRange()) visit(key, value); },
      close: () => db.close(),
    };
  },
};

const sqlite = {
  keyOf: textOf,
  installed: () => peer('better-sqlite3') !== undefined,
  // A transaction of its own for each put takes half a minute for 1 M of them.
  slowPuts: true,
  async open(path, { durable = false } = {}) {
    const Database = peer('better-sqlite3');
    mkdirSync(path, { recursive: true });
    const db = new Database(join(path, 'db'));
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
    db.pragma(`cache_size = -${CACHE_BYTES / 1024}`);
    db.pragma(`mmap_size = ${SQLITE_MAPPED_BYTES}`);
    db.exec('CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID');
    const put = db.prepare('REPLACE INTO entries VALUES (?, ?)');
    const get = db.prepare('SELECT value FROM entries WHERE key = ?').pluck();
    const page = db.prepare(`SELECT key, value FROM entries WHERE key > ? ORDER BY key LIMIT ${RUN}`).raw();
    const putMany = db.transaction((entries) => {
      for (let i = 0; i < entries.length; i++) put.run(entries[i][0], entries[i][1]);
    });
    return {
      put: (key, value) => { put.run(key, value); },
      settled: () => undefined,
      putMany,
      putDurable: (key, value) => { put.run(key, value); },
      putGroupDurable: putMany,
      get: (key) => get.get(key),
      scan: (visit) => {
        for (let rows = page.all(''); rows.length > 0; rows = page.all(rows.at(-1)[0])) {
          for (let i = 0; i < rows.length; i++) visit(rows[i][0], rows[i][1]);
        }
      },
      close: () => db.close(),
    };
  },
};

const level = {
  keyOf: textOf,
  installed: () => peer('classic-level') !== undefined,
  async open(path) {
    const { ClassicLevel } = peer('classic-level');
    const db = new ClassicLevel(path, {
      keyEncoding: 'utf8', valueEncoding: 'buffer', compression: false, cacheSize: CACHE_BYTES,
    });
    await db.open();
    let pending = [];
    const putRun = (entries, from, options) => {
      const batch = db.batch();
      for (let i = from; i < entries.length && i < from + RUN; i++) batch.put(entries[i][0], entries[i][1]);
      return batch.write(options);
    };
    return {
      put: (key, value) => { pending.push(db.put(key, value)); },
      settled: () => {
        const all = Promise.all(pending);
        pending = [];
        return all;
      },
      putMany: async (entries) => {
        for (let i = 0; i < entries.length; i += RUN) await putRun(entries, i, {});
      },
      putDurable: (key, value) => db.put(key, value, { sync: true }),
      putGroupDurable: (entries) => putRun(entries, 0, { sync: true }),
      get: (key) => db.getSync(key),
      scan: async (visit) => {
        const iterator = db.iterator();
        for (let run = await iterator.nextv(RUN); run.length > 0; run = await iterator.nextv(RUN)) {
          for (let i = 0; i < run.length; i++) visit(run[i][0], run[i][1]);
        }
        await iterator.close();
      },
      // Out of the log, which is checked, into the tables, out of which all reads come in the long run.
      intoTables: () => db.compactRange('\0', '\x7f'),
      close: () => db.close(),
    };
  },
};

const byHand = {
  keyOf: textOf,
  installed: () => peer('crc-32/crc32c') !== undefined,
  async open(path) {
    mkdirSync(path, { recursive: true });
    const store = new HandBitcask(join(path, 'file'), peer('crc-32/crc32c').buf);
    const putMany = (entries) => {
      for (let i = 0; i < entries.length; i++) store.put(entries[i][0], entries[i][1]);
    };
    return {
      put: (key, value) => store.put(key, value),
      settled: () => store.flush(),
      putMany: (entries) => {
        putMany(entries);
        store.flush();
      },
      putDurable: (key, value) => {
        store.put(key, value);
        store.sync();
      },
      putGroupDurable: (entries) => {
        putMany(entries);
        store.sync();
      },
      get: (key) => store.get(key),
      getView: (key) => store.getView(key),
      scan: (visit) => { for (const [key, value] of store.entries()) visit(key, value); },
      close: async () => store.close(),
    };
  },
};

export const ENGINES = {
  'varve': varveWith('binary', bytesOf),
  'varve, string keys': varveWith('utf8', textOf),
  'varve, blocking': varveBlocking,
  lmdb,
  'better-sqlite3': sqlite,
  'classic-level': level,
  'bitcask by hand': byHand,
};

/** What can be run of these names; of each engine that cannot, a note. */
export function present(names) {
  const absent = names.filter((name) => !ENGINES[name].installed());
  return {
    names: names.filter((name) => !absent.includes(name)),
    notes: absent.length === 0 ? [] : [`left out, not there: ${absent.join(', ')}`],
  };
}
