/**
 * `varve import dwal` that is killed at random moments: what was in the log before is there, whole batches of the
 * import follow it and nothing else, and importing again works or is refused as the manual says.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordLog } from '../../host/index.ts';
import { ended, start, varve } from '../support/cli.ts';
import { frame } from '../support/dwal.ts';
import { LAB, pause, temporary } from '../support/processes.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { until } from '../support/real-storage.ts';
import { newTally, scaled } from '../support/tally.ts';

const SEED = seedFromEnvironment() ?? 20240611;
/** Kills that must have left a part of the import, and how many there may be for that. */
const PARTS_MIN = scaled(3);
const KILLS_MAX = scaled(100);
const RECORDS = 800;
const RECORD_BYTES = 40000;
/** An import appends runs of at most 1 MiB, each an atomic batch. */
const RUN_RECORDS = Math.floor((1 << 20) / RECORD_BYTES);
const BEFORE = ['mine', 'also mine', 'mine too'];

const tally = newTally('killed import');
afterAll(() => { tally.report(); });

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

function payloadOf(txid: number): Buffer {
  return Buffer.alloc(RECORD_BYTES, `record ${txid};`);
}

function makeSource(): string {
  const source = place.file('source');
  mkdirSync(source);
  writeFileSync(place.file('source', '00000001.dwal'), Buffer.concat(
    Array.from({ length: RECORDS }, (_, i) => frame({ txid: i + 1, payload: payloadOf(i + 1) }))));
  return source;
}

/** Checks a log that an import of all records was killed in; returns how many it has come to. */
function imported(directory: string, before: readonly string[], readOnly: boolean): number {
  using log = RecordLog.openSync(directory, { readOnly });
  const records = [...log.scan()];
  for (const { lsn, payload } of records) {
    const expected = lsn <= before.length ? Buffer.from(before[lsn - 1]!) : payloadOf(lsn - before.length);
    if (Buffer.compare(payload, expected) !== 0) expect.fail(`record ${lsn} is another one`);
  }
  const count = records.length - before.length;
  expect(count).toBeGreaterThanOrEqual(0);
  expect(count === RECORDS || count % RUN_RECORDS === 0, `${count} records were imported`).toBe(true);
  // What a batch that was killed has left is cut by the next writer.
  expect(readOnly ? ['ok', 'torn'] : ['ok']).toContain(log.check().outcome);
  return count;
}

describe('an import that is killed', () => {
  it.each([
    ['into a new log', [], []],
    ['into a log that holds records', BEFORE, ['--append']],
  ])('%s leaves whole batches, and can be done again', { timeout: 60_000 * LAB }, async (_, before, flags) => {
    const random = new Random(SEED);
    const source = makeSource();
    const directory = place.file('log');
    const args = ['import', 'dwal', source, directory, '--segment-size', '4M', ...flags];
    const fresh = async () => {
      rmSync(directory, { recursive: true, force: true });
      if (before.length === 0) return;
      // So small that the import begins with a segment of its own.
      await using log = await RecordLog.open(directory, { segmentBytes: 65536 });
      log.appendBatch(before);
    };
    /** Begins an import and waits until it touches the log. */
    const begin = async () => {
      await fresh();
      const child = start(args);
      const end = ended(child);
      const begun = place.file('log', before.length === 0 ? 'LOCK' : '00000000000000000004.seg');
      let over = false;
      void end.then(() => { over = true; });
      await until(() => over || existsSync(begun));
      return { child, end };
    };

    // How long it takes says no more than which moments there are to choose from.
    const first = await begin();
    const since = performance.now();
    expect((await first.end).code).toBe(0);
    const duration = performance.now() - since;
    expect(imported(directory, before, true)).toBe(RECORDS);

    let parts = 0;
    for (let kill = 0; kill < KILLS_MAX && parts < PARTS_MIN; kill++) {
      const { child, end } = await begin();
      await pause(random.integer(Math.ceil(duration)));
      child.kill('SIGKILL');
      const { signal } = await end;
      tally.count(signal === 'SIGKILL' ? 'faults.kill' : 'too late');
      // Where it had not come so far as to make a store, there is none.
      const made = existsSync(place.file('log', 'CONTROL'));
      const count = made ? imported(directory, before, true) : 0;
      if (made) expect(imported(directory, before, false)).toBe(count);
      parts += count > 0 && count < RECORDS ? 1 : 0;
      tally.add('records', count);
      const again = await varve(args);
      if (before.length > 0) {
        expect(again).toMatchObject({ code: 0 });
        using log = RecordLog.openSync(directory, { readOnly: true });
        expect(log.lastLsn).toBe(before.length + count + RECORDS);
      } else if (count === 0) {
        expect(again).toMatchObject({ code: 0 });
        expect(imported(directory, before, true)).toBe(RECORDS);
      } else {
        expect(again).toMatchObject({ code: 1, stdout: '' });
        expect(again.stderr).toMatch(/holds [\d,]+ records already\nhint: add --append/);
        expect(imported(directory, before, true)).toBe(count);
      }
    }
    tally.add('parts', parts);
    expect(parts, 'kills in the middle of an import').toBe(PARTS_MIN);
  });
});
