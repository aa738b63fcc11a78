/**
 * The merge of a group's logs: its order against a sort of everything, its bounds, what it says of damage, and how much
 * memory it takes.
 */
import fc from 'fast-check';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Kind, STORE_KIND_GROUP_CORE } from '../../host/generated/abi.ts';
import { repairLog } from '../../host/log/open.ts';
import type { WalEntry } from '../../host/wal/entry.ts';
import { WalMerge, type MergeSource } from '../../host/wal/merge.ts';
import { disposeNow, failure, logFixture, onEach, type LogFixture } from '../support/log-fixture.ts';
import { seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';
import { appendEntry, inOrder, notedOf, withCores, type Cores, type Noted } from '../support/wal-cores.ts';
import { play, stepsOn } from '../support/wal-steps.ts';

const tally = newTally('merges of logs against a sort');
afterAll(() => tally.report());

/** All that a merge gives, by runs. */
function allOf(merge: WalMerge): WalEntry[] {
  const all: WalEntry[] = [];
  for (let run = merge.nextRun(); run.length > 0; run = merge.nextRun()) all.push(...run);
  return all;
}

function readersOf(cores: Cores, noted: readonly (readonly Noted[])[], mappedBytesMax?: number): MergeSource[] {
  return noted.flatMap((list, core) => (list.length === 0 ? [] : [{ core, log: cores.reader(core, mappedBytesMax) }]));
}

/** Makes logs of puts, `rounds` for each core; what was appended, core by core. */
function puts(cores: Cores, count: number, rounds: number, options: {
  readonly valueBytes?: number; readonly segmentBytes?: number; readonly epochEvery?: number;
} = {}): Noted[][] {
  const { valueBytes = 16, segmentBytes = 65536, epochEvery = Infinity } = options;
  return Array.from({ length: count }, (_, core) => {
    const writer = cores.writer(core, segmentBytes);
    const noted = Array.from({ length: rounds }, (_, i) => {
      if (i > 0 && i % epochEvery === 0) writer.raiseEpoch(writer.epoch + 1);
      return appendEntry(writer, core, { kind: Kind.Put, key: `k${i}`, value: `${core}:${i} `.padEnd(valueBytes, '.') });
    });
    writer.closeNow();
    return noted;
  });
}

/** Flips a bit of the frame that stands at a position of a core whose log is one segment. */
function damage(fixture: LogFixture, cores: Cores, { core, position }: Noted, at = 30): void {
  const name = join(cores.name(core), '00000000000000000001.seg');
  const offset = position + 4096 + at;
  fixture.tamper(name, offset, Uint8Array.of(fixture.bytes(name)[offset]! ^ 1));
}

describe('the order of a merge', () => {
  it.each(['baseline', 'simd'] as const)('is that of a sort by epoch, sequence and core (%s core)', (variant) => {
    const seed = seedFromEnvironment();
    const history = fc.integer({ min: 1, max: 6 }).chain((count) => fc.tuple(fc.constant(count), stepsOn(count)));
    fc.assert(fc.property(history, fc.boolean(), ([count, steps], small) => {
      const fixture = logFixture('simulated', variant);
      withCores(fixture, (cores) => {
        const noted = play(cores, count, steps);
        const expected = inOrder(noted.flat()).filter(({ kind }) => kind !== Kind.Lost);
        const sources = readersOf(cores, noted, small ? 0 : Infinity).reverse();
        const merge = new WalMerge(sources);
        expect(allOf(merge).map(notedOf)).toEqual(expected);
        expect(merge.nextRun()).toEqual([]);
        expect(merge.next()).toEqual({ done: true, value: undefined });
        expect([...new WalMerge(sources)].map(notedOf)).toEqual(expected);
        for (const { core, entries, lost } of merge.tallies()) {
          expect(entries + lost).toBe(noted[core]!.length);
          expect(lost).toBe(noted[core]!.filter(({ kind }) => kind === Kind.Lost).length);
          tally.add('lost', lost);
        }
        tally.add('entries', expected.length);
        tally.count('histories');
      });
      disposeNow(fixture);
    }), { numRuns: scaled(120), ...seed === undefined ? {} : { seed } });
  });

  it('of one log alone is that of the log; of none, nothing', () => {
    withCores(logFixture('simulated', 'simd'), (cores) => {
      const [noted] = puts(cores, 1, 50);
      expect([...new WalMerge([{ core: 0, log: cores.reader(0) }])].map(notedOf)).toEqual(noted);
      expect([...new WalMerge([])]).toEqual([]);
      expect(new WalMerge([]).nextRun()).toEqual([]);
    });
  });

  it('does not change where clocks step back', () => {
    withCores(logFixture('simulated', 'simd'), (cores) => {
      const clocks = [[900n, 100n, 5n, 0n], [1n, 800n, 800n, 2n]];
      const noted = clocks.map((times, core) => {
        const writer = cores.writer(core);
        const list = times.map((timestamp) => appendEntry(writer, core, { kind: Kind.Put, key: 'k', timestamp }));
        writer.closeNow();
        return list;
      });
      const entries = [...new WalMerge(readersOf(cores, noted))];
      expect(entries.map(({ sequence, core }) => [sequence, core]))
        .toEqual([[1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [3, 1], [4, 0], [4, 1]]);
      expect(entries.map(({ timestamp }) => timestamp)).toEqual([900n, 1n, 100n, 800n, 5n, 800n, 0n, 2n]);
    });
  });

  it('holds for 1,024 cores', () => {
    withCores(logFixture('simulated', 'simd'), (cores) => {
      // A log's memory is too much to have 1,024 open at once in so small a core: each is read by many cursors.
      const noted = puts(cores, 8, 40, { epochEvery: 7 });
      const logs = noted.map((_, core) => cores.reader(core));
      const sources = Array.from({ length: 1024 }, (_, core) => ({ core, log: logs[core % 8]! }));
      const expected = inOrder(sources.flatMap(({ core }) => noted[core % 8]!.map((entry) => ({ ...entry, core }))));
      expect(allOf(new WalMerge(sources)).map(notedOf)).toEqual(expected);
    });
  });
});

onEach('a merge', (make) => {
  it('reads between bounds, which are fixed, beside a live writer', () => {
    const fixture = make();
    withCores(fixture, (cores) => {
      const writers = [0, 1].map((core) => cores.writer(core));
      const noted = writers.map((writer, core) => Array.from({ length: 3000 }, (_, i) =>
        appendEntry(writer, core, { kind: Kind.Put, key: `k${i}`, value: 'v'.repeat(80) })));
      fixture.refresh();
      const bounds = [{ from: 5, to: 2900 }, { from: 100, to: 3000 }];
      const merge = new WalMerge(bounds.map((bound, core) => ({ core, log: cores.reader(core), ...bound })));
      const got = merge.nextRun();
      for (const [core, writer] of writers.entries()) {
        for (let i = 0; i < 2000; i++) appendEntry(writer, core, { kind: Kind.Delete, key: `k${i}` });
      }
      fixture.refresh();
      got.push(...allOf(merge));
      const within = noted.flatMap((list, core) => list.slice(bounds[core]!.from - 1, bounds[core]!.to));
      expect(got.map(notedOf)).toEqual(inOrder(within));
    });
  });

  it('is told where a live writer cuts or drops what it was to read', () => {
    const fixture = make();
    withCores(fixture, (cores) => {
      const writers = [0, 1].map((core) => cores.writer(core));
      for (const [core, writer] of writers.entries()) {
        for (let i = 0; i < 3000; i++) appendEntry(writer, core, { kind: Kind.Put, key: `k${i}`, value: 'v'.repeat(80) });
      }
      fixture.refresh();
      const begun = () => {
        const merge = new WalMerge([0, 1].map((core) => ({ core, log: cores.reader(core) })));
        expect(merge.next().value!.sequence).toBe(1);
        return merge;
      };
      const [cut, own] = [begun(), new WalMerge(writers.map((log, core) => ({ core, log })))];
      own.next();
      writers[1]!.truncateAfter(2500);
      fixture.refresh();
      const error = failure('ERR_VARVE_TRUNCATED', () => allOf(cut));
      // It does not go on behind the gap.
      expect(failure('ERR_VARVE_TRUNCATED', () => cut.next())).toBe(error);
      failure('ERR_VARVE_TRUNCATED', () => allOf(own));
      const dropped = begun();
      writers[0]!.truncateBefore(2000);
      fixture.refresh();
      failure('ERR_VARVE_TRUNCATED', () => allOf(dropped));
    });
  });

  it('delivers what is intact, then names the damaged frame, and nothing behind it', () => {
    const fixture = make();
    withCores(fixture, (cores) => {
      const noted = puts(cores, 3, 300, { segmentBytes: 1 << 20 });
      const bad = noted[1]![150]!;
      damage(fixture, cores, bad);
      const place = { segment: 1, offset: bad.position + 4096, lsn: 151 };
      for (const way of ['next', 'nextRun'] as const) {
        const merge = new WalMerge(noted.map((_, core) => ({ core, log: cores.reader(core) })));
        const got: WalEntry[] = [];
        const read = () => {
          if (way === 'next') for (const entry of merge) got.push(entry);
          else for (let run = merge.nextRun(); run.length > 0; run = merge.nextRun()) got.push(...run);
        };
        const error = failure('ERR_VARVE_CORRUPT', read);
        expect(error.details).toMatchObject(place);
        expect(String(error.details['path'])).toContain(cores.name(1));
        expect(got.map(notedOf)).toEqual(inOrder(noted.flat()).slice(0, got.length));
        expect(got.at(-1)).toMatchObject({ core: 1, sequence: 150 });
        expect(failure('ERR_VARVE_CORRUPT', () => merge.nextRun())).toBe(error);
        merge.return();
        expect(merge.next().done).toBe(true);
      }
    });
  });

  it('passes over the placeholders of a repair, and counts them', () => {
    const fixture = make();
    withCores(fixture, (cores) => {
      const noted = puts(cores, 2, 200, { segmentBytes: 1 << 20 });
      for (const at of [0, 70, 71]) damage(fixture, cores, noted[0]![at]!);
      const report = repairLog(cores.context(0, false), {
        storeKind: STORE_KIND_GROUP_CORE, segmentBytes: 65536, mappedBytesMax: Infinity, create: false,
      });
      expect(report.lost.map(({ firstLsn, lastLsn }) => [firstLsn, lastLsn])).toEqual([[1, 1], [71, 72]]);
      const merge = new WalMerge(readersOf(cores, noted));
      const lost = noted[0]!.filter(({ sequence }) => [1, 71, 72].includes(sequence));
      const expected = inOrder(noted.flat()).filter((entry) => !lost.includes(entry));
      expect(allOf(merge).map(notedOf)).toEqual(expected);
      expect(merge.tallies()).toEqual([{ core: 0, entries: 197, lost: 3 }, { core: 1, entries: 200, lost: 0 }]);
    });
  });

  it('refuses what a log does not hold, and ends when it is told to', () => {
    withCores(make(), (cores) => {
      const noted = puts(cores, 2, 20);
      const logs = noted.map((_, core) => cores.reader(core));
      for (const bounds of [{ from: 0 }, { to: 21 }, { from: 3, to: 30 }]) {
        failure('ERR_VARVE_OUT_OF_RANGE', () => new WalMerge([{ core: 0, log: logs[0]!, ...bounds }]));
      }
      expect([...new WalMerge([{ core: 0, log: logs[0]!, from: 21, to: 20 }])]).toEqual([]);
      const merge = new WalMerge(logs.map((log, core) => ({ core, log })));
      for (const entry of merge) if (entry.sequence === 7) break;
      expect(merge.next().done).toBe(true);
      expect(merge.tallies()[0]!.entries).toBe(7);
    });
  });
});

describe('an entry', () => {
  it('refuses to be what its bytes are not', () => {
    withCores(logFixture('simulated', 'simd'), (cores) => {
      const writer = cores.writer(0);
      writer.append(Uint8Array.of(1, 2, 3), Kind.Put);
      writer.appendStamped(Kind.Barrier, 'k', 1, 0, Uint8Array.of(1, 2, 3, 4));
      writer.appendStamped(Kind.Checkpoint, '', 1, 0, '');
      writer.appendStamped(Kind.Commit, '', 1, 0, 'no commit');
      const entries = [...new WalMerge([{ core: 0, log: writer }])];
      const wrong = [
        () => entries[0]!.value, () => entries[0]!.timestamp, () => entries[1]!.ended, () => entries[2]!.id,
        () => entries[3]!.offsets, () => entries[3]!.watermark,
      ];
      for (const [at, call] of wrong.entries()) {
        expect(failure('ERR_VARVE_CORRUPT', call).details).toMatchObject({ core: 0, segment: 1, lsn: [1, 1, 2, 3, 4, 4][at] });
      }
      expect(entries.map(({ type }) => type)).toEqual(['put', 'barrier', 'checkpoint', 'commit']);
      expect(Buffer.from(entries[1]!.key).toString()).toBe('k');
    });
  });

  it('keeps its bytes when the logs are closed', () => {
    withCores(logFixture('simulated', 'simd'), (cores) => {
      const noted = puts(cores, 2, 400);
      const entries = allOf(new WalMerge(readersOf(cores, noted)));
      cores.closeAll();
      cores.fixture.core.memory.bytes.fill(0x55, 65536 * 8, 65536 * 9);
      expect(entries.map(notedOf)).toEqual(inOrder(noted.flat()));
    });
  });
});
