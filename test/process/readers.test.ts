/**
 * Readers in other processes beside a writer that appends, rotates, truncates, closes and opens again: they see what
 * was appended and nothing else, and never die; and they change nothing, even where they could.
 */
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { cannot, LAB, listing, NOBODY, pause, start, SUPERUSER, temporary } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';

interface Seen {
  reads: number; scanned: number; followed: number; overtaken: number; shrinks: number; cutsSeen: number;
  openings: number; wrong: string[];
}
interface Tally {
  appended: number; large: number; cuts: number; drops: number; rotations: number; openings: number; lastLsn: number;
}

const SEED = seedFromEnvironment() ?? 20240609;
/** Writers that are killed one after the other. */
const LIVES = scaled(12);

const tally = newTally('readers beside writers');
afterAll(() => { tally.report(); });

/** Counts what a reader has checked. */
function note(seen: Seen): void {
  for (const name of ['reads', 'scanned', 'followed'] as const) tally.add('records', seen[name]);
  tally.add('cuts seen', seen.cutsSeen);
}

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => {
  chmodSync(place.path, 0o755);
  place.remove();
});

describe('readers beside a writer', () => {
  it('see only what was appended, whatever the writer does, and never die', { timeout: 30_000 * LAB }, async () => {
    const directory = place.file('log');
    const writer = start('busy-writer', [directory, 4711]);
    expect(await writer.told()).toBe('open');
    const readers = [
      start('reader', [directory, 12, 1 << 30]),
      // Nothing but what is being read stays mapped.
      start('reader', [directory, 34, 0]),
    ];
    for (const reader of readers) expect(await reader.told()).toBe('open');
    await pause(4000 * LAB);
    for (const reader of readers) reader.process.send('stop');
    const seen = await Promise.all(readers.map((reader) => reader.told())) as Seen[];
    writer.process.send('stop');
    const tally = await writer.told() as Tally;
    for (const child of [writer, ...readers]) expect(await child.ended).toEqual([0, null]);

    for (const each of seen) {
      note(each);
      expect(each.wrong.slice(0, 5)).toEqual([]);
      expect(each.reads).toBeGreaterThan(100);
      expect(each.scanned).toBeGreaterThan(100);
      expect(each.followed).toBeGreaterThan(100);
      expect(each.shrinks).toBeLessThanOrEqual(tally.cuts);
    }
    // Had the writer done little, this would show little.
    for (const count of Object.values(tally)) expect(count).toBeGreaterThan(3);
    const log = await RecordLog.open(directory, { readOnly: true });
    expect(log.lastLsn).toBe(tally.lastLsn);
    expect(log.check().outcome).toBe('ok');
    await log.close();
  });

  it('see a log that only grows or is cut, while one writer after the other is killed', { timeout: 30_000 * LAB }, async () => {
    const directory = place.file('log');
    const random = new Random(SEED);
    const readers: Child[] = [];
    for (let life = 0; life < LIVES; life++) {
      // Each life counts its cuts from a number that none before has reached.
      const writer = start('busy-writer', [directory, random.next(), life * 10000]);
      expect(await writer.told()).toBe('open');
      if (life === 0) readers.push(start('reader', [directory, 56, 1 << 30]), start('reader', [directory, 78, 0]));
      await pause(random.integer(250));
      writer.process.kill('SIGKILL');
      expect(await writer.ended).toEqual([null, 'SIGKILL']);
      tally.count('faults.kill');
      // Some readers look at what a dead writer has left.
      await pause(random.integer(40));
    }
    for (const reader of readers) {
      expect(await reader.told()).toBe('open');
      reader.process.send('stop');
      const seen = await reader.told() as Seen;
      expect(await reader.ended).toEqual([0, null]);
      note(seen);
      expect(seen.wrong.slice(0, 5), `VARVE_SEED=${SEED}`).toEqual([]);
      expect(seen.reads).toBeGreaterThan(100);
      expect(seen.followed).toBeGreaterThan(100);
      expect(seen.cutsSeen).toBeGreaterThan(0);
    }
  });

  it('work where they may not write, and leave names, sizes and times of all files alone', async (context) => {
    const directory = place.file('log');
    const writer = start('busy-writer', [directory, 99]);
    await writer.told();
    await pause(300);
    writer.process.send('stop');
    await writer.told();
    expect(await writer.ended).toEqual([0, null]);
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o444);
    chmodSync(directory, 0o555);
    chmodSync(place.path, 0o555);
    const before = listing(directory);

    const reader = start('reader', [directory, 5, 65536], SUPERUSER ? { uid: NOBODY, gid: NOBODY } : {});
    const first = await reader.told().catch(() => undefined);
    if (first === undefined && SUPERUSER) return cannot(context, 'a user without rights cannot run the package here');
    await pause(200);
    reader.process.send('stop');
    const seen = await reader.told() as Seen;
    expect(await reader.ended).toEqual([0, null]);
    expect(seen.wrong).toEqual([]);
    expect(seen.reads).toBeGreaterThan(0);
    expect(seen.overtaken).toBe(0);
    expect(listing(directory)).toEqual(before);
  });

  it('of a log whose writer died change nothing either, and see what recovery will keep', async () => {
    const directory = place.file('log');
    const writer = start('busy-writer', [directory, 7]);
    await writer.told();
    await pause(200);
    writer.process.kill('SIGKILL');
    await writer.ended;
    const before = listing(directory);
    const reader = await RecordLog.open(directory, { readOnly: true });
    const lsns = [...reader].map(({ lsn, payload }) => `${lsn} ${Buffer.from(payload).toString()}`);
    expect(listing(directory)).toEqual(before);
    const recovered = await RecordLog.open(directory);
    // A truncation that was interrupted is finished by recovery alone.
    const kept = [...recovered].map(({ lsn, payload }) => `${lsn} ${Buffer.from(payload).toString()}`);
    expect(lsns.slice(0, kept.length)).toEqual(kept);
    if (recovered.recovery.outcome !== 'truncate') expect(lsns).toEqual(kept);

    // The reader stays with its records when another writer takes over, and sees what that one appends.
    recovered.append('the next');
    expect(Buffer.from(reader.read(reader.lastLsn).payload).toString()).toBe('the next');
    expect(reader.lastLsn).toBe(recovered.lastLsn);
    await recovered.close();
    await reader.close();
  });
});
