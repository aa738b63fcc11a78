/**
 * A seeded workload on a key-value store over the simulated disk: its writer, a reader beside it, the faults that they
 * meet, and the restarts in between. After each of them the store must hold exactly what the journal of the model says
 * up to the store's last record, which may not lie below what was promised, nor inside a batch.
 */
import type { Core } from '../../host/core/core.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { KeyValueStore } from '../../host/key-value/key-value-store.ts';
import { withKnownId } from './kv-against.ts';
import { KeyValueDriver } from './kv-driver.ts';
import { compareKey, compareWhole } from './kv-judge.ts';
import { DIRECTORY, KeyValueOnlooker, closeWhateverFails } from './kv-onlooker.ts';
import { KEYS, type Operation, drawOperation } from './kv-operations.ts';
import { type Store, turns } from './kv-session.ts';
import { KeyValueWatching } from './kv-watching.ts';
import { drawFault, fillUp, lyingStorage } from './log-faults.ts';
import { wipeCore } from './log-fixture.ts';
import type { Random } from './random.ts';
import { type PlannedFault, SimulatedDisk, type SimulatedPowerCut, type SimulatedStorage } from './simulated-disk.ts';
import type { Tally } from './tally.ts';

const TRACE = process.env['VARVE_TRACE'] === '1';

export interface KeyValueWorkloadOptions {
  readonly core: Core;
  /** The reader's; without one there is no reader. */
  readonly readerCore?: Core;
  readonly random: Random;
  readonly tally: Tally;
  readonly syncs: 'immediate' | 'manual';
  /** Whether calls fail, the disk fills up and the writer is killed, beside the power cuts. */
  readonly faults?: boolean;
  /** A disk that acknowledges syncs without doing them. */
  readonly lying?: boolean;
}

/** What a fault may be met with. */
function isTyped(error: unknown): boolean {
  return (['ERR_VARVE_IO', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_POISONED'] as const)
    .some((code) => VarveError.is(error, code));
}

export class KeyValueWorkload extends KeyValueDriver {
  readonly disk: SimulatedDisk;
  readonly random: Random;
  private readonly setup: KeyValueWorkloadOptions;
  private readonly tally: Tally;
  private storage: SimulatedStorage;
  private readonly onlooker: KeyValueOnlooker | undefined;
  private readonly watching: KeyValueWatching;
  /** The last LSN that was said to be on disk. */
  private durableLsn = 0;
  /** Whether a fault has struck since the store was opened. */
  private faulted = false;
  private plan: PlannedFault | undefined;
  /** The store of a machine that has no power. */
  private lost: Store | undefined;

  constructor(setup: KeyValueWorkloadOptions) {
    const disk = new SimulatedDisk({ random: setup.random.fork(), syncs: setup.syncs });
    const auto = setup.random.chance(0.4) ? { minBytes: 80_000, minDeadRatio: 0.3 } : false;
    super({
      directory: DIRECTORY,
      store: () => ({ core: setup.core, storage: this.storage, autoCompact: auto }),
      completeSyncs: () => { disk.completeSyncs(); },
      refresh: () => { disk.refresh(); },
    });
    this.disk = disk;
    this.setup = setup;
    this.random = setup.random;
    this.tally = setup.tally;
    this.storage = this.start();
    this.watching = new KeyValueWatching(setup.random.fork(), setup.tally);
    this.onlooker = setup.readerCore && new KeyValueOnlooker(disk, setup.readerCore, setup.random, setup.tally);
  }

  private start(): SimulatedStorage {
    const storage = withKnownId(this.disk.storage()) as SimulatedStorage;
    const wake = storage.wake.bind(storage);
    // The process may have ended in the background, before anybody could bury it.
    storage.wake = (...place) => { if (this.isAlive(storage)) wake(...place); };
    return this.setup.lying === true ? lyingStorage(storage) : storage;
  }

  protected override durable(lsn: number): void {
    if (!this.disk.frozen) this.durableLsn = Math.max(this.durableLsn, Math.min(lsn, this.model.committedLsn));
  }

  private isAlive(storage: SimulatedStorage): boolean {
    try {
      storage.now();
      return true;
    } catch {
      return false;
    }
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

  /** What ends in the background, ends all. */
  private mustLive(): void {
    this.storage.now();
  }

  private trace(...what: unknown[]): void {
    if (!TRACE) return;
    const text = what.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join(' ').slice(0, 300);
    process.stderr.write(`${text} | ${this.model.committedLsn}, durable ${this.durableLsn}\n`);
  }

  /** Does one random operation and looks at what it has done; false where the power failed. */
  async step(): Promise<boolean> {
    const { random, disk } = this;
    try {
      this.mustLive();
      if (this.current === undefined) this.open();
      if (this.setup.faults === true) this.planFault(12);
      const operation = drawOperation(random);
      this.trace(operation);
      if (operation.name === 'reopen') this.forgetIterations();
      await this.run(operation);
      if (disk.queue.mode === 'manual' && random.chance(0.5)) disk.completeSyncs(random.between(1, 3));
      if (random.chance(0.3)) await turns(1);
      this.noteFaults();
      this.mustLive();
      this.throwErrors();
      this.inspect(operation);
      if (this.setup.faults !== true && random.chance(0.3)) await this.watching.look(this.store, this.model);
    } catch (error) {
      this.noteFaults();
      if (this.ended() === 'power-cut') return false;
      await this.unlessCut(() => (this.ended() === 'kill' ? this.afterKill() : this.afterError(error)));
      if (this.ended() === 'power-cut') return false;
    }
    if (random.chance(0.1)) disk.writeBack(random);
    return true;
  }

  private async unlessCut(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (this.ended() !== 'power-cut') throw error;
    }
  }

  private planFault(most: number): void {
    const { random, disk } = this;
    if (random.chance(0.05)) {
      fillUp(disk, random);
      this.faulted = true;
      this.tally.count('faults.disk full');
    } else if (random.chance(0.25)) {
      const plan = drawFault(random, most);
      this.plan = disk.failAt(plan);
      this.trace('plan', plan);
    }
  }

  private noteFaults(): void {
    this.disk.capacity = Infinity;
    this.plan?.cancel();
    if ((this.plan?.fired ?? 0) > 0) this.faulted = true;
    this.plan = undefined;
  }

  private inspect(operation: Operation): void {
    const { random, store } = this;
    if (store.poisoned) throw new VarveError('ERR_VARVE_POISONED', 'a sync has failed');
    this.durable(store.durableLsn);
    this.disk.refresh();
    if (operation.name === 'putMany' || random.chance(0.1)) compareWhole(store, this.model.state, this.now);
    else compareKey(store, random.pick(KEYS), this.model.state, this.now);
    if (random.chance(0.3)) this.judgeReader(true);
  }

  private judgeReader(isAlive: boolean): void {
    this.onlooker?.judge(this.model, this.now, isAlive ? this.store.lastLsn : undefined);
  }

  protected override noteFailed(): void {
    try {
      if (!this.store.poisoned) super.noteFailed();
    } catch {
      // What is there is judged after the restart.
    }
  }

  private forgetIterations(): void {
    this.iterations = [];
  }

  /** After an error: the store is as it was or as it should be; or it is poisoned, can be read, and is opened again. */
  private async afterError(error: unknown): Promise<void> {
    if (!this.faulted || !isTyped(error)) throw error;
    this.trace('error', (error as Error).message);
    const store = this.current;
    if (store !== undefined && !store.closed && !store.poisoned) {
      this.tally.count('errors survived');
      this.model.settle(store.lastLsn);
      this.disk.refresh();
      compareWhole(store, this.model.state, this.now);
      return;
    }
    const { committedLsn } = this.model;
    if (store !== undefined && !store.closed) {
      this.tally.count('poisoned');
      this.disk.refresh();
      compareWhole(store, this.model.at(store.lastLsn), this.now);
      closeWhateverFails(store);
    }
    this.current = undefined;
    this.forgetIterations();
    await this.endPending();
    const isEvicted = this.random.chance(0.5) && this.evict();
    await this.restart(isEvicted ? this.durableLsn : committedLsn);
  }

  /** Drops what failed syncs have left. A reader has seen it, and is not told. */
  private evict(): boolean {
    if (this.disk.evictFailedPages() === 0) return false;
    this.onlooker?.close();
    return true;
  }

  private async afterKill(): Promise<void> {
    this.tally.count('kills');
    this.trace('kill');
    await this.bury();
    if (this.random.chance(0.5)) this.judgeReader(false);
    await this.restart(this.model.committedLsn);
  }

  /** Waits for what was under way in a process or a store that is no more. */
  private async endPending(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      this.disk.completeSyncs();
      await turns(1);
    }
    this.pending.length = 0;
    this.errors.length = 0;
  }

  /** Clears away what a dead writer had, and starts the next process. */
  private async bury(): Promise<void> {
    const store = this.current ?? this.lost;
    if (store !== undefined) closeWhateverFails(store);
    this.current = this.lost = undefined;
    this.forgetIterations();
    // What the dead process was about to do must not be done to the memory of the next one.
    await this.closing;
    await this.endPending();
    wipeCore(this.setup.core);
    this.storage = this.start();
  }

  /** Opens the store until it can be opened, judges it, and goes on with what is there. */
  private async restart(least: number): Promise<void> {
    const { random, tally } = this;
    let floor = least;
    for (;;) {
      if (this.setup.faults === true && random.chance(0.3)) this.planFault(60);
      try {
        this.open();
        this.noteFaults();
        break;
      } catch (error) {
        this.noteFaults();
        if (this.ended() === 'power-cut') return;
        if (this.ended() === 'kill') await this.bury();
        else if (!this.faulted || !isTyped(error)) throw error;
        tally.count('openings that failed');
        if (random.chance(0.5) && this.evict()) floor = Math.min(floor, this.durableLsn);
      }
    }
    this.faulted = false;
    tally.count('restarts');
    const { store } = this;
    const { keydir, hints, damaged } = store.recovery;
    tally.count(`key directory ${keydir}`);
    tally.add('hints used', hints);
    if (damaged.length > 0) throw new Error(`recovery found damaged records: ${JSON.stringify(damaged)}`);
    const { lastLsn } = store;
    this.trace('opened', keydir, lastLsn, 'floor', floor);
    if (lastLsn < floor) throw new Error(`the store ends at ${lastLsn}, but ${floor} was there for good`);
    tally.add('records not durable and lost', Math.max(0, this.model.committedLsn - lastLsn));
    // What a process that was killed had not synced is synced in the background; until then it may go with the machine.
    tally.add('records left to the background', Math.max(0, lastLsn - store.durableLsn));
    this.durableLsn = Math.max(this.durableLsn, store.durableLsn);
    this.model.restart(lastLsn, this.durableLsn);
    this.disk.refresh();
    tally.add('keys compared', compareWhole(store, this.model.state, this.now));
    this.requireRepeatable();
  }

  /** Another process that opened it now would find the same, whatever it made its table of. */
  private requireRepeatable(): void {
    const { readerCore: core } = this.setup;
    if (core === undefined || this.random.chance(0.7)) return;
    this.onlooker?.close();
    const again = KeyValueStore.openSync<Buffer>(DIRECTORY, {
      core, storage: this.disk.clone().storage(), keys: 'binary', now: () => this.now, autoCompact: false,
    });
    compareWhole(again, this.model.state, this.now);
    again.closeSync();
  }

  /** Cuts the power, starts again, judges what is left, and goes on with it. */
  async cutAndJudge(): Promise<void> {
    const { disk, random } = this;
    const policy = random.pick([{}, {}, {}, { pages: 'lost', sizes: 'old', names: 'lost' }, { pages: 'kept' },
      { metadata: 'any' }, { pages: 'lost', sizes: 'new', names: 'kept' }] as const);
    const { mode } = disk.queue;
    // The disk, which is about to start anew, takes for durable what is told too late.
    this.lost = this.current;
    this.current = undefined;
    do {
      disk.powerCut(random, policy);
      this.trace('cut', policy);
      this.tally.count('faults.power cut');
      this.onlooker?.bury();
      await this.bury();
      disk.queue.mode = 'immediate';
      // The machine may stop again while it recovers.
      const plan = random.chance(0.3) ? disk.failAt({ error: 'power-cut', nth: random.between(1, 80) }) : undefined;
      await this.unlessCut(async () => { await this.restart(this.durableLsn); });
      plan?.cancel();
    } while (this.ended() !== undefined);
    disk.queue.mode = mode;
    disk.check();
  }

  /** Gives up everything as it is. */
  async abandon(): Promise<void> {
    this.disk.processCrash();
    this.onlooker?.bury();
    await this.bury();
  }

  /** Closes the store and compares it, opened again, with the model. */
  override async finish(): Promise<void> {
    this.disk.queue.mode = 'immediate';
    if (this.current === undefined) this.open();
    try {
      await this.settle();
      if (this.store.poisoned) throw new VarveError('ERR_VARVE_POISONED', 'a sync has failed');
    } catch (error) {
      // A fault of the last step, whose call ends only now.
      await this.afterError(error);
    }
    await super.finish();
    this.onlooker?.close();
    this.disk.check();
    for (const [error, count] of this.disk.faults.injected) {
      if (error !== 'power-cut') this.tally.add(`faults.${error}`, count);
    }
    for (const core of [this.setup.core, this.setup.readerCore]) {
      const left = core === undefined ? 0 : core.memory.bytes.length - STATIC_END - core.memory.largestFree();
      if (left !== 0) throw new Error(`${left} bytes of the core's memory were not given back`);
    }
  }
}

/** Runs a workload to its end, and clears it away where it fails. */
export async function withKeyValueWorkload(
  setup: KeyValueWorkloadOptions, run: (workload: KeyValueWorkload) => Promise<void>,
): Promise<void> {
  const workload = new KeyValueWorkload(setup);
  try {
    await run(workload);
    await workload.finish();
  } catch (error) {
    await workload.abandon();
    throw error;
  }
}

/** Three lives, each ended by a power cut at any call. */
export async function cutKeyValueThrice(setup: KeyValueWorkloadOptions): Promise<void> {
  const { random } = setup;
  await withKeyValueWorkload(setup, async (workload) => {
    for (let life = 0; life < 3; life++) {
      const plan = workload.disk.failAt({ error: 'power-cut', nth: random.between(1, 500) });
      for (let steps = random.between(3, 50); steps > 0; steps--) if (!await workload.step()) break;
      plan.cancel();
      await workload.cutAndJudge();
    }
  });
}
