/**
 * Reading records by random LSN out of 1 M records of 256 B, all in the page cache: nanoseconds a read.
 *
 * Measured is a loop over LSNs that were drawn before. varve finds the frame by its LSN index, checks its checksum and
 * gives key and payload as copies, or as views, or by a reference from `refOf` that skips the index. Beside it:
 * `fs.readSync` of the same bytes at an offset that is already known, alone and with a checksum by the package crc-32,
 * and lmdb, which checks no checksum. All read the same records, so their results are the same.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { RecordLog } from '../dist/esm/index.js';
import { compare } from './lib/measure.mjs';
import { fold, insist, payloadsOf, randomNumbers, RING } from './lib/payloads.mjs';
import { peer } from './lib/peers.mjs';
import { timed } from './lib/places.mjs';

export const title = 'read by random LSN';

export function parameters(smoke) {
  return { records: smoke ? 300 : 1_000_000, reads: smoke ? 300 : 1_000_000, payloadBytes: 256 };
}

export async function run({ places, smoke, ...rest }) {
  const { records, reads, payloadBytes } = parameters(smoke);
  const payloads = payloadsOf(payloadBytes);
  const random = randomNumbers(7);
  const lsns = Float64Array.from({ length: reads }, () => 1 + random() % records);
  let expected = 0;
  for (const lsn of lsns) expected = fold(expected, payloads[(lsn - 1) % RING]);
  const work = { lsns, records, payloads, payloadBytes };
  const measured = (pass) => () => {
    const { result, ns } = timed(pass);
    insist('sum', result, expected);
    return { value: ns / reads, result };
  };

  return places.with('read', async (path) => {
    const log = await filledLog(path, work);
    const refs = Array.from(lsns.subarray(0, Math.min(reads, 1e5)), (lsn) => log.refOf(lsn));
    const plain = filledFile(places.fresh('plain'), work);
    const lmdb = peer('lmdb') === undefined ? undefined : await filledLmdb(places.fresh('lmdb'), work, peer('lmdb'));
    const crc32c = peer('crc-32/crc32c');
    const rows = await compare(rest, `${payloadBytes} B`, [
      { who: 'varve', unit: 'ns', floors: [{ atMost: 700 }], run: measured(() => byLsn(log, lsns)) },
      { who: 'varve, views', unit: 'ns', run: measured(() => byView(log, lsns)) },
      { who: 'varve, references', unit: 'ns', run: () => byReference(log, refs) },
      { who: 'fs.readSync', unit: 'ns', run: measured(() => byOffset(plain, work, undefined)) },
      ...crc32c === undefined ? []
        : [{ who: 'fs.readSync + crc-32', unit: 'ns', run: measured(() => byOffset(plain, work, crc32c.buf)) }],
      ...lmdb === undefined ? [] : [{ who: 'lmdb', unit: 'ns', run: measured(() => byKey(lmdb, lsns)) }],
    ]);
    closeSync(plain);
    await lmdb?.close();
    await log.close();
    return { rows };
  });
}

async function filledLog(path, { records, payloads }) {
  const log = await RecordLog.open(path);
  for (let i = 0; i < records; i++) log.append(payloads[i % RING]);
  await log.close();
  return RecordLog.open(path);
}

function filledFile(path, { records, payloads }) {
  const fd = openSync(path, 'w+');
  const ring = Buffer.concat(payloads);
  for (let i = 0; i < records; i += RING) {
    writeSync(fd, ring, 0, Math.min(RING, records - i) * payloads[0].length);
  }
  return fd;
}

async function filledLmdb(path, { records, payloads }, { open }) {
  const db = open({ path, encoding: 'binary', keyEncoding: 'uint32', compression: false, noSync: true });
  db.transactionSync(() => {
    for (let i = 0; i < records; i++) db.put(i + 1, payloads[i % RING]);
  });
  return db;
}

function byLsn(log, lsns) {
  let sum = 0;
  for (let i = 0; i < lsns.length; i++) sum = fold(sum, log.read(lsns[i]).payload);
  return sum;
}

function byView(log, lsns) {
  const options = { view: true };
  let sum = 0;
  for (let i = 0; i < lsns.length; i++) sum = fold(sum, log.read(lsns[i], options).payload);
  return sum;
}

/** Fewer records than the others read, because each needs a reference in memory; so it has a result of its own. */
function byReference(log, refs) {
  const { result, ns } = timed(() => {
    let sum = 0;
    for (let i = 0; i < refs.length; i++) sum = fold(sum, log.readRef(refs[i]).payload);
    return sum;
  });
  return { value: ns / refs.length, result };
}

function byOffset(fd, { lsns, payloads, payloadBytes }, crc32c) {
  const checksums = crc32c === undefined ? undefined : payloads.map((payload) => crc32c(payload));
  let sum = 0;
  for (let i = 0; i < lsns.length; i++) {
    const payload = new Uint8Array(payloadBytes);
    readSync(fd, payload, 0, payloadBytes, (lsns[i] - 1) * payloadBytes);
    if (checksums !== undefined) insist('checksum', crc32c(payload), checksums[(lsns[i] - 1) % RING]);
    sum = fold(sum, payload);
  }
  return sum;
}

function byKey(db, lsns) {
  let sum = 0;
  for (let i = 0; i < lsns.length; i++) sum = fold(sum, db.getBinary(lsns[i]));
  return sum;
}
