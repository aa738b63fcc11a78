/**
 * A seeded workload on a log over the simulated disk: a writer, a reader in another simulated process, the faults that
 * they meet, and the restarts in between. The model is in log-model.ts, the steps are in log-steps.ts, the judgement is
 * in log-judge.ts.
 *
 * Each call of the log changes the model before it runs. Where it is cut short - by a power cut, by the death of the
 * process, by a failing call - what is found afterwards must be a prefix of the model before it or after it.
 */
import type { Core } from '../../host/core/core.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import type { StoredFile } from '../../host/io/storage.ts';
import type { RecordRef } from '../../host/log/record.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { wipeCore } from './log-fixture.ts';
import { Following } from './log-following.ts';
import { type Expectation, compareAll, compareSome, judge } from './log-judge.ts';
import { EMPTY_MODEL, type Model, lastOf } from './log-model.ts';
import { type Stage, drawStep } from './log-steps.ts';
import type { Random } from './random.ts';
import {
  type CutPolicy, type FaultPlan, type PlannedFault, SimulatedDisk, SimulatedPowerCut, type SimulatedStorage,
} from './simulated-disk.ts';
import { OPERATIONS } from './simulated-faults.ts';
import type { Tally } from './tally.ts';

const DIRECTORY = '/store';
const PAGE_BYTES = 4096;
/** VARVE_TRACE=1 prints the steps, which is of use with a single seed. */
const TRACE = process.env['VARVE_TRACE'] === '1';

export interface WorkloadOptions {
  /** The writer's core, and one of its own for the reader; without one there is no reader. */
  readonly core: Core;
  readonly readerCore?: Core;
  readonly random: Random;
  readonly tally: Tally;
  readonly syncs: 'immediate' | 'manual';
  /** Whether calls fail, the disk fills up and the writer is killed, beside the power cuts. */
  readonly faults?: boolean;
  /** A disk that acknowledges syncs without doing them, to see whether the judge would notice. */
  readonly lying?: boolean;
}

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

export class Workload implements Stage {
  readonly disk: SimulatedDisk;
  readonly random: Random;
  model = EMPTY_MODEL;
  private readonly options: WorkloadOptions;
  private readonly tally: Tally;
  private storage: SimulatedStorage;
  private current: RecordLog | undefined;
  private reader: RecordLog | undefined;
  /** The model when the reader looked last. */
  private readerKnew = EMPTY_MODEL;
  /** The model before the call that is under way; the model itself where none is. */
  private before = EMPTY_MODEL;
  /** Followers of the writer and of the reader. */
  private readonly followings: { writer?: Following | undefined; reader?: Following | undefined } = {};
  /** The last LSN that was said to be on disk. */
  private durableLsn = 0;
  /** What there was when the disk stopped taking anything. */
  private stopped: Expectation | undefined;
  /** Whether a fault has struck since the log was opened, so that it may be poisoned. */
  private faulted = false;
  private readonly refs: RecordRef[] = [];
  private numbers = 0;
  private epoch = 0;
  private readonly pending: Promise<unknown>[] = [];
  /** Whether a sync that nobody waited for has failed. */
  private syncFailed = false;

  constructor(options: WorkloadOptions) {
    this.options = options;
    this.random = options.random;
    this.tally = options.tally;
    this.disk = new SimulatedDisk({ random: options.random.fork(), syncs: options.syncs });
    this.storage = this.start();
  }

  private start(): SimulatedStorage {
    const storage = this.disk.storage();
    if (this.options.lying !== true) return storage;
    const nothing = { sync: async () => undefined, syncNow: () => undefined };
    const deaf = (file: StoredFile) => Object.assign(file, nothing);
    const open = storage.open.bind(storage);
    const create = storage.create.bind(storage);
    return Object.assign(storage, {
      open: (path: string, access: 'read' | 'write') => deaf(open(path, access)),
      create: (path: string) => deaf(create(path)),
    });
  }

  get log(): RecordLog { return this.current!; }

  nextNumber(): number {
    return this.numbers++;
  }

  change(next: Model, run: () => void): void {
    this.before = this.model;
    this.model = next;
    run();
    this.noteFrozen();
    this.noteChange(this.before);
    this.before = this.model;
  }

  private noteChange(before: Model): void {
    for (const following of Object.values(this.followings)) following?.noteChange(before, this.model);
  }

  /** Takes down what there was when the disk stopped taking anything: every later call goes on as if nothing had. */
  private noteFrozen(): void {
    if (this.disk.frozen) this.stopped ??= this.expectation();
  }

  async sync(): Promise<void> {
    const sync = this.log.sync().then((lsn) => this.durable(lsn));
    if (this.disk.queue.mode === 'manual') this.pending.push(sync.catch(() => { this.syncFailed = true; }));
    else await sync;
  }

  durable(lsn: number): void {
    if (this.disk.frozen) return;
    // A truncation may have come between the sync and this word of it.
    this.durableLsn = Math.max(this.durableLsn, Math.min(lsn, lastOf(this.model)));
  }

  cutTo(lsn: number): void {
    this.durableLsn = Math.min(this.durableLsn, lsn);
  }

  /** Completes the syncs under way, and those that are submitted then. */
  private async completeAll(): Promise<void> {
    for (let turn = 0; turn < 200 && this.disk.queue.length > 0; turn++) {
      this.disk.completeSyncs();
      for (let hop = 0; hop < 10; hop++) await Promise.resolve();
    }
  }

  private async settlePending(): Promise<void> {
    await this.completeAll();
    await Promise.allSettled(this.pending.splice(0));
  }

  async closeAndOpen(): Promise<void> {
    const closing = this.log.close();
    await this.completeAll();
    await closing;
    // Whoever waited for that sync was told; a poisoned log is closed without another one.
    if (this.syncFailed) throw new VarveError('ERR_VARVE_POISONED', 'a sync has failed');
    this.current = undefined;
    await this.endFollowing('writer');
    this.durable(lastOf(this.model));
    this.current = this.open();
    const { outcome, closedCleanly, scannedRecords, segments } = this.log.recovery;
    const whole = outcome === 'whole' || (segments === 0 && lastOf(this.model) === 0);
    // Calls that failed may have left a file that is no segment yet, or a footer that is not at the end any more.
    if (!this.faulted && (!whole || !closedCleanly || scannedRecords !== 0)) {
      throw new Error(`opened as ${outcome} after a clean close`);
    }
    this.faulted = false;
    this.tally.add('records', compareAll(this.log, this.model));
  }

  private open(): RecordLog {
    return RecordLog.openSync(DIRECTORY, {
      core: this.options.core, storage: this.storage, segmentBytes: 65536,
      mappedBytesMax: this.random.pick([0, 65536, 1 << 22]),
    });
  }

  private expectation(): Expectation {
    return { candidates: [this.before, this.model], floor: this.durableLsn };
  }

  /** What must be there where the page cache survives: every record whose call has returned. */
  private committed(): number {
    return Math.min(lastOf(this.before), lastOf(this.model));
  }

  /** What a reader must see of it: where a truncation was left half-done, readers stay with what they knew. */
  private forReader(): Expectation {
    const truncated = lastOf(this.model) < lastOf(this.before) || this.model.firstMax !== this.model.first;
    if (!truncated) return { candidates: [this.before, this.model], floor: this.committed() };
    return { candidates: [this.before, this.model, this.readerKnew], floor: 0 };
  }

  private trace(...what: unknown[]): void {
    if (!TRACE) return;
    const range = `${this.model.first}..${lastOf(this.model)}, durable ${this.durableLsn}`;
    console.info(...what, range, this.disk.paths().map((path) => path.replace(/^.*?0*(\d+\.)/, '$1')).join(' '));
  }

  /** How the writer's process has ended, if it has. */
  private ended(): 'power-cut' | 'kill' | undefined {
    try {
      this.storage.now();
      return undefined;
    } catch (error) {
      return (error as SimulatedPowerCut).reason;
    }
  }

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

  /** Lets a call of this step fail, wholly or after a part of its work, or leaves little room on the disk. */
  private planFault(most = 12): PlannedFault | undefined {
    const { random, disk } = this;
    if (random.chance(0.05)) {
      disk.capacity = 2 ** 40;
      disk.capacity += random.integer(20) * PAGE_BYTES - disk.freeBytes();
      this.faulted = true;
      this.tally.count('faults.disk full');
      return undefined;
    }
    if (!random.chance(0.25)) return undefined;
    const operation = random.chance(0.5) ? {} : { operation: random.pick(OPERATIONS) };
    const plan: FaultPlan = {
      ...operation, nth: random.between(1, 'operation' in operation ? 3 : most),
      times: random.pick([1, 1, 1, 2, Infinity]),
      error: random.pick(['EIO', 'EIO', 'EIO', 'ENOSPC', 'kill']),
      written: random.pick([0, 1, 511, 512, 4096, 5000, 100_000]),
      dirtyPages: random.pick(['dropped', 'dropped', 'kept']),
    };
    this.trace('plan', JSON.stringify(plan));
    return disk.failAt(plan);
  }

  /** The log of a follower is gone: so is the follower. */
  private async endFollowing(whose: 'writer' | 'reader'): Promise<void> {
    const following = this.followings[whose];
    this.followings[whose] = undefined;
    await following?.requireClosed();
  }

  /** Lets a follower take some of what there is, or begin. */
  private async follow(whose: 'writer' | 'reader', log: RecordLog): Promise<void> {
    const { random, tally } = this;
    const following = this.followings[whose];
    if (following === undefined) {
      if (random.chance(0.4)) this.followings[whose] = new Following(log, this.model, random);
      return;
    }
    const taken = await following.look(this.model, this.disk.frozen ? Infinity : this.durableLsn, random);
    tally.add('records followed', taken ?? 0);
    if (taken !== undefined) return;
    tally.count('followers that lost records');
    this.followings[whose] = undefined;
  }

  private noteFaults(plan: PlannedFault | undefined): void {
    this.disk.capacity = Infinity;
    plan?.cancel();
    if (plan === undefined || plan.fired === 0) return;
    this.faulted = true;
    this.trace('fired', plan.fired);
  }

  /** Compares the log with the model, as the writer sees it and as a reader does. */
  private async look(): Promise<void> {
    const { random, log, tally } = this;
    if (log.poisoned) throw new VarveError('ERR_VARVE_POISONED', 'a sync has failed');
    this.durable(log.durableLsn);
    // Views are refreshed by calls of the disk alone, and an append makes none.
    this.disk.refresh();
    if (random.chance(0.5)) tally.add('records', compareSome(log, this.model, random, this.refs));
    if (random.chance(0.5)) await this.follow('writer', log);
    if (!random.chance(0.4) || !this.openReader()) return;
    this.readerKnew = this.model;
    this.readerUnderFaults();
    tally.add('records by the reader', compareSome(this.reader!, this.model, random, this.refs));
    if (random.chance(0.1)) tally.add('records by the reader', compareAll(this.reader!, this.model));
    await this.follow('reader', this.reader!);
    if (random.chance(0.1)) await this.closeReader();
  }

  /** Whether there is a reader now. */
  private openReader(): boolean {
    const { readerCore: core } = this.options;
    if (core === undefined) return false;
    this.disk.refresh();
    this.reader ??= RecordLog.openSync(DIRECTORY, {
      core, storage: this.disk.storage(), readOnly: true, mappedBytesMax: this.random.pick([0, 65536, 1 << 22]),
    });
    return true;
  }

  private async closeReader(): Promise<void> {
    this.reader?.closeSync();
    this.reader = undefined;
    await this.endFollowing('reader');
  }

  /** A reader whose calls fail gives a typed error or the right records, and reads on afterwards. */
  private readerUnderFaults(): void {
    const { random, disk } = this;
    if (this.options.faults !== true || !random.chance(0.2)) return;
    const plan = disk.failAt({
      error: 'EIO', nth: random.between(1, 4), times: random.pick([1, Infinity]), written: random.integer(5000),
    });
    try {
      compareSome(this.reader!, this.model, random, this.refs);
    } catch (error) {
      if (plan.fired === 0 || !VarveError.is(error, 'ERR_VARVE_IO')) throw error;
    } finally {
      plan.cancel();
    }
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
      this.judgeReader(this.forReader());
      closeWhateverFails(log);
    }
    this.current = undefined;
    await this.endFollowing('writer');
    await this.settlePending();
    // What a failed sync has dropped from the cache shows its old bytes, now or later.
    const floor = this.disk.evictFailedPages() > 0 ? this.durableLsn : this.committed();
    await this.reopen({ candidates, floor });
  }

  /** After the death of the writer's process: the machine goes on, and so does the reader. */
  private async afterKill(): Promise<void> {
    this.tally.count('kills');
    this.trace('kill');
    const expectation = { candidates: [this.before, this.model], floor: this.committed() };
    this.bury();
    await this.settlePending();
    if (this.random.chance(0.5)) this.judgeReader(this.forReader());
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
        if (disk.evictFailedPages() > 0) floor = Math.min(floor, this.durableLsn);
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
    this.noteChange(longest);
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
    await this.closeReader();
    const copy = this.disk.clone();
    const again = RecordLog.openSync(DIRECTORY, { core: this.options.readerCore!, storage: copy.storage() });
    const { outcome, because } = again.recovery;
    again.closeSync();
    if (outcome !== 'whole') throw new Error(`recovered, but opening it again finds it ${outcome}: ${because}`);
  }

  /** A reader of what a writer left half-done: it sees one of the models, or says that it cannot. */
  private judgeReader(expectation: Expectation): void {
    try {
      if (!this.openReader()) return;
      if (this.reader!.recovery.outcome === 'corrupt') throw new Error('the reader finds it corrupt');
      this.tally.add('records by the reader', judge(this.reader!, expectation).records.length);
    } catch (error) {
      if (!VarveError.is(error, 'ERR_VARVE_TRUNCATED') && !VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) throw error;
    }
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
        if (random.chance(0.3)) this.judgeReader(expectation);
        await this.closeReader();
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
    this.buryReader();
    this.bury();
  }

  /** Clears away what a dead writer had, and starts the next process. */
  private bury(): void {
    if (this.current !== undefined) closeWhateverFails(this.current);
    this.current = undefined;
    this.followings.writer = undefined;
    wipeCore(this.options.core);
    this.storage = this.start();
  }

  private buryReader(): void {
    if (this.reader !== undefined) closeWhateverFails(this.reader);
    this.reader = undefined;
    this.followings.reader = undefined;
    if (this.options.readerCore !== undefined) wipeCore(this.options.readerCore);
  }

  /** Gives up everything as it is. */
  abandon(): void {
    this.disk.processCrash();
    this.buryReader();
    this.bury();
  }

  /** Closes the log and compares it, opened again, with the model. */
  async finish(): Promise<void> {
    this.disk.queue.mode = 'immediate';
    this.current ??= this.open();
    await this.closeAndOpen();
    this.log.closeSync();
    await this.closeReader();
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

/** Its process is dead, or its disk is: errors are of no interest, but what is wrong with varve itself is. */
function closeWhateverFails(log: RecordLog): void {
  try {
    log.closeSync();
  } catch (error) {
    if (!(error instanceof SimulatedPowerCut) && !VarveError.is(error)) throw error;
  }
}
