/**
 * The simulated writer: one log in one process of the simulated disk, beside the model of what it must hold. Each call
 * of the log changes the model before it runs, so that a call that is cut short leaves one of two models.
 */
import type { Core } from '../../host/core/core.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import { lyingStorage } from './log-faults.ts';
import { wipeCore } from './log-fixture.ts';
import { type Expectation, compareAll } from './log-judge.ts';
import { EMPTY_MODEL, type Model, lastOf } from './log-model.ts';
import { DIRECTORY, type OnlookerOptions, Onlookers, closeWhateverFails } from './log-onlookers.ts';
import type { Stage } from './log-steps.ts';
import type { Random } from './random.ts';
import { SimulatedDisk, type SimulatedPowerCut, type SimulatedStorage } from './simulated-disk.ts';
import type { Tally } from './tally.ts';

/** VARVE_TRACE=1 prints the steps, which is of use with a single seed. */
const TRACE = process.env['VARVE_TRACE'] === '1';

export interface WorkloadOptions extends OnlookerOptions {
  /** The writer's core. */
  readonly core: Core;
  readonly syncs: 'immediate' | 'manual';
  /** Whether calls fail, the disk fills up and the writer is killed, beside the power cuts. */
  readonly faults?: boolean;
  /** A disk that acknowledges syncs without doing them, to see whether the judge would notice. */
  readonly lying?: boolean;
}

export abstract class SimulatedWriter implements Stage {
  readonly disk: SimulatedDisk;
  readonly random: Random;
  model = EMPTY_MODEL;
  protected readonly options: WorkloadOptions;
  protected readonly tally: Tally;
  protected storage: SimulatedStorage;
  protected current: RecordLog | undefined;
  protected readonly onlookers: Onlookers;
  /** The model before the call that is under way; the model itself where none is. */
  protected before = EMPTY_MODEL;
  /** The last LSN that was said to be on disk. */
  protected durableLsn = 0;
  /** What there was when the disk stopped taking anything. */
  protected stopped: Expectation | undefined;
  /** Whether a fault has struck since the log was opened, so that it may be poisoned. */
  protected faulted = false;
  protected numbers = 0;
  protected epoch = 0;
  protected readonly pending: Promise<unknown>[] = [];
  /** Whether a sync that nobody waited for has failed. */
  protected syncFailed = false;

  constructor(options: WorkloadOptions) {
    this.options = options;
    this.random = options.random;
    this.tally = options.tally;
    this.disk = new SimulatedDisk({ random: options.random.fork(), syncs: options.syncs });
    this.onlookers = new Onlookers(this.disk, options);
    this.storage = this.start();
  }

  protected start(): SimulatedStorage {
    const storage = this.disk.storage();
    return this.options.lying === true ? lyingStorage(storage) : storage;
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
    this.onlookers.noteChange(this.before, this.model);
    this.before = this.model;
  }

  /** Takes down what there was when the disk stopped taking anything: every later call goes on as if nothing had. */
  protected noteFrozen(): void {
    if (this.disk.frozen) this.stopped ??= this.expectation();
  }

  async sync(): Promise<void> {
    const sync = this.log.sync().then((lsn) => this.durable(lsn));
    if (this.disk.queue.mode === 'manual') this.pending.push(sync.catch(() => { this.syncFailed = true; }));
    else await sync;
  }

  async dropBefore(lsn: number, between: () => void): Promise<void> {
    const { writer } = this.log as unknown as { writer: LogWriter };
    const state = { settled: false };
    const drop = writer.dropBefore(lsn).finally(() => { state.settled = true; });
    // An error of this one is waited for below; until then it is not an unhandled one.
    drop.catch(() => undefined);
    while (!state.settled) {
      // What a failing append makes of the model would have to be told from what the drop does.
      if (this.options.faults !== true && this.random.chance(0.3)) between();
      this.disk.completeSyncs(this.random.between(1, 3));
      for (let hop = 0; hop < 10; hop++) await Promise.resolve();
    }
    await drop;
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
  protected async completeAll(): Promise<void> {
    for (let turn = 0; turn < 200 && this.disk.queue.length > 0; turn++) {
      this.disk.completeSyncs();
      for (let hop = 0; hop < 10; hop++) await Promise.resolve();
    }
  }

  protected async settlePending(): Promise<void> {
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
    await this.onlookers.endFollowing('writer');
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

  protected open(): RecordLog {
    return RecordLog.openSync(DIRECTORY, {
      core: this.options.core, storage: this.storage, segmentBytes: 65536,
      mappedBytesMax: this.random.pick([0, 65536, 1 << 22]),
    });
  }

  protected expectation(): Expectation {
    return { candidates: [this.before, this.model], floor: this.durableLsn };
  }

  /** What must be there where the page cache survives: every record whose call has returned. */
  protected committed(): number {
    return Math.min(lastOf(this.before), lastOf(this.model));
  }

  /** What a reader must see of it: where a truncation was left half-done, readers stay with what they knew. */
  protected forReader(): Expectation {
    const truncated = lastOf(this.model) < lastOf(this.before) || this.model.firstMax !== this.model.first;
    if (!truncated) return { candidates: [this.before, this.model], floor: this.committed() };
    return { candidates: [this.before, this.model, this.onlookers.readerKnew], floor: 0 };
  }

  protected trace(...what: unknown[]): void {
    if (!TRACE) return;
    const range = `${this.model.first}..${lastOf(this.model)}, durable ${this.durableLsn}`;
    console.info(...what, range, this.disk.paths().map((path) => path.replace(/^.*?0*(\d+\.)/, '$1')).join(' '));
  }

  /** How the writer's process has ended, if it has. */
  protected ended(): 'power-cut' | 'kill' | undefined {
    try {
      this.storage.now();
      return undefined;
    } catch (error) {
      return (error as SimulatedPowerCut).reason;
    }
  }

  /** Clears away what a dead writer had, and starts the next process. */
  protected bury(): void {
    if (this.current !== undefined) closeWhateverFails(this.current);
    this.current = undefined;
    this.onlookers.forgetWriter();
    wipeCore(this.options.core);
    this.storage = this.start();
  }
}
