/**
 * A seeded workload on a log over the simulated disk: a writer, the faults that it meets, and the restarts in between.
 * The writer itself is in log-writer.ts, its model in log-model.ts, the steps are in log-steps.ts, the faults in
 * log-faults.ts, the judgement in log-judge.ts, and those who look on in log-onlookers.ts.
 *
 * Where a call is cut short - by a power cut, by the death of the process, by a failing call - what is found afterwards
 * must be a prefix of the model before it or after it.
 */
import { STATIC_END } from '../../host/generated/abi.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { drawFault, fillUp } from './log-faults.ts';
import { type Expectation, compareAll, judge } from './log-judge.ts';
import { lastOf } from './log-model.ts';
import { DIRECTORY, closeWhateverFails } from './log-onlookers.ts';
import { drawStep } from './log-steps.ts';
import { SimulatedWriter, type WorkloadOptions } from './log-writer.ts';
import type { CutPolicy, PlannedFault } from './simulated-disk.ts';

/** Runs a workload to its end, and clears it away where it fails. */
export async function withWorkload(
  options: WorkloadOptions, run: (workload: Workload) => Promise<void>,
): Promise<void> {
  const workload = new Workload(options);
  try {
    await run(workload);
    await workload.finish();
  } catch (error) {
    workload.abandon();
    throw error;
  }
}

/** Three lives, each ended by a power cut at any call. */
export async function cutThrice(options: WorkloadOptions): Promise<void> {
  const { random } = options;
  await withWorkload(options, async (workload) => {
    for (let life = 0; life < 3; life++) {
      const plan = workload.disk.failAt({ error: 'power-cut', nth: random.between(1, 600) });
      for (let steps = random.between(3, 40); steps > 0; steps--) if (!await workload.step()) break;
      plan.cancel();
      await workload.cutAndJudge();
    }
  });
}

export class Workload extends SimulatedWriter {
  /** Does one random step and looks at what it has done; false where the power failed. */
  async step(): Promise<boolean> {
    const { random, disk } = this;
    const step = drawStep(random);
    let plan: PlannedFault | undefined;
    try {
      this.current ??= this.open();
      if (this.options.faults === true) plan = this.planFault();
      this.trace('step', step.name);
      await step.run(this);
      await this.completeSome();
      this.noteFaults(plan);
      this.noteFrozen();
      await this.look();
    } catch (error) {
      this.noteFaults(plan);
      await this.unlessCut(() => (this.ended() === undefined ? this.afterError(error) : this.afterKill()));
      if (this.ended() !== undefined) {
        this.stopped ??= this.expectation();
        return false;
      }
    }
    if (random.chance(0.1)) disk.writeBack(random);
    return true;
  }

  /** Does what a power cut may end; nothing where there was one already. */
  private async unlessCut(run: () => void | Promise<void>): Promise<void> {
    if (this.ended() === 'power-cut') return;
    try {
      await run();
    } catch (error) {
      if (this.ended() !== 'power-cut') throw error;
    }
  }

  private async completeSome(): Promise<void> {
    const { disk, random } = this;
    if (disk.queue.mode !== 'manual' || !random.chance(0.5)) return;
    disk.completeSyncs(random.between(1, 3));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }

  /** Lets a call of this step fail, or leaves little room on the disk. */
  private planFault(most = 12): PlannedFault | undefined {
    const { random, disk } = this;
    if (random.chance(0.05)) {
      fillUp(disk, random);
      this.faulted = true;
      this.tally.count('faults.disk full');
      return undefined;
    }
    if (!random.chance(0.25)) return undefined;
    const plan = drawFault(random, most);
    this.trace('plan', JSON.stringify(plan));
    return disk.failAt(plan);
  }

  private noteFaults(plan: PlannedFault | undefined): void {
    this.disk.capacity = Infinity;
    plan?.cancel();
    if (plan === undefined || plan.fired === 0) return;
    this.faulted = true;
    this.trace('fired', plan.fired);
  }

  private async look(): Promise<void> {
    const { log } = this;
    if (log.poisoned) throw new VarveError('ERR_VARVE_POISONED', 'a sync has failed');
    this.durable(log.durableLsn);
    await this.onlookers.look(log, this.model, this.disk.frozen ? Infinity : this.durableLsn);
  }

  /** After an error: the log is as it was, or as it should be; or it is poisoned, can be read, and is opened again. */
  private async afterError(error: unknown): Promise<void> {
    const typed = ['ERR_VARVE_IO', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_POISONED'] as const;
    if (!this.faulted || !typed.some((code) => VarveError.is(error, code))) throw error;
    this.trace('error', (error as Error).message);
    const candidates = [this.before, this.model];
    const log = this.current;
    const failed = log === undefined || log.closed;
    if (!failed && !log.poisoned) {
      this.tally.count('errors survived');
      const model = candidates.find((each) => each.first === log.firstLsn && lastOf(each) === log.lastLsn);
      if (model === undefined) throw new Error(`neither done nor undone: ${(error as Error).message}`, { cause: error });
      this.before = this.model = { ...model, firstMax: model.first };
      this.tally.add('records', compareAll(log, this.model));
      return;
    }
    if (!failed) {
      this.tally.count('poisoned');
      judge(log, { candidates, floor: this.committed() });
      refuses(log);
      this.onlookers.judge(this.forReader());
      closeWhateverFails(log);
    }
    this.current = undefined;
    await this.onlookers.endFollowing('writer');
    await this.settlePending();
    // What a failed sync has dropped from the cache shows its old bytes, now or later, unless it is written again.
    const isEvicted = this.random.chance(0.5) && this.disk.evictFailedPages() > 0;
    const floor = isEvicted ? this.durableLsn : this.committed();
    await this.reopen({ candidates, floor });
  }

  /** After the death of the writer's process: the machine goes on, and so does the reader. */
  private async afterKill(): Promise<void> {
    this.tally.count('kills');
    this.trace('kill');
    const expectation = { candidates: [this.before, this.model], floor: this.committed() };
    this.bury();
    await this.settlePending();
    if (this.random.chance(0.5)) this.onlookers.judge(this.forReader());
    await this.reopen(expectation);
  }

  /**
   * Opens the log until it can be opened, and judges it; goes on with what is there. Returns early where the power
   * fails.
   */
  private async reopen(expectation: Expectation): Promise<void> {
    const { random, disk, tally } = this;
    let { floor } = expectation;
    for (;;) {
      const plan = this.options.faults === true && random.chance(0.3) ? this.planFault(60) : undefined;
      try {
        this.current = this.open();
        this.noteFaults(plan);
        break;
      } catch (error) {
        this.noteFaults(plan);
        if (this.ended() === 'power-cut') return;
        if (this.ended() === 'kill') this.bury();
        else if (!this.faulted || !/^ERR_VARVE_(IO|DISK_FULL)$/.test((error as VarveError).code)) throw error;
        tally.count('openings that failed');
        if (random.chance(0.5) && disk.evictFailedPages() > 0) floor = Math.min(floor, this.durableLsn);
      }
    }
    this.faulted = this.syncFailed = false;
    tally.count('restarts');
    tally.count(`outcome ${this.log.recovery.outcome}`);
    if (this.log.recovery.epoch < this.epoch) throw new Error(`epoch ${this.log.recovery.epoch} after ${this.epoch}`);
    this.epoch = this.log.recovery.epoch;
    const model = judge(this.log, { ...expectation, floor });
    tally.add('records', model.records.length);
    tally.add('records not durable and lost', Math.max(...expectation.candidates.map(lastOf)) - lastOf(model));
    const longest = expectation.candidates.reduce((a, b) => (lastOf(a) > lastOf(b) ? a : b));
    this.before = this.model = model;
    this.onlookers.noteChange(longest, this.model);
    this.durableLsn = lastOf(model);
    this.stopped = undefined;
    this.trace('opened', this.log.recovery.outcome);
    await this.requireRepaired();
    const strange = disk.paths().filter((path) => !/(CONTROL|LOCK|\d{20}\.seg|\.cut)$/.test(path));
    if (strange.length > 0) throw new Error(`recovery left ${strange.join()}`);
  }

  /** A log that was recovered is whole: another process that opened it now would find nothing to repair. */
  private async requireRepaired(): Promise<void> {
    if (this.options.readerCore === undefined) return;
    await this.onlookers.closeReader();
    const copy = this.disk.clone();
    const again = RecordLog.openSync(DIRECTORY, { core: this.options.readerCore!, storage: copy.storage() });
    const { outcome, because } = again.recovery;
    again.closeSync();
    if (outcome !== 'whole') throw new Error(`recovered, but opening it again finds it ${outcome}: ${because}`);
  }

  /** Cuts the power, starts again, judges what is left, and goes on with it. */
  async cutAndJudge(): Promise<void> {
    const { disk, random } = this;
    const policy = random.pick([{}, {}, {}, { pages: 'lost', sizes: 'old', names: 'lost' }, { pages: 'kept' },
      { metadata: 'any' }, { pages: 'lost', sizes: 'new', names: 'kept' }] as const);
    const { mode } = disk.queue;
    this.stopped ??= this.expectation();
    do {
      await this.cut(policy);
      disk.queue.mode = 'immediate';
      // The machine may stop again while it recovers, any number of times.
      const plan = random.chance(0.3) ? disk.failAt({ error: 'power-cut', nth: random.between(1, 60) }) : undefined;
      await this.unlessCut(async () => {
        const expectation = this.stopped ?? this.expectation();
        if (random.chance(0.3)) this.onlookers.judge(expectation);
        await this.onlookers.closeReader();
        await this.reopen(expectation);
      });
      plan?.cancel();
    } while (this.ended() !== undefined);
    disk.queue.mode = mode;
    disk.check();
  }

  private async cut(policy: CutPolicy): Promise<void> {
    const { pagesLost, pagesTorn, sizesLost, namesLost } = this.disk.powerCut(this.random, policy);
    this.trace('cut', policy);
    this.tally.count('faults.power cut');
    for (const [name, count] of Object.entries({ pagesLost, pagesTorn, sizesLost, namesLost })) {
      this.tally.add(name, count);
    }
    await this.settlePending();
    this.onlookers.buryReader();
    this.bury();
  }

  /** Gives up everything as it is. */
  abandon(): void {
    this.disk.processCrash();
    this.onlookers.buryReader();
    this.bury();
  }

  /** Closes the log and compares it, opened again, with the model. */
  async finish(): Promise<void> {
    this.disk.queue.mode = 'immediate';
    this.current ??= this.open();
    await this.closeAndOpen();
    this.log.closeSync();
    await this.onlookers.closeReader();
    this.disk.check();
    for (const [error, count] of this.disk.faults.injected) {
      if (error !== 'power-cut') this.tally.add(`faults.${error}`, count);
    }
    for (const core of [this.options.core, this.options.readerCore]) {
      if (core === undefined) continue;
      const left = core.memory.bytes.length - STATIC_END - core.memory.largestFree();
      if (left !== 0) throw new Error(`${left} bytes of the core's memory were not given back`);
    }
  }
}

function refuses(log: RecordLog): void {
  try {
    log.append('no');
  } catch (error) {
    if (VarveError.is(error, 'ERR_VARVE_POISONED')) return;
    throw error;
  }
  throw new Error('a poisoned log takes a record');
}
