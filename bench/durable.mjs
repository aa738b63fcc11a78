/**
 * Making appends durable: microseconds until one record of 256 B is on disk, and millions of records a second where
 * 1,000 are appended and synced together.
 *
 * Single records: varve's append and sync, blocking and by promise, beside a positioned write of the same number of
 * bytes and fdatasync in a file preallocated by posix_fallocate, blocking, by callback and by promise. They take turns
 * record by record, so that all meet the same disk. A round gives the median and the 99th percentile of each.
 *
 * Groups: the log written by hand with fdatasync, classic-level with `sync: true`, lmdb with each transaction flushed.
 */
import {
  closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, promises, write, writeSync,
} from 'node:fs';
import { RecordLog } from '../dist/esm/index.js';
import { HandLog } from './lib/hand-log.mjs';
import { compare, quantile, rowOf } from './lib/measure.mjs';
import { expectedSum, fold, insist, payloadsOf } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'durable appends';

export function parameters(smoke) {
  return {
    payloadBytes: 256, singles: smoke ? 5 : 500, groups: smoke ? 2 : 50, recordsPerGroup: smoke ? 50 : 1000,
    preallocatedBytes: smoke ? 1 << 20 : 64 << 20,
  };
}

export async function run({ places, smoke, ...rest }) {
  const sizes = parameters(smoke);
  const { rows, notes } = await singles(places, sizes, rest);
  return { rows: [...rows, ...await grouped(places, sizes, rest)], notes };
}

// ---- one record at a time

/** Bytes of varve's frame around a payload of 256. */
const FRAME_BYTES = 280;

async function singles(places, { payloadBytes, singles: count, preallocatedBytes }, { rounds, warmups }) {
  const [payload] = payloadsOf(payloadBytes);
  const log = await RecordLog.open(places.fresh('singles'), { segmentBytes: preallocatedBytes });
  const files = await Promise.all([1, 2, 3].map(() => preallocated(places.fresh('plain'), preallocatedBytes)));
  const contenders = singleContenders(log, files.map(({ fd }) => fd), payload);
  const handle = await promises.open(files[2].path, 'r+');
  contenders.push(['by promise', 'FileHandle write + datasync', (i) => handle
    .write(contenders.frame, 0, FRAME_BYTES, i * FRAME_BYTES).then(() => handle.datasync())]);
  const laps = contenders.map(() => []);
  for (let round = 0; round < rounds + warmups; round++) {
    const taken = contenders.map(() => new Float64Array(count));
    for (let i = 0; i < count; i++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const at = (i + turn) % contenders.length;
        taken[at][i] = await latency(contenders[at], round * count + i);
      }
    }
    if (round >= warmups) taken.forEach((values, at) => laps[at].push(values));
  }
  insist('records', log.durableLsn, (rounds + warmups) * count * 2);
  for (const { fd } of files) closeSync(fd);
  await handle.close();
  await log.close();
  const notes = files.every(({ allocated }) => allocated) ? [] : ['koffi is missing: the plain files have holes'];
  return { rows: latencyRows(contenders, laps), notes };
}

function singleContenders(log, fds, payload) {
  const frame = new Uint8Array(FRAME_BYTES);
  frame.set(payload, FRAME_BYTES - payload.length);
  const list = [
    ['blocking', 'varve append + syncNow', () => {
      log.append(payload);
      log.syncNow();
    }],
    ['blocking', 'pwrite + fdatasync', (i) => {
      writeSync(fds[0], frame, 0, FRAME_BYTES, i * FRAME_BYTES);
      fdatasyncSync(fds[0]);
    }],
    ['by promise', 'varve append + sync', () => {
      log.append(payload);
      return log.sync();
    }],
    ['by promise', 'pwrite + fdatasync, callbacks', (i) => new Promise((resolve, reject) => {
      const done = (error) => (error === null ? resolve() : reject(error));
      write(fds[1], frame, 0, FRAME_BYTES, i * FRAME_BYTES, (error) => {
        if (error === null) fdatasync(fds[1], done);
        else reject(error);
      });
    })],
  ];
  list.frame = frame;
  return list;
}

/** Microseconds that one turn took; a contender that blocks is not awaited, which would cost it a turn of the loop. */
async function latency([group, , turn], i) {
  const begun = process.hrtime.bigint();
  if (group === 'blocking') turn(i);
  else await turn(i);
  return Number(process.hrtime.bigint() - begun) / 1e3;
}

function latencyRows(contenders, laps) {
  const rows = [];
  for (const [group, part] of [['blocking', 0.5], ['blocking', 0.99], ['by promise', 0.5], ['by promise', 0.99]]) {
    const members = contenders.map(([where, who], at) => ({ where, who, at })).filter(({ where }) => where === group);
    const values = members.map(({ at }) => laps[at].map((one) => quantile(one, part)));
    members.forEach(({ who }, i) => {
      const row = rowOf({
        group: `256 B, ${group}, p${part * 100}`, who, unit: 'µs', values: values[i], result: laps[0].length > 0,
      });
      const ratio = quantile(values[0].map((value, round) => value / values[i][round]), 0.5);
      if (i > 0) row.behind = 1 / ratio;
      else if (part === 0.5) {
        const actual = quantile(values[0].map((value, round) => value / values[1][round]), 0.5);
        row.floors = [{ text: `≤ 1.15 × ${members[1].who}`, actual, met: actual <= 1.15 }];
      }
      rows.push(row);
    });
  }
  return rows;
}

/** Makes a file whose blocks are allocated but not written. */
async function preallocated(path, bytes) {
  const fd = openSync(path, 'w+');
  try {
    const { default: koffi } = await import('koffi');
    const allocate = koffi.load(null).func('posix_fallocate', 'int', ['int', 'int64_t', 'int64_t']);
    if (allocate(fd, 0, bytes) === 0) return { path, fd, allocated: true };
  } catch {
    // Where the call does not exist, the file gets its length and no blocks.
  }
  ftruncateSync(fd, bytes);
  return { path, fd, allocated: false };
}

// ---- groups

function grouped(places, { payloadBytes, groups, recordsPerGroup }, rounds) {
  const payloads = payloadsOf(payloadBytes, recordsPerGroup);
  const work = { places, groups, payloads, records: groups * recordsPerGroup };
  work.sum = expectedSum(payloads, work.records);
  const [crc32c, level, lmdb] = ['crc-32/crc32c', 'classic-level', 'lmdb'].map(peer);
  return compare(rounds, `${recordsPerGroup} × 256 B + sync`, [
    { who: 'varve', unit: 'M/s', floors: [{ atLeast: 1.5 }], run: () => varve(work, (log) => {
      log.appendBatch(payloads);
      return log.sync();
    }) },
    // The log by hand blocks too: like is compared with like.
    { who: 'varve, blocking', unit: 'M/s', floors: [{ times: 1, of: 'log by hand' }], run: () => varve(work, (log) => {
      log.appendBatch(payloads);
      log.syncNow();
    }) },
    { who: 'varve one by one', unit: 'M/s', run: () => varve(work, (log) => {
      for (const payload of payloads) log.append(payload);
      return log.sync();
    }) },
    ...crc32c === undefined ? [] : [{ who: 'log by hand', unit: 'M/s', run: () => byHand(work, crc32c.buf) }],
    ...level === undefined ? [] : [{ who: 'classic-level', unit: 'M/s', run: () => byLevel(work, level) }],
    ...lmdb === undefined ? [] : [{ who: 'lmdb', unit: 'M/s', run: () => byLmdb(work, lmdb) }],
  ]);
}

/** Runs all groups within the clock, then reads everything back. */
async function timedGroups({ groups, records, sum }, group, readAll) {
  const { ns } = await timedLater(async () => {
    for (let i = 0; i < groups; i++) await group(i);
  });
  insist('sum', await readAll(), sum);
  return { value: records * 1e3 / ns, result: sum };
}

function varve(work, group) {
  return work.places.with('varve', async (path) => {
    const log = await RecordLog.open(path);
    const figure = await timedGroups(work, () => group(log), () => {
      let sum = 0;
      for (const { payload } of log.scan()) sum = fold(sum, payload);
      return sum;
    });
    insist('durable', log.durableLsn, work.records);
    await log.close();
    return figure;
  });
}

function byHand(work, crc32c) {
  return work.places.with('by-hand', async (path) => {
    const log = new HandLog(path, crc32c);
    const figure = await timedGroups(work, () => {
      for (const payload of work.payloads) log.append(payload);
      log.sync();
    }, () => {
      let sum = 0;
      log.scan((payload) => { sum = fold(sum, payload); });
      return sum;
    });
    log.close();
    return figure;
  });
}

function byLevel(work, { ClassicLevel }) {
  return work.places.with('level', async (path) => {
    const db = new ClassicLevel(path, { keyEncoding: 'view', valueEncoding: 'view', compression: false });
    await db.open();
    const figure = await timedGroups(work, (group) => {
      const first = group * work.payloads.length;
      return db.batch(work.payloads.map((value, at) => {
        const key = new Uint8Array(8);
        new DataView(key.buffer).setUint32(4, first + at);
        return { type: 'put', key, value };
      }), { sync: true });
    }, async () => {
      let sum = 0;
      for await (const value of db.values()) sum = fold(sum, value);
      return sum;
    });
    await db.close();
    return figure;
  });
}

function byLmdb(work, { open }) {
  return work.places.with('lmdb', async (path) => {
    const db = open({ path, encoding: 'binary', keyEncoding: 'uint32', compression: false, overlappingSync: false });
    const figure = await timedGroups(work, (group) => {
      const first = group * work.payloads.length;
      db.transactionSync(() => {
        for (let at = 0; at < work.payloads.length; at++) db.put(first + at, work.payloads[at]);
      });
    }, () => {
      let sum = 0;
      for (const { value } of db.getRange()) sum = fold(sum, value);
      return sum;
    });
    await db.close();
    return figure;
  });
}
