/**
 * Makes the fixture of a write-ahead log group in the current format version, once, when a version is new:
 * `node scripts/wal-format-fixture.mjs DIR`. Fixtures of versions that have been published are never made again.
 *
 * Two cores with entries of all kinds, a checkpoint at the end of epoch 1, epoch 2 complete, and one entry behind it.
 * test/wal/format-fixture.test.ts says what must be read.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { WalGroup } from '../dist/esm/index.js';

const target = process.argv[2];
if (target === undefined) throw new Error('usage: node scripts/wal-format-fixture.mjs DIR');
const group = await WalGroup.create(target, { cores: 2, segmentBytes: 65536, now: () => 1_700_000_000_000 });
const [first, second] = [group.writer(0), group.writer(1)];

first.put('17', '300');
second.put('18', '75');
second.put('19', '12');
first.commit({ orders: 240 }, 1_699_999_999_000);
await group.checkpoint({
  state: JSON.stringify({ 17: 300, 18: 75, 19: 12 }), offsets: { orders: 240 }, watermark: 1_699_999_999_000,
});

first.put('17', '250');
second.delete('19');
second.checkpoint(7);
second.append(40, 'note', Uint8Array.of(0, 255, 1));
first.commit({ orders: 250, payments: 2n ** 63n }, 1_700_000_000_000);
second.commit({ orders: 245 });
await group.barrierAll();
second.put('20', '');
await group.close();

for (const directory of ['', 'core-0000', 'core-0001']) rmSync(join(target, directory, 'LOCK'), { force: true });
