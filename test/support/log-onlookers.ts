/**
 * Those who look on while the simulated writer works: the writer's own follower, a reader in another simulated process
 * and the reader's follower. What they see is compared with the model; the reader's calls fail at times.
 */
import type { Core } from '../../host/core/core.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import type { RecordRef } from '../../host/log/record.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { wipeCore } from './log-fixture.ts';
import { Following } from './log-following.ts';
import { type Expectation, compareAll, compareSome, judge } from './log-judge.ts';
import { EMPTY_MODEL, type Model } from './log-model.ts';
import { SimulatedPowerCut, type SimulatedDisk } from './simulated-disk.ts';
import type { Random } from './random.ts';
import type { Tally } from './tally.ts';

/** The store's directory on the simulated disk. */
export const DIRECTORY = '/store';

export interface OnlookerOptions {
  /** The reader's core; without one there is no reader. */
  readonly readerCore?: Core;
  readonly random: Random;
  readonly tally: Tally;
  /** Whether the reader's calls fail at times. */
  readonly faults?: boolean;
}

type Whose = 'writer' | 'reader';

export class Onlookers {
  /** The model when the reader looked last: where a truncation is left half-done, it stays with that. */
  readerKnew = EMPTY_MODEL;
  private readonly options: OnlookerOptions;
  private readonly disk: SimulatedDisk;
  private reader: RecordLog | undefined;
  private readonly followings: { [K in Whose]?: Following | undefined } = {};
  /** References that were given, some of them to records that have gone. */
  private readonly refs: RecordRef[] = [];

  constructor(disk: SimulatedDisk, options: OnlookerOptions) {
    this.disk = disk;
    this.options = options;
  }

  /** Told that what was `before` is `after` now. */
  noteChange(before: Model, after: Model): void {
    for (const following of Object.values(this.followings)) following?.noteChange(before, after);
  }

  /**
   * Compares the log with the model, as the writer sees it and as a reader does.
   *
   * @param durableLsn the last LSN that may be taken for durable
   */
  async look(log: RecordLog, model: Model, durableLsn: number): Promise<void> {
    const { random, tally } = this.options;
    // Views are refreshed by calls of the disk alone, and an append makes none.
    this.disk.refresh();
    if (random.chance(0.5)) tally.add('records', compareSome(log, model, random, this.refs));
    if (random.chance(0.5)) await this.follow('writer', log, model, durableLsn);
    if (!random.chance(0.4)) return;
    const reader = this.openReader();
    if (reader === undefined) return;
    this.readerKnew = model;
    this.readUnderFaults(reader, model);
    tally.add('records by the reader', compareSome(reader, model, random, this.refs));
    if (random.chance(0.1)) tally.add('records by the reader', compareAll(reader, model));
    await this.follow('reader', reader, model, durableLsn);
    if (random.chance(0.1)) await this.closeReader();
  }

  /** A reader of what a writer left half-done: it sees one of the models, or says that it cannot. */
  judge(expectation: Expectation): void {
    try {
      const reader = this.openReader();
      if (reader === undefined) return;
      if (reader.recovery.outcome === 'corrupt') throw new Error('the reader finds it corrupt');
      this.options.tally.add('records by the reader', judge(reader, expectation).records.length);
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_TRUNCATED') && !VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) throw error;
    }
  }

  private openReader(): RecordLog | undefined {
    const { readerCore: core, random } = this.options;
    if (core === undefined) return undefined;
    this.disk.refresh();
    this.reader ??= RecordLog.openSync(DIRECTORY, {
      core, storage: this.disk.storage(), readOnly: true, mappedBytesMax: random.pick([0, 65536, 1 << 22]),
    });
    return this.reader;
  }

  async closeReader(): Promise<void> {
    this.reader?.closeSync();
    this.reader = undefined;
    await this.endFollowing('reader');
  }

  /** A reader whose calls fail gives a typed error or the right records, and reads on afterwards. */
  private readUnderFaults(reader: RecordLog, model: Model): void {
    const { random, faults } = this.options;
    if (faults !== true || !random.chance(0.2)) return;
    const plan = this.disk.failAt({
      error: 'EIO', nth: random.between(1, 4), times: random.pick([1, Infinity]), written: random.integer(5000),
    });
    try {
      compareSome(reader, model, random, this.refs);
    } catch (error) {
      if (plan.fired === 0 || !VarveError.is(error, 'ERR_VARVE_IO')) throw error;
    } finally {
      plan.cancel();
    }
  }

  /** Lets a follower take some of what there is, or begin. */
  private async follow(whose: Whose, log: RecordLog, model: Model, durableLsn: number): Promise<void> {
    const { random, tally } = this.options;
    const following = this.followings[whose];
    if (following === undefined) {
      if (random.chance(0.4)) this.followings[whose] = new Following(log, model, random);
      return;
    }
    const taken = await following.look(model, durableLsn, random);
    tally.add('records followed', taken ?? 0);
    if (taken !== undefined) return;
    tally.count('followers that lost records');
    this.followings[whose] = undefined;
  }

  /** The log of a follower was closed: so is the follower. */
  async endFollowing(whose: Whose): Promise<void> {
    const following = this.followings[whose];
    this.followings[whose] = undefined;
    await following?.requireClosed();
  }

  /** The writer's process is dead, and its follower with it. */
  forgetWriter(): void {
    this.followings.writer = undefined;
  }

  /** The reader's process is dead. */
  buryReader(): void {
    if (this.reader !== undefined) closeWhateverFails(this.reader);
    this.reader = undefined;
    this.followings.reader = undefined;
    if (this.options.readerCore !== undefined) wipeCore(this.options.readerCore);
  }
}

/** Its process is dead, or its disk is: errors are of no interest, but what is wrong with varve itself is. */
export function closeWhateverFails(log: RecordLog): void {
  try {
    log.closeSync();
  } catch (error) {
    if (!(error instanceof SimulatedPowerCut) && !VarveError.is(error)) throw error;
  }
}
