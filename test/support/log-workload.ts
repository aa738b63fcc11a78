/**
 * A seeded workload on a log over the simulated disk, beside a model of what the log must hold, and the judgement of
 * what a power cut leaves of it.
 *
 * The model is an array of payloads. Before each step it is copied; where the power fails in a step, what is found
 * afterwards must be a prefix of the model before or after that step, down to the last record that a sync had
 * acknowledged, with whole batches, and must begin where the log began before or after the step.
 */
import { expect } from 'vitest';
import type { Core } from '../../host/core/core.ts';
import type { StoredFile } from '../../host/io/storage.ts';
import { RecordLog } from '../../host/record-log/record-log.ts';
import { wipeCore } from './log-fixture.ts';
import type { Random } from './random.ts';
import { SimulatedDisk, type SimulatedStorage } from './simulated-disk.ts';

const DIRECTORY = '/store';
/** VARVE_TRACE=1 prints the steps, which is of use with a single seed. */
const TRACE = process.env['VARVE_TRACE'] === '1';

interface Model {
  /** LSN of the first record. */
  first: number;
  /** What it may be at most while the oldest records are being dropped. */
  firstMax: number;
  readonly payloads: string[];
  /** Last LSN of each batch by the LSNs of its other records: none of these may be the last of the log. */
  readonly unfinished: ReadonlySet<number>;
  /** The last LSN that a sync has acknowledged. */
  durable: number;
}

function copyOf(model: Model): Model {
  return { ...model, payloads: [...model.payloads], unfinished: new Set(model.unfinished) };
}

function lastOf(model: Model): number {
  return model.first + model.payloads.length - 1;
}

/** What all runs together have seen, so that a suite can say what it has covered. */
export interface Tally {
  cuts: number;
  records: number;
  lost: number;
  readonly outcomes: Map<string, number>;
}

export function emptyTally(): Tally {
  return { cuts: 0, records: 0, lost: 0, outcomes: new Map() };
}

export class Workload {
  readonly disk: SimulatedDisk;
  private readonly core: Core;
  private readonly random: Random;
  private readonly tally: Tally;
  private storage: SimulatedStorage;
  private log: RecordLog | undefined;
  private model: Model = { first: 1, firstMax: 1, payloads: [], unfinished: new Set(), durable: 0 };
  /** Before and after the step in which the disk stopped taking anything. */
  private stopped: readonly [Model, Model] | undefined;
  private nextText = 0;
  private epoch = 0;
  private readonly pending: Promise<unknown>[] = [];

  private readonly lying: boolean;

  /** `lying` makes a disk that acknowledges syncs without doing them, to see whether the judge would notice. */
  constructor(core: Core, random: Random, tally: Tally, syncs: 'immediate' | 'manual', lying = false) {
    this.lying = lying;
    this.core = core;
    this.random = random;
    this.tally = tally;
    this.disk = new SimulatedDisk({ random: random.fork(), syncs });
    this.storage = this.start();
  }

  private start(): SimulatedStorage {
    const storage = this.disk.storage();
    if (!this.lying) return storage;
    const nothing = { sync: async () => undefined, syncNow: () => undefined };
    const deaf = (file: StoredFile) => Object.assign(file, nothing);
    const open = storage.open.bind(storage);
    const create = storage.create.bind(storage);
    return Object.assign(storage, {
      open: (path: string, access: 'read' | 'write') => deaf(open(path, access)),
      create: (path: string) => deaf(create(path)),
    });
  }

  private text(): string {
    const { random } = this;
    const length = random.pick([0, 5, 30, 200, 1000, 5000, 20_000]);
    return `${this.nextText++} `.padEnd(random.integer(length + 1), 'x');
  }

  private open(): RecordLog {
    return RecordLog.openSync(DIRECTORY, {
      core: this.core, storage: this.storage, segmentBytes: 65536,
      mappedBytesMax: this.random.pick([0, 65536, 1 << 22]),
    });
  }

  /** Does one random step; false where the power failed in it. */
  async step(): Promise<boolean> {
    const before = copyOf(this.model);
    try {
      await this.act();
    } catch (error) {
      if (this.powered()) throw error;
      this.stopped ??= [before, this.model];
      return false;
    }
    if (this.disk.frozen) this.stopped ??= [before, copyOf(this.model)];
    return true;
  }

  private trace(...what: unknown[]): void {
    if (TRACE) console.info(...what, this.disk.paths().map((path) => path.replace(/^.*?0*(\d+\.)/, '$1')).join(' '));
  }

  private powered(): boolean {
    try {
      this.storage.now();
      return true;
    } catch {
      return false;
    }
  }

  /** The model is changed before the log, so that a step that is cut short counts as done, or as not begun. */
  private async act(): Promise<void> {
    const { random, model, disk } = this;
    const log = this.log ??= this.open();
    const choice = random.integer(100);
    this.trace('step', choice, `${model.first}..${lastOf(model)}, durable ${model.durable}`);
    if (choice < 40) {
      for (let count = random.between(1, 6); count > 0; count--) {
        model.payloads.push(this.text());
        expect(log.append(model.payloads.at(-1)!)).toBe(lastOf(model));
      }
    } else if (choice < 55) {
      // Some are large enough for the stage, a few for more than that.
      const length = random.chance(0.2) ? random.pick([40, 80, 700]) : random.between(1, 8);
      const batch = Array.from({ length }, () => this.text());
      const first = lastOf(model) + 1;
      model.payloads.push(...batch);
      (this.model as { unfinished: ReadonlySet<number> }).unfinished
        = new Set([...model.unfinished, ...batch.slice(1).map((_, at) => first + at)]);
      log.appendBatch(batch);
    } else if (choice < 68) {
      const sync = log.sync().then((lsn) => this.acknowledge(lsn, model));
      if (disk.queue.mode === 'manual') this.pending.push(sync.catch(() => undefined));
      else await sync;
    } else if (choice < 74) {
      this.acknowledge(log.syncNow(), model);
    } else if (choice < 80) {
      log.rotate();
    } else if (choice < 85) {
      const lsn = random.between(model.first, lastOf(model) + 1);
      model.firstMax = lsn;
      const first = log.truncateBefore(lsn);
      model.payloads.splice(0, first - model.first);
      model.first = first;
      model.firstMax = first;
      model.durable = Math.max(model.durable, first - 1);
    } else if (choice < 90) {
      const lsn = random.between(model.first - 1, lastOf(model));
      model.payloads.length = lsn - model.first + 1;
      // Whoever cuts inside a batch makes what is left of it a batch.
      this.forgetBatches(lsn);
      model.durable = Math.min(model.durable, lsn);
      log.truncateAfter(lsn);
    } else if (choice < 92) {
      model.first = lastOf(model) + 1;
      model.firstMax = model.first;
      model.payloads.length = 0;
      log.reset();
      model.durable = model.first - 1;
    } else {
      await this.closeAndOpen(log);
    }
    if (disk.queue.mode === 'manual' && random.chance(0.5)) {
      disk.completeSyncs(random.between(1, 3));
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
    if (random.chance(0.1)) disk.writeBack(random);
  }

  private forgetBatches(from: number): void {
    (this.model as { unfinished: ReadonlySet<number> }).unfinished
      = new Set([...this.model.unfinished].filter((lsn) => lsn < from));
  }

  private async closeAndOpen(log: RecordLog): Promise<void> {
    const last = lastOf(this.model);
    const closing = log.close();
    for (let turn = 0; turn < 200 && this.disk.queue.length > 0; turn++) {
      this.disk.completeSyncs();
      for (let hop = 0; hop < 10; hop++) await Promise.resolve();
    }
    await closing;
    this.log = undefined;
    this.acknowledge(last, this.model);
    this.log = this.open();
    expect(this.log.recovery).toMatchObject({ outcome: last === 0 && this.log.recovery.segments === 0
      ? expect.any(String) : 'whole', closedCleanly: true, scannedRecords: 0 });
    this.compare(this.log, this.model);
  }

  private acknowledge(lsn: number, model: Model): void {
    if (this.disk.frozen) return;
    // A truncation may have come between the sync and this word of it.
    model.durable = Math.max(model.durable, Math.min(lsn, lastOf(model)));
  }

  private compare(log: RecordLog, model: Model): void {
    expect([log.firstLsn, log.lastLsn]).toEqual([model.first, lastOf(model)]);
    let lsn = model.first;
    for (const record of log.scan()) {
      const text = Buffer.from(record.payload.buffer, record.payload.byteOffset, record.payload.length).toString();
      if (record.lsn !== lsn || text !== model.payloads[lsn - model.first]) throw new Error(`record ${lsn} is wrong`);
      if (record.epoch > log.recovery.epoch + 1000) throw new Error(`record ${lsn} has epoch ${record.epoch}`);
      lsn++;
    }
    expect(lsn).toBe(lastOf(model) + 1);
  }

  /** Cuts the power, starts again, and judges what is left; goes on with it as the model. */
  async cutAndJudge(): Promise<void> {
    const { disk, random, tally } = this;
    const candidates = this.stopped ?? [copyOf(this.model), this.model];
    const policy = random.pick([{}, {}, {}, { pages: 'lost', sizes: 'old', names: 'lost' }, { pages: 'kept' },
      { metadata: 'any' }, { pages: 'lost', sizes: 'new', names: 'kept' }] as const);
    disk.powerCut(random, policy);
    await Promise.allSettled(this.pending.splice(0));
    this.bury();
    const mode = disk.queue.mode;
    disk.queue.mode = 'immediate';
    this.trace('cut', policy, ...candidates.map((each) => (
      `${each.first}(${each.firstMax})..${lastOf(each)}, durable ${each.durable}`)));
    if (random.chance(0.3)) this.judgeReader(candidates);
    // The machine may stop again while it recovers, any number of times.
    while (random.chance(0.3)) {
      const plan = disk.failAt({ error: 'power-cut', nth: random.between(1, 60) });
      try {
        this.log = this.open();
      } catch (error) {
        if (this.powered()) throw error;
      }
      plan.cancel();
      disk.powerCut(random, policy);
      this.trace('cut again', plan.fired);
      this.bury();
    }
    const log = this.log = this.open();
    disk.queue.mode = mode;
    tally.cuts++;
    const { outcome } = log.recovery;
    tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
    expect(log.recovery.epoch).toBeGreaterThanOrEqual(this.epoch);
    this.epoch = log.recovery.epoch;
    const { model, records } = this.judge(log, candidates);
    tally.records += records;
    tally.lost += lastOf(candidates[1]) - lastOf(model);
    this.model = model;
    this.forgetBatches(lastOf(model));
    this.stopped = undefined;
    disk.check();
    const strange = disk.paths().filter((path) => !/(CONTROL|LOCK|\d{20}\.seg|\.cut)$/.test(path));
    expect(strange).toEqual([]);
  }

  private judgeReader(candidates: readonly [Model, Model]): void {
    if (!this.disk.paths().some((path) => /(CONTROL|seg)$/.test(path))) return;
    const reader = RecordLog.openSync(DIRECTORY, { core: this.core, storage: this.disk.storage(), readOnly: true });
    try {
      expect(reader.recovery.outcome).not.toBe('corrupt');
      this.judge(reader, candidates);
    } finally {
      reader.closeSync();
    }
  }

  /** Finds which of the models the log is a prefix of; an error says why it is neither. */
  private judge(log: RecordLog, candidates: readonly [Model, Model]): { model: Model; records: number } {
    const durable = Math.min(...candidates.map((each) => each.durable));
    const found = [...log.scan()].map(({ lsn, payload }) => ({ lsn, text: Buffer.from(payload).toString() }));
    const last = log.lastLsn;
    const reasons = candidates.map((model) => {
      if (log.firstLsn < model.first || log.firstLsn > model.firstMax) return `begins at ${log.firstLsn}`;
      if (last > lastOf(model)) return `ends at ${last}, beyond ${lastOf(model)}`;
      if (last < durable) return `ends at ${last}, but ${durable} was durable`;
      if (model.unfinished.has(last)) return `ends at ${last}, inside a batch`;
      let next = log.firstLsn;
      for (const { lsn, text } of found) {
        if (lsn !== next++) return `record ${lsn} stands where ${next - 1} belongs`;
        if (lsn >= model.first && text !== model.payloads[lsn - model.first]) return `record ${lsn} is wrong`;
      }
      return next === last + 1 ? '' : `the scan ends at ${next - 1} of ${last}`;
    });
    const at = reasons.indexOf('');
    if (at < 0) throw new Error(`after ${log.recovery.outcome} (${log.recovery.because}): ${reasons.join(' / ')}`);
    const model = {
      first: log.firstLsn, firstMax: log.firstLsn, payloads: found.map(({ text }) => text),
      unfinished: candidates[at]!.unfinished, durable: last,
    };
    return { model, records: found.length };
  }

  private bury(): void {
    try {
      this.log?.closeSync();
    } catch {
      // Its process is dead.
    }
    this.log = undefined;
    wipeCore(this.core);
    this.storage = this.start();
  }

  /** Gives up the log as it is. */
  abandon(): void {
    this.disk.processCrash();
    this.bury();
  }

  /** Closes the log and compares it, opened again, with the model. */
  async finish(): Promise<void> {
    this.disk.queue.mode = 'immediate';
    if (this.log === undefined) this.log = this.open();
    await this.closeAndOpen(this.log);
    this.log?.closeSync();
    this.disk.check();
    wipeCore(this.core);
  }
}
