/**
 * A writer that is stopped (SIGSTOP) in the middle of whatever it is doing: readers go on reading all that is
 * committed, nothing of them waits for it, and others can begin to read. Then it goes on as if nothing had been.
 */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { Journal } from '../support/journal.ts';
import { LAB, pause, start, temporary, untilStopped } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import type { Child } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';

const SEED = seedFromEnvironment() ?? 20240608;
const STOPS = scaled(25);

const tally = newTally('stopped writer');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
let victim: Child;
beforeEach(() => { place = temporary(); });
afterEach(() => {
  // A stopped process would outlive a test that has failed.
  victim.process.kill('SIGKILL');
  place.remove();
});

/** What a journal that is still being written holds so far; only the lines that were not read before. */
class Notes {
  private readonly path: string;
  private taken = 0;

  constructor(path: string) {
    this.path = path;
  }

  next(): string {
    const bytes = readFileSync(this.path);
    const end = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.toString('utf8', this.taken, end);
    this.taken = end;
    return lines;
  }
}

describe('a writer that is stopped at random moments', () => {
  // Each has a way of its own: into the mapping, from a stage, and by a new file in the place of the old one.
  const timeout = 30_000 * LAB;
  it.each(['append', 'batch', 'large', 'truncateAfter'])('in %s holds up no reader', { timeout }, async (focus) => {
    const random = new Random(SEED);
    const directory = place.file('log');
    victim = start('victim', [directory, place.file('journal'), random.next(), 0, focus]);
    const pid = victim.process.pid!;
    await victim.told();
    await victim.told();
    const journal = new Journal();
    const notes = new Notes(place.file('journal'));
    const old = await RecordLog.open(directory, { readOnly: true });
    let hits = 0;
    for (let stop = 0; stop < STOPS || hits < 3; stop++) {
      await pause(random.integer(15));
      victim.process.kill('SIGSTOP');
      await untilStopped(pid);
      journal.apply(notes.next());
      const { underWay } = journal;
      hits += underWay === focus ? 1 : 0;
      tally.count('faults.stop');
      tally.count(`stopped in ${underWay}`);
      // All that has returned is there, and nothing else, for a reader that was there before and for a new one.
      const young = RecordLog.openSync(directory, { readOnly: true });
      for (const reader of [old, young]) {
        // Until a truncation is over, a reader that has seen it begin stays with what it knew.
        if (reader === old && underWay === 'truncateAfter') expect([...reader]).toHaveLength(reader.length);
        else journal.compare(reader);
        if (reader.length > 0) expect(reader.read(reader.lastLsn).lsn).toBe(reader.lastLsn);
      }
      young.closeSync();
      victim.process.kill('SIGCONT');
    }
    tally.add('records', journal.compared);
    expect(journal.returned).toBeGreaterThan(STOPS);
    await old.close();
    victim.process.kill('SIGKILL');
    expect(await victim.ended).toEqual([null, 'SIGKILL']);
    journal.apply(notes.next());
    const recovered = await RecordLog.open(directory);
    journal.compare(recovered);
    expect(recovered.check().outcome).toBe('ok');
    await recovered.close();
  });
});
