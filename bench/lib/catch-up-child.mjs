/**
 * A fresh reader process that reads the log in the directory of its first argument from the start, in each of the ways
 * that follow, and prints for each how long it took and the sum of what it saw. Neither the start of the process nor
 * the opening of the log is within.
 */
import { RecordLog } from '../../dist/esm/index.js';
import { fold } from './payloads.mjs';

/** Records of 256 B in a run of 64 KiB. */
const RUN_RECORDS = 234;
const [directory, ...ways] = process.argv.slice(2);
const log = await RecordLog.open(directory, { readOnly: true });
const count = log.length;

const WAYS = {
  scan() {
    let sum = 0;
    for (const { payload } of log.scan()) sum = fold(sum, payload);
    return sum;
  },
  /** As many records in an array as a run has: what a batch is, made by hand. */
  collected() {
    let sum = 0;
    let records = [];
    const take = () => {
      for (const { payload } of records) sum = fold(sum, payload);
      records = [];
    };
    for (const record of log.scan()) {
      records.push(record);
      if (records.length === RUN_RECORDS) take();
    }
    take();
    return sum;
  },
  async follow() {
    let sum = 0;
    let left = count;
    for await (const { payload } of log.follow()) {
      sum = fold(sum, payload);
      if (--left === 0) break;
    }
    return sum;
  },
  async batches() {
    let sum = 0;
    let left = count;
    for await (const records of log.follow().batches()) {
      for (const { payload } of records) sum = fold(sum, payload);
      left -= records.length;
      if (left === 0) break;
    }
    return sum;
  },
};

const taken = [];
for (const way of ways) {
  const begun = process.hrtime.bigint();
  const sum = await WAYS[way]();
  taken.push({ way, sum, ns: Number(process.hrtime.bigint() - begun) });
}
console.log(JSON.stringify(taken));
await log.close();
