/**
 * A process that dies between any two system calls of opening, rotating, truncating and closing: whatever was appended
 * before is there, whole, and the next opening comes to the same end. Unlike killing at random moments, this repeats.
 */
import { cpSync, existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { Journal } from '../support/journal.ts';
import { start, temporary } from '../support/processes.ts';

/** More calls than any of the operations makes. */
const CALLS_MAX = 60;

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

/** Takes in what a child has noted; whether it came through opening. */
function takeIn(path: string, journal: Journal): boolean {
  const notes = readFileSync(path, 'utf8');
  rmSync(path);
  journal.apply(notes);
  return notes.startsWith('open');
}

/** Compares read-only, then recovers and compares again; returns what stands in the directory afterwards. */
function verify(directory: string, journal: Journal): string[] {
  if (!existsSync(directory)) return [];
  if (readdirSync(directory).some((name) => name !== 'LOCK')) {
    const reader = RecordLog.openSync(directory, { readOnly: true });
    journal.compare(reader);
    reader.closeSync();
  }
  const writer = RecordLog.openSync(directory, { segmentBytes: 65536 });
  journal.compare(writer);
  expect(writer.check().outcome).toBe('ok');
  const { segments } = writer.stats;
  writer.closeSync();
  const names = readdirSync(directory);
  expect(names.filter((name) => name.endsWith('.seg'))).toHaveLength(segments);
  return names;
}

/** Lets children die at the 1st, 2nd, 3rd … call, on the log that the ones before have left. */
async function dieAtEveryCall(what: string, when: 'before' | 'after', shift: number): Promise<number> {
  const directory = place.file(`log-${what}-${when}-${shift}`);
  const path = place.file(`journal-${what}-${when}-${shift}`);
  const journal = new Journal();
  for (let n = 1 + shift; n < CALLS_MAX; n += 2) {
    const child = start('doomed', [directory, path, what, n, when, journal.serial]);
    const [code, signal] = await child.ended;
    const opened = takeIn(path, journal);
    const done = code === 0 || (what === 'open' && opened);
    try {
      if (!done) expect(signal).toBe('SIGKILL');
      // An opening that was interrupted is followed by another one that is interrupted a little later.
      if (what !== 'open' || done) {
        const names = verify(directory, journal);
        expect(names.filter((name) => !/\.(seg|cut)$|^(CONTROL|LOCK)$/.test(name))).toEqual([]);
      }
    } catch (error) {
      (error as Error).message += ` [died ${when} call ${n} of ${what}]`;
      throw error;
    }
    if (done) return n;
  }
  return CALLS_MAX;
}

describe('a process that dies between two system calls', () => {
  it.each(['open', 'rotate', 'truncateAfter', 'truncateBefore', 'close'])('of %s leaves a whole log', async (what) => {
    const ends = [
      ...await Promise.all([dieAtEveryCall(what, 'before', 0), dieAtEveryCall(what, 'before', 1)]),
      ...await Promise.all([dieAtEveryCall(what, 'after', 0), dieAtEveryCall(what, 'after', 1)]),
    ];
    expect(Math.max(...ends)).toBeLessThan(CALLS_MAX);
    // Had nothing been counted, the first child would have come through.
    expect(Math.min(...ends)).toBeGreaterThan(2);
  });

  it.each([3, 6, 9])('of recovering what dying at call %i of a truncation has left, leaves a whole log', async (stage) => {
    const directory = place.file('log');
    const path = place.file('journal');
    const first = start('doomed', [directory, path, 'truncateAfter', stage, 'after', 0]);
    expect(await first.ended).toEqual([null, 'SIGKILL']);
    const notes = readFileSync(path, 'utf8');

    const dieAt = async (n: number): Promise<boolean> => {
      const copy = { log: place.file(`log-${n}`), path: place.file(`journal-${n}`) };
      cpSync(directory, copy.log, { recursive: true });
      const journal = new Journal();
      journal.apply(notes);
      const child = start('doomed', [copy.log, copy.path, 'open', n, 'after', journal.serial]);
      await child.ended;
      const opened = readFileSync(copy.path, 'utf8').startsWith('open');
      if (!opened) verify(copy.log, journal);
      rmSync(copy.log, { recursive: true });
      return opened;
    };
    let n = 1;
    while (n < CALLS_MAX && !(await Promise.all([dieAt(n), dieAt(n + 1)])).includes(true)) n += 2;
    expect(n).toBeGreaterThan(2);
    expect(n).toBeLessThan(CALLS_MAX);
  });
});
