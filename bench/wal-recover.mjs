/**
 * Recovering a group of four cores with 250,000 entries each, of a key of 8 B and a value of 64 B, in 50 epochs:
 * nanoseconds an entry for all of it - finding the checkpoint, the plan over the headers, reading, checking and merging
 * in the order (epoch, sequence, core).
 *
 * The group is opened before; measured is from `recover` to the last entry, of which core, epoch, sequence and kind are
 * looked at, and in a second group of rows key and value too. The program that WalGroup succeeds took 305 ns to read an
 * entry and 458 to merge it, for four times 100,000 entries, all in memory. The third group is the memory that a merge
 * takes: heap and buffers of the process at their most while it reads a log, and one that is eight times as long. The
 * result is a sum over all entries.
 */
import { WalGroup } from '../dist/esm/index.js';
import { compare, rowOf } from './lib/measure.mjs';
import { fold, insist } from './lib/payloads.mjs';
import { timedLater } from './lib/places.mjs';

export const title = 'write-ahead log group: recovery';

const CORES = 4;
const EPOCHS = 50;
const VALUE_BYTES = 64;

export function parameters(smoke) {
  return { cores: CORES, entriesEach: smoke ? 300 : 250_000, epochs: EPOCHS, valueBytes: VALUE_BYTES };
}

export async function run({ places, smoke, ...rest }) {
  const { entriesEach } = parameters(smoke);
  const path = places.fresh('recover');
  const total = await fill(path, entriesEach);
  const group = await WalGroup.open(path);
  const rows = [
    ...await compare(rest, 'read and merge', [
      { who: 'varve', unit: 'ns', floors: [{ atMost: 200 }], run: () => recovered(group, total, numbers) },
    ]),
    ...await compare(rest, 'with key and value', [
      { who: 'varve', unit: 'ns', run: () => recovered(group, total, bytes) },
    ]),
  ];
  await group.close();
  const long = places.fresh('long');
  await fill(long, entriesEach * 8);
  rows.push(rowOf({ group: 'heap and buffers', who: 'this log', unit: 'MiB', values: [await memoryAtMost(path)] }));
  rows.push(rowOf({ group: 'heap and buffers', who: '8 times as long', unit: 'MiB', values: [await memoryAtMost(long)] }));
  return { rows };
}

async function fill(path, entriesEach) {
  const group = await WalGroup.create(path, { cores: CORES });
  const writers = Array.from({ length: CORES }, (_, core) => group.writer(core));
  const value = Buffer.alloc(VALUE_BYTES, 7);
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (let i = 0; i < entriesEach / EPOCHS; i++) {
      for (const writer of writers) writer.put(`key-${String(i % 10_000).padStart(4, '0')}`, value);
    }
    await group.barrierAll();
  }
  await group.close();
  return CORES * (entriesEach + EPOCHS);
}

async function recovered(group, total, pass) {
  const { result, ns } = await timedLater(async () => pass((await group.recover()).entries()));
  insist('entries', result.count, total);
  return { value: ns / total, result: result.sum };
}

function numbers(entries) {
  let sum = 0;
  let count = 0;
  for (const { core, epoch, sequence, kind } of entries) {
    sum = (sum * 31 + core + epoch + sequence + kind) % 4294967296;
    count++;
  }
  return { sum, count };
}

function bytes(entries) {
  let sum = 0;
  let count = 0;
  for (const { key, value } of entries) {
    sum = fold(sum, value.length > 0 ? value : key);
    count++;
  }
  return { sum, count };
}

/** Memory of heap and buffers, in MiB, at its most while all entries are read. */
async function memoryAtMost(path) {
  const group = await WalGroup.open(path, { readOnly: true, mappedBytesMax: 0 });
  globalThis.gc?.();
  let most = 0;
  for (const { sequence } of (await group.recover()).entries()) {
    if (sequence % 256 === 0) most = Math.max(most, heapAndBuffers());
  }
  await group.close();
  return most / 2 ** 20;
}

function heapAndBuffers() {
  const { heapUsed, external } = process.memoryUsage();
  // All of the core's address space counts as external.
  return heapUsed + external % 2 ** 32;
}
