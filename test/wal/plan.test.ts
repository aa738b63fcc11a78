/**
 * What a recovery plans, against the plainest model: complete epochs, cuts, offsets and watermark, and what it says
 * where logs do not join on to a checkpoint or are damaged.
 */
import fc from 'fast-check';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FRAMES_OFFSET, Kind } from '../../host/generated/abi.ts';
import { WalMerge } from '../../host/wal/merge.ts';
import { cutOf, lastCompleteEpoch, lastEndedEpoch, planRecovery, type CheckpointCut } from '../../host/wal/plan.ts';
import { disposeNow, failure, logFixture, onEach, type LogFixture } from '../support/log-fixture.ts';
import { Random, seedFromEnvironment } from '../support/random.ts';
import { newTally, scaled } from '../support/tally.ts';
import { appendEntry, inOrder, withCores, type Cores, type Noted } from '../support/wal-cores.ts';
import { play, stepsOn } from '../support/wal-steps.ts';

const tally = newTally('plans of recoveries against a model');
afterAll(() => tally.report());

type UpTo = 'end' | 'epoch' | number;

/** The model: everything is in memory, and each question is answered by looking at all of it. */
function modelOf(noted: readonly (readonly Noted[])[], checkpoint: CheckpointCut | undefined, upTo: UpTo) {
  const ended = noted.map((list) => {
    const last = list.at(-1);
    return Math.max(checkpoint?.epoch ?? 0, last === undefined ? 0 : last.ended ?? last.epoch - 1);
  });
  const completeEpoch = Math.min(...ended);
  const epoch = upTo === 'end' ? Infinity : upTo === 'epoch' ? completeEpoch : upTo;
  const ranges = noted.map((list, core) => {
    const from = (checkpoint?.cores[core]?.sequence ?? 0) + 1;
    return { from, list: list.filter((entry) => entry.sequence >= from && entry.epoch <= epoch) };
  });
  const commits = inOrder(ranges.flatMap(({ list }) => list)).filter(({ kind }) => kind === Kind.Commit);
  const offsets = new Map(checkpoint?.offsets);
  for (const commit of commits) for (const [name, offset] of commit.offsets!) offsets.set(name, offset);
  let watermark = checkpoint?.watermark;
  for (const { watermark: next } of commits) {
    if (next !== undefined && (watermark === undefined || next > watermark)) watermark = next;
  }
  const cores = ranges.map(({ from, list }, core) => ({
    core, endedEpoch: ended[core], from, to: from + list.length - 1,
    entries: list.filter(({ kind }) => kind !== Kind.Lost).length,
    lost: list.filter(({ kind }) => kind === Kind.Lost).length,
    commits: list.filter(({ kind }) => kind === Kind.Commit).length,
    firstEpoch: list[0]?.epoch ?? 0, lastEpoch: list.at(-1)?.epoch ?? 0,
    beyond: noted[core]!.length - from - list.length + 1,
  }));
  return { completeEpoch, offsets, watermark, cores };
}

const OFFSETS = [['a', 7], ['only', 2n ** 63n]] as const;

interface Choice { readonly share: number; readonly epoch: number; readonly drop: boolean }

/** A checkpoint that covers a share of each log, which may be dropped then as far as whole segments go. */
function checkpointOf(cores: Cores, noted: readonly (readonly Noted[])[], choice: Choice): CheckpointCut {
  const { share, epoch, drop } = choice;
  const covered = noted.map((list) => ({ sequence: Math.floor(list.length * share) }));
  for (const [core, { sequence }] of covered.entries()) {
    if (!drop || noted[core]!.length === 0) continue;
    const writer = cores.writer(core);
    writer.truncateBefore(sequence + 1);
    tally.count(writer.firstLsn > 1 ? 'prefixes dropped' : 'prefixes kept');
    writer.closeNow();
  }
  // One that covers a barrier knows of its epoch.
  const known = covered.map(({ sequence }, core) => {
    const last = noted[core]![sequence - 1];
    return last === undefined ? 0 : last.ended ?? last.epoch - 1;
  });
  const offsets = new Map<string, number | bigint>(OFFSETS);
  return { epoch: Math.max(epoch, ...known), cores: covered, offsets, watermark: 20 };
}

describe('a plan', () => {
  it.each(['baseline', 'simd'] as const)('is what the model says (%s core)', (variant) => {
    const seed = seedFromEnvironment();
    const history = fc.integer({ min: 1, max: 5 }).chain((count) => fc.tuple(fc.constant(count), stepsOn(count)));
    const choice = fc.option(fc.record({
      share: fc.constantFrom(0, 0.3, 0.6, 1), epoch: fc.nat(3), drop: fc.boolean(),
    }), { nil: undefined });
    const limit = fc.oneof(fc.constantFrom<UpTo>('end', 'epoch', 'epoch'), fc.nat(9));
    fc.assert(fc.property(history, choice, limit, ([count, steps], chosen, upTo) => {
      const fixture = logFixture('simulated', variant);
      withCores(fixture, (cores) => {
        const noted = play(cores, count, steps);
        const checkpoint = chosen === undefined ? undefined : checkpointOf(cores, noted, chosen);
        const logs = noted.map((list, core) => (list.length === 0 ? undefined : cores.reader(core, 0)));
        const plan = planRecovery({ cores: logs, checkpoint, upTo });
        const expected = modelOf(noted, checkpoint, upTo);
        expect(plan).toMatchObject(expected);
        expect([...plan.offsets].sort()).toEqual([...expected.offsets].sort());
        expect(plan.cores.map(({ log }) => log)).toEqual(logs);
        expect(lastCompleteEpoch(logs, checkpoint)).toBe(expected.completeEpoch);
        for (const [core, log] of logs.entries()) {
          if (log === undefined) continue;
          const { length } = noted[core]!;
          for (let epoch = 0; epoch < 9; epoch++) {
            const within = noted[core]!.filter((entry) => entry.epoch <= epoch).length;
            expect(cutOf(log, epoch)).toBe(Math.max(log.firstLsn - 1, within));
          }
          const { from, to, bytes } = plan.cores[core]!;
          const next = noted[core]![to] ?? { position: log.position };
          expect(bytes).toBe(from > to ? 0 : next.position - noted[core]![from - 1]!.position);
          tally.add('entries', length);
        }
        // What is planned is what is read.
        const merge = new WalMerge(plan.cores.flatMap(({ core, log, from, to }) =>
          (log === undefined ? [] : [{ core, log, from, to }])));
        expect([...merge].length).toBe(plan.cores.reduce((sum, { entries }) => sum + entries, 0));
        tally.count('plans');
        tally.add('commits', plan.cores.reduce((sum, { commits }) => sum + commits, 0));
      });
      disposeNow(fixture);
    }), { numRuns: scaled(120), ...seed === undefined ? {} : { seed } });
  });

  it('of no cores has nothing', () => {
    const nothing = { completeEpoch: 0, cores: [], offsets: new Map(), watermark: undefined };
    expect(planRecovery({ cores: [] })).toEqual(nothing);
  });
});

/** Puts in epochs of so many entries each, without barriers. */
function epochs(cores: Cores, core: number, sizes: readonly number[], segmentBytes = 1 << 20): Noted[] {
  const writer = cores.writer(core, segmentBytes);
  const noted: Noted[] = [];
  for (const [at, size] of sizes.entries()) {
    writer.raiseEpoch(at + 1);
    for (let i = 0; i < size; i++) noted.push(appendEntry(writer, core, { kind: Kind.Put, key: `${i}`, value: 'value' }));
  }
  writer.closeNow();
  return noted;
}

/** Flips a bit of the frame of an entry whose log is one segment. */
function damage(fixture: LogFixture, cores: Cores, { core, position }: Noted, at = 30, bit = 1): void {
  const name = join(cores.name(core), '00000000000000000001.seg');
  const offset = position + FRAMES_OFFSET + at;
  fixture.tamper(name, offset, Uint8Array.of(fixture.bytes(name)[offset]! ^ bit));
}

onEach('a log that does not join on to a checkpoint', (make) => {
  it('is refused where it begins behind it, ends before it, or is missing', () => {
    withCores(make(), (cores) => {
      const writer = cores.writer(0);
      for (let i = 0; i < 30; i++) {
        appendEntry(writer, 0, { kind: Kind.Put, key: `${i}`, value: '' });
        if (i % 10 === 9) writer.rotate();
      }
      writer.truncateBefore(15);
      expect(writer.firstLsn).toBe(11);
      const plan = (lsn?: number) => planRecovery({
        cores: [writer], checkpoint: lsn === undefined ? undefined : { epoch: 1, cores: [{ sequence: lsn }] },
      });
      for (const lsn of [undefined, 0, 9, 31]) {
        expect(failure('ERR_VARVE_CORRUPT', () => plan(lsn)).details).toMatchObject({ core: 0, firstLsn: 11, lastLsn: 30 });
      }
      for (const lsn of [10, 20, 30]) expect(plan(lsn).cores[0]).toMatchObject({ from: lsn + 1, to: 30 });
      const checkpoint = { epoch: 4, cores: [{ sequence: 30 }, { sequence: 1 }] };
      failure('ERR_VARVE_CORRUPT', () => planRecovery({ cores: [writer, undefined], checkpoint }));
    });
  });

  it('is complete up to the checkpoint where it is empty behind it', () => {
    withCores(make(), (cores) => {
      const [a, b] = [cores.writer(0), cores.writer(1)];
      for (const writer of [a, b]) for (let i = 0; i < 5; i++) appendEntry(writer, 0, { kind: Kind.Delete, key: 'k' });
      a.reset();
      expect([a.firstLsn, a.lastLsn]).toEqual([6, 5]);
      const checkpoint = { epoch: 6, cores: [{ sequence: 5 }, { sequence: 5 }] };
      expect(lastEndedEpoch(a, checkpoint)).toBe(6);
      expect(lastEndedEpoch(a)).toBe(0);
      expect(lastEndedEpoch(undefined)).toBe(0);
      expect(planRecovery({ cores: [a, b], checkpoint, upTo: 'epoch' })).toMatchObject({
        completeEpoch: 6, cores: [{ from: 6, to: 5, bytes: 0, firstEpoch: 0 }, { from: 6, to: 5, beyond: 0 }],
      });
    });
  });
});

describe('a cut beside damage', () => {
  it('counts in what may belong to the epoch, so that whoever reads it meets it', () => {
    for (let seed = 1; seed <= scaled(40); seed++) {
      const random = new Random(seed);
      const fixture = logFixture('simulated', 'simd');
      withCores(fixture, (cores) => {
        const noted = epochs(cores, 0, Array.from({ length: random.between(1, 6) }, () => random.between(0, 8)));
        const damaged = new Set(noted.filter(() => random.chance(0.35)));
        for (const entry of damaged) damage(fixture, cores, entry);
        const log = cores.reader(0);
        const told = noted.filter((entry) => !damaged.has(entry));
        for (let epoch = 0; epoch <= 7; epoch++) {
          const beyond = told.find((entry) => entry.epoch > epoch);
          expect(cutOf(log, epoch), `seed ${seed}, epoch ${epoch}`).toBe((beyond?.sequence ?? noted.length + 1) - 1);
        }
        expect(lastEndedEpoch(log)).toBe((told.at(-1)?.epoch ?? 1) - 1);
        tally.add('damaged', damaged.size);
      });
      disposeNow(fixture);
    }
  });

  it('ends at a barrier, whatever stands behind it', () => {
    const fixture = logFixture('simulated', 'simd');
    withCores(fixture, (cores) => {
      const writer = cores.writer(0);
      const noted = [1, 2, 3, 4, 5, 6].map((i) => {
        if (i === 4) writer.raiseEpoch(2);
        return appendEntry(writer, 0, i === 3 ? { kind: Kind.Barrier, ended: 1 } : { kind: Kind.Put, key: `${i}` });
      });
      writer.closeNow();
      for (const at of [3, 4]) damage(fixture, cores, noted[at]!);
      const log = cores.reader(0);
      expect(cutOf(log, 1)).toBe(3);
      expect(cutOf(log, 2)).toBe(6);
      expect(lastEndedEpoch(log)).toBe(1);
      expect(planRecovery({ cores: [log], upTo: 'epoch' }).cores[0]).toMatchObject({ to: 3, entries: 3, beyond: 3 });
    });
  });
});

onEach('a plan of damaged logs', (make) => {
  it('names the frame whose header leads nowhere, or just past the next', () => {
    for (const [at, bit] of [[4, 8], [4, 0x40], [5, 4], [7, 0x80]] as const) {
      const fixture = make();
      withCores(fixture, (cores) => {
        const noted = [epochs(cores, 0, [50]), epochs(cores, 1, [50, 30])];
        const bad = noted[1]![40]!;
        damage(fixture, cores, bad, at, bit);
        const logs = noted.map((_, core) => cores.reader(core));
        const error = failure('ERR_VARVE_CORRUPT', () => planRecovery({ cores: logs }));
        expect(error.details).toMatchObject({ segment: 1, offset: bad.position + FRAMES_OFFSET, lsn: 41 });
        const checkpoint = { epoch: 1, cores: [{ sequence: 0 }, { sequence: 41 }] };
        expect(planRecovery({ cores: logs, checkpoint }).cores[1]).toMatchObject({ from: 42, to: 80, entries: 39 });
      });
    }
  });

  it('names a commit that is damaged, or is none', () => {
    const fixture = make();
    withCores(fixture, (cores) => {
      const offsets = new Map([['topic', 5]]);
      const noted = [0, 1].map((core) => {
        const writer = cores.writer(core, 1 << 20);
        const list = [1, 2, 3].map(() => appendEntry(writer, core, { kind: Kind.Commit, offsets, watermark: 3 }));
        if (core === 0) writer.appendStamped(Kind.Commit, '', 0, 0, 'not one');
        writer.closeNow();
        return list;
      });
      damage(fixture, cores, noted[1]![1]!);
      const plan = (core: number) => () => planRecovery({ cores: [cores.reader(core)] });
      expect(failure('ERR_VARVE_CORRUPT', plan(0)).details).toMatchObject({ core: 0, lsn: 4, kind: Kind.Commit });
      expect(failure('ERR_VARVE_CORRUPT', plan(1)).details)
        .toMatchObject({ lsn: 2, offset: noted[1]![1]!.position + FRAMES_OFFSET });
    });
  });

  it('takes logs as they are while writers go on', () => {
    const fixture = make();
    withCores(fixture, (cores) => {
      const writer = cores.writer(0);
      for (let i = 0; i < 20; i++) appendEntry(writer, 0, { kind: Kind.Commit, offsets: new Map([['a', i]]) });
      fixture.refresh();
      const log = cores.reader(0);
      appendEntry(writer, 0, { kind: Kind.Commit, offsets: new Map([['a', 99]]) });
      fixture.refresh();
      expect(planRecovery({ cores: [log] })).toMatchObject({ offsets: new Map([['a', 19]]), cores: [{ to: 20 }] });
      log.refresh();
      expect(planRecovery({ cores: [log] })).toMatchObject({ offsets: new Map([['a', 99]]), cores: [{ to: 21 }] });
    });
  });
});
