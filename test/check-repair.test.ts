/**
 * What `check` says of a damaged log and what `repair` makes of it. The rule that every case states: an undamaged
 * record keeps its LSN and its bytes, a damaged one is named, and a dry run says what the repair then does.
 */
import { describe, expect, it } from 'vitest';
import { VarveError } from '../host/errors/varve-error.ts';
import { CONTROL_MARKS_OFFSET, FRAMES_OFFSET } from '../host/generated/abi.ts';
import { RecordLog } from '../host/record-log/record-log.ts';
import { logFixture, type LogFixture } from './support/log-fixture.ts';
import { forEachSeed, type Random } from './support/random.ts';

const SEGMENT_BYTES = 65536;
const RECORDS = 4000;
const PAYLOAD = 'the contents of record ';

/** A closed log of some segments. */
async function filled(fixture: LogFixture): Promise<void> {
  const log = await fixture.open({ segmentBytes: SEGMENT_BYTES });
  for (let lsn = 1; lsn <= RECORDS; lsn++) log.append(`${PAYLOAD}${lsn}`);
  await log.close();
}

function flip(fixture: LogFixture, name: string, offset: number): void {
  fixture.tamper(name, offset, Uint8Array.of(fixture.bytes(name)[offset]! ^ 0x10));
}

const texts = (log: RecordLog): Map<number, string> =>
  new Map([...log.scan()].map(({ lsn, payload }) => [lsn, Buffer.from(payload).toString()]));

/** Repairs, and checks all that must hold of any repair; returns the LSNs that were given up. */
async function repaired(fixture: LogFixture): Promise<Set<number>> {
  const options = fixture.options({ segmentBytes: SEGMENT_BYTES });
  const before = fixture.names();
  const planned = await RecordLog.repair(fixture.directory, { ...options, dryRun: true });
  expect(fixture.names(), 'a dry run changes nothing').toEqual(before);
  const done = await RecordLog.repair(fixture.directory, options);
  expect(done.lost).toEqual(planned.lost);
  expect(done.changed).toBe(true);
  const lost = new Set<number>();
  for (const { firstLsn, lastLsn } of done.lost) for (let lsn = firstLsn; lsn <= lastLsn; lsn++) lost.add(lsn);

  const log = await fixture.open({ segmentBytes: SEGMENT_BYTES });
  const found = texts(log);
  for (let lsn = log.firstLsn; lsn <= log.lastLsn; lsn++) {
    if (!lost.has(lsn)) expect(found.get(lsn)).toBe(`${PAYLOAD}${lsn}`);
    else expect(() => log.read(lsn)).toThrow(expect.objectContaining({ code: 'ERR_VARVE_RECORD_LOST' }));
  }
  expect(found.size).toBe([...found.keys()].filter((lsn) => !lost.has(lsn)).length);
  expect(log.check()).toMatchObject({ outcome: 'ok', damaged: [] });
  expect(log.append('after the repair')).toBe(log.lastLsn);
  await log.close();
  const again = await RecordLog.repair(fixture.directory, options);
  expect(again).toMatchObject({ changed: false, lost: [], cutBytes: 0 });
  return lost;
}

/** The LSNs that a check of the store as it stands names. */
function damagedLsns(fixture: LogFixture): Set<number> {
  const reader = fixture.openReader();
  const report = reader.check();
  const named = new Set<number>();
  for (const { lsn, records } of report.damaged) for (let i = 0; i < records; i++) named.add(lsn + i);
  if (named.size > 0) expect(report.outcome).toBe('corrupt');
  reader.closeSync();
  return named;
}

describe.each(['real', 'simulated'] as const)('on the %s disk', (kind) => {
  it('names a flipped byte and gives up that record alone', async () => {
    const fixture = logFixture(kind, 'simd');
    await filled(fixture);
    const [, second] = fixture.segmentNames();
    flip(fixture, second!, 20_000);
    const named = damagedLsns(fixture);
    expect(named.size).toBe(1);
    expect(await repaired(fixture)).toEqual(named);
    const cut = fixture.names().filter((name) => name.endsWith('.cut'));
    expect(cut).toHaveLength(1);
  });

  it('bridges a segment that is gone', async () => {
    const fixture = logFixture(kind, 'simd');
    await filled(fixture);
    const [, second, third] = fixture.segmentNames();
    const [from, to] = [Number(second!.slice(0, 20)), Number(third!.slice(0, 20)) - 1];
    fixture.remove(second!);
    await expect(fixture.open()).rejects.toMatchObject({ code: 'ERR_VARVE_CORRUPT', details: { lsn: from } });
    const named = damagedLsns(fixture);
    expect([Math.min(...named), Math.max(...named)]).toEqual([from, to]);
    expect(await repaired(fixture)).toEqual(named);
  });

  it('gives up what the last segment held when it is gone', async () => {
    const fixture = logFixture(kind, 'simd');
    await filled(fixture);
    const last = fixture.segmentNames().at(-1)!;
    const from = Number(last.slice(0, 20));
    fixture.remove(last);
    const named = damagedLsns(fixture);
    expect([Math.min(...named), Math.max(...named)]).toEqual([from, RECORDS]);
    const done = await RecordLog.repair(fixture.directory, fixture.options());
    expect(done).toMatchObject({ changed: true, lastLsn: from - 1, lost: [{ firstLsn: from, lastLsn: RECORDS }] });
    const log = await fixture.open();
    expect(texts(log).size).toBe(from - 1);
  });

  it('gives up what the first segment held when it is gone', async () => {
    const fixture = logFixture(kind, 'simd');
    await filled(fixture);
    const [first, second] = fixture.segmentNames();
    const to = Number(second!.slice(0, 20)) - 1;
    fixture.remove(first!);
    const named = damagedLsns(fixture);
    expect([Math.min(...named), Math.max(...named)]).toEqual([1, to]);
    expect(await repaired(fixture)).toEqual(named);
  });

  it('replaces a segment whose header is damaged and keeps the file', async () => {
    const fixture = logFixture(kind, 'simd');
    await filled(fixture);
    const [, second, third] = fixture.segmentNames();
    const [from, to] = [Number(second!.slice(0, 20)), Number(third!.slice(0, 20)) - 1];
    const size = fixture.bytes(second!).length;
    flip(fixture, second!, 50);
    const lost = await repaired(fixture);
    expect([Math.min(...lost), Math.max(...lost)]).toEqual([from, to]);
    const aside = fixture.names().filter((name) => name.endsWith('.cut'));
    expect(aside.map((name) => fixture.bytes(name).length)).toEqual([size]);
  });

  it('does without CONTROL', async () => {
    const fixture = logFixture(kind, 'simd');
    await filled(fixture);
    const [first] = fixture.segmentNames();
    fixture.remove('CONTROL');
    flip(fixture, first!, FRAMES_OFFSET + 30);
    const lost = await repaired(fixture);
    expect(lost).toEqual(new Set([1]));
  });
});

it('leaves a log alone that has nothing amiss', async () => {
  const fixture = logFixture('real', 'simd');
  await filled(fixture);
  const report = await RecordLog.repair(fixture.directory, fixture.options());
  expect(report).toMatchObject({ changed: false, lost: [], cutFiles: [], because: 'nothing was amiss' });
  expect(fixture.openReader().check()).toMatchObject({ outcome: 'ok', records: RECORDS });
});

it('repairs what random damage leaves, and loses no record that was not hit', async () => {
  await forEachSeed(25, async (random: Random) => {
    const fixture = logFixture('simulated', random.chance(0.5) ? 'simd' : 'baseline');
    await filled(fixture);
    const names = fixture.segmentNames();
    const flips = 1 + random.integer(5);
    for (let i = 0; i < flips; i++) {
      const name = random.pick(names);
      // Anywhere among the frames and in the index, but not in what says where they are.
      flip(fixture, name, FRAMES_OFFSET + random.integer(fixture.bytes(name).length - FRAMES_OFFSET - 64));
    }
    if (random.chance(0.3)) flip(fixture, 'CONTROL', CONTROL_MARKS_OFFSET + random.integer(48));
    const named = damagedLsns(fixture);
    expect(named.size).toBeLessThanOrEqual(flips * 2);
    if (named.size === 0) return;
    expect(await repaired(fixture)).toEqual(named);
  });
});

it('gives up a record in the midst of a batch, written after the log was opened again, and ends', async () => {
  const fixture = logFixture('simulated', 'simd');
  const first = await fixture.open();
  first.append(`${PAYLOAD}1`);
  await first.close();
  const log = await fixture.open();
  log.appendBatch([2, 3, 4].map((lsn) => `${PAYLOAD}${lsn}`));
  log.append(`${PAYLOAD}5`);
  log.syncNow();
  const { offset } = log.refOf(3);
  const crashed = fixture.afterCrash();
  flip(crashed, crashed.segmentNames()[0]!, offset + 24);
  expect(await repaired(crashed)).toEqual(new Set([3]));
});

it('refuses what is no store, and one that is open for writing', async () => {
  const fixture = logFixture('real', 'simd');
  await expect(RecordLog.repair(fixture.directory, fixture.options())).rejects.toSatisfy(
    (error) => VarveError.is(error, 'ERR_VARVE_NOT_FOUND'));
  const log = await fixture.open();
  log.append('held');
  await expect(RecordLog.repair(fixture.directory, fixture.options())).rejects.toMatchObject({
    code: 'ERR_VARVE_LOCKED', details: { pid: process.pid },
  });
});
