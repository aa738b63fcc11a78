/**
 * Writes so many updates to a key-value store, with a compaction in their midst and one at the end, beside whom others
 * read; then says what it holds.
 *
 * Arguments: directory, how many updates.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { KeyValueStore } from '../../../dist/esm/index.js';
import { integers } from './records.mjs';

const [directory, updates] = process.argv.slice(2);
const below = integers(4711);
const store = KeyValueStore.openSync(directory, { values: 'utf8', segmentBytes: 1 << 20, autoCompact: false });
const report = { puts: 0, deletes: 0, batches: 0, compactions: 0, dropped: 0 };
process.on('disconnect', () => process.exit());
process.send('open');
let compacting = Promise.resolve();

function compact() {
  compacting = store.compact().then(({ segments }) => {
    report.compactions++;
    report.dropped += segments;
  });
}

for (let serial = 1; serial <= Number(updates); serial++) {
  const key = `key ${below(20000)}`;
  const value = `${serial}:${key}:${'.'.repeat(serial % 50)}`;
  const what = below(100);
  if (what < 80) {
    store.put(key, value);
    report.puts++;
  } else if (what < 90) {
    store.delete(key);
    report.deletes++;
  } else {
    store.batch([{ type: 'put', key, value }, { type: 'delete', key: `key ${below(20000)}` }]);
    report.batches++;
  }
  if (serial === Math.floor(updates / 2)) compact();
  if (serial % 2000 === 0) await setImmediate();
}
await compacting;
compact();
await compacting;
const hash = createHash('sha256');
for (const [key, value] of [...store].sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${key}\n${value}\n`);
process.send({ ...report, size: store.size, digest: hash.digest('hex') });
process.on('message', async () => {
  await store.close();
  process.disconnect();
});
