/**
 * Readers of a key-value store in other processes: they follow a million updates and two compactions, with gets and
 * iterations under way, without an error, and hold the same at the end; and they read where nobody may write.
 */
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyValueStore } from '../../host/index.ts';
import { Mounts } from '../support/mounts.ts';
import { cannot, LAB, listing, NOBODY, pause, start, SUPERUSER, temporary } from '../support/processes.ts';
import { newTally } from '../support/tally.ts';

interface Seen {
  gets: number; found: number; entries: number; iterations: number; overtaken: number; drops: number; wrong: string[];
  size: number; digest: string;
}
interface Report { compactions: number; dropped: number; size: number; digest: string }

const UPDATES = 1_000_000;
const tally = newTally('readers of key-value stores');
afterAll(() => { tally.report(); });

const mounts = new Mounts();
let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => {
  mounts.remove();
  chmodSync(place.path, 0o755);
  place.remove();
});

/** Values of a store with these keys, which is closed, or left by a process that is killed. */
async function leave(directory: string, end: 'closed' | 'killed'): Promise<Report> {
  const writer = start('kv-updater', [directory, 20_000]);
  expect(await writer.told()).toBe('open');
  const report = await writer.told() as Report;
  if (end === 'killed') writer.process.kill('SIGKILL');
  else writer.process.send('close');
  await writer.ended;
  return report;
}

describe('readers in other processes', () => {
  it('follow a million updates and two compactions, and end with the same', { timeout: 120_000 * LAB }, async () => {
    const directory = place.file('store');
    const writer = start('kv-updater', [directory, UPDATES]);
    expect(await writer.told()).toBe('open');
    const readers = [start('kv-follower', [directory, 12, 1 << 30]), start('kv-follower', [directory, 34, 4 << 20])];
    for (const reader of readers) expect(await reader.told()).toBe('open');
    const report = await writer.told() as Report;
    // With everything written, everything is the same for all.
    await pause(50);
    for (const reader of readers) reader.process.send('stop');
    const seen = await Promise.all(readers.map((reader) => reader.told())) as Seen[];
    writer.process.send('close');
    for (const child of [writer, ...readers]) expect(await child.ended).toEqual([0, null]);
    expect(report).toMatchObject({ compactions: 2 });
    expect(report.dropped).toBeGreaterThan(10);
    for (const each of seen) {
      expect(each.wrong.slice(0, 3)).toEqual([]);
      expect([each.size, each.digest]).toEqual([report.size, report.digest]);
      expect(each.gets).toBeGreaterThan(500);
      for (const name of ['gets', 'entries', 'iterations', 'overtaken', 'drops'] as const) tally.add(name, each[name]);
    }
    // One of them may have been busy with taking in alone.
    for (const name of ['gets', 'found', 'entries'] as const) {
      expect(seen.reduce((sum, each) => sum + each[name], 0), name).toBeGreaterThan(5000);
    }
  });

  it.for(['closed', 'killed'] as const)('read a store that was %s, where they may not write', async (end, context) => {
    const directory = place.file('store');
    const report = await leave(directory, end);
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o444);
    chmodSync(directory, 0o555);
    chmodSync(place.path, 0o555);
    const before = listing(directory);
    const reader = start('kv-follower', [directory, 5, 65536], SUPERUSER ? { uid: NOBODY, gid: NOBODY } : {});
    const first = await reader.told().catch(() => undefined);
    if (first === undefined && SUPERUSER) return cannot(context, 'a user without rights cannot run the package here');
    await pause(200);
    reader.process.send('stop');
    const seen = await reader.told() as Seen;
    expect(await reader.ended).toEqual([0, null]);
    expect(seen.wrong).toEqual([]);
    expect([seen.size, seen.digest, seen.overtaken]).toEqual([report.size, report.digest, 0]);
    expect(listing(directory)).toEqual(before);
  });

  it.for(['closed', 'killed'] as const)('read one that was %s on a read-only file system', async (end, context) => {
    const reason = mounts.disk(place.file('disk'), 64 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const directory = place.file('disk', 'store');
    const report = await leave(directory, end);
    expect(mounts.makeReadOnly(place.file('disk'))).toBeUndefined();
    const before = listing(directory);
    const store = await KeyValueStore.open<string, string>(directory, { readOnly: true, values: 'utf8' });
    expect([store.size, [...store.keys()].length]).toEqual([report.size, report.size]);
    expect(store.recovery.keydir).toBe(end === 'closed' ? 'loaded' : 'rebuilt');
    await expect(KeyValueStore.open(directory)).rejects.toMatchObject({ code: 'ERR_VARVE_IO', details: { errno: 'EROFS' } });
    await store.close();
    expect(listing(directory)).toEqual(before);
  });
});
