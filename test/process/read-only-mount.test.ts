/**
 * Readers on a file system that they may only read, beside a writer for whom it is an ordinary one, and without any.
 */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { Mounts } from '../support/mounts.ts';
import { cannot, LAB, listing, pause, start, temporary } from '../support/processes.ts';

interface Seen { reads: number; scanned: number; followed: number; cutsSeen: number; wrong: string[] }

const mounts = new Mounts();
let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => {
  mounts.remove();
  place.remove();
});

describe('readers on a file system that can only be read', () => {
  it('follow a writer that has the same directory at another place', async (context) => {
    const directory = place.file('log');
    const writer = start('busy-writer', [directory, 4712]);
    expect(await writer.told()).toBe('open');
    const shown = place.file('shown');
    const reason = mounts.readOnlyCopy(directory, shown);
    const readers = reason === undefined ? [start('reader', [shown, 12, 1 << 30]), start('reader', [shown, 34, 0])] : [];
    for (const reader of readers) expect(await reader.told()).toBe('open');
    if (reason === undefined) expect(() => writeFileSync(`${shown}/mine`, '')).toThrow('EROFS');
    await pause(1000 * LAB);
    for (const reader of readers) reader.process.send('stop');
    const seen = await Promise.all(readers.map((reader) => reader.told())) as Seen[];
    writer.process.send('stop');
    await writer.told();
    for (const child of [writer, ...readers]) expect(await child.ended).toEqual([0, null]);
    if (reason !== undefined) return cannot(context, reason);
    for (const { wrong, reads, scanned, followed, cutsSeen } of seen) {
      expect(wrong.slice(0, 5)).toEqual([]);
      // They saw it grow, and be cut.
      for (const count of [reads, scanned, followed]) expect(count).toBeGreaterThan(100);
      expect(cutsSeen).toBeGreaterThan(0);
    }
  });

  it.for(['closed', 'killed'])('read what a writer that was %s has left; writers are refused', async (end, context) => {
    const reason = mounts.disk(place.file('disk'), 16 << 20);
    if (reason !== undefined) return cannot(context, reason);
    const directory = place.file('disk', 'log');
    const owner = start('owner', [directory, 400]);
    expect(await owner.told()).toEqual({ lastLsn: 400 });
    if (end === 'killed') owner.process.kill('SIGKILL');
    else owner.process.send('close');
    await owner.ended;
    expect(mounts.makeReadOnly(place.file('disk'))).toBeUndefined();
    const before = listing(directory);
    const log = await RecordLog.open(directory, { readOnly: true });
    expect([...log].map(({ lsn }) => lsn)).toEqual(Array.from({ length: 400 }, (_, i) => i + 1));
    expect(log.read(400, { view: true }).lsn).toBe(400);
    const follower = log.follow({ from: 400 });
    expect((await follower.next()).value!.lsn).toBe(400);
    await expect(RecordLog.open(directory)).rejects.toMatchObject({ code: 'ERR_VARVE_IO', details: { errno: 'EROFS' } });
    await log.close();
    expect(listing(directory)).toEqual(before);
  });
});
