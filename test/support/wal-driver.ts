/**
 * A group on the simulated disk beside its model: a coordinator and writers in processes of their own, each with a core
 * of its own, in one event loop that this drives. Time passes only while something is waited for.
 */
import { Kind, STORE_KIND_GROUP_CORE } from '../../host/generated/abi.ts';
import type { Core } from '../../host/core/core.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { openReader } from '../../host/log/open.ts';
import { corePath } from '../../host/wal/names.ts';
import type { WalGroupOptions } from '../../host/wal/types.ts';
import { WalGroup } from '../../host/wal/wal-group.ts';
import type { WalWriter } from '../../host/wal/writer.ts';
import { wipeCore } from './log-fixture.ts';
import type { Random } from './random.ts';
import { SimulatedPowerCut, type SimulatedDisk, type SimulatedStorage } from './simulated-disk.ts';
import type { Tally } from './tally.ts';
import { fail, type Own, WalModel } from './wal-model.ts';

export const DIRECTORY = '/group';
const SEGMENT_BYTES = 65536;
/** How long a wait of the simulated machine takes. */
const TICK_MS = 20;
const SOURCES = ['orders', 'payments', 'ü'];
/** What a fault may make of a call. */
const EXPECTED = ['ERR_VARVE_IO', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_POISONED', 'ERR_VARVE_CONTENTION',
  'ERR_VARVE_CLOSED'] as const;

export interface DriverOptions {
  readonly disk: SimulatedDisk;
  /** The core of each process: the coordinator's first. */
  readonly memories: readonly Core[];
  readonly random: Random;
  readonly tally: Tally;
  readonly cores: number;
}

/** A process that writes. */
export interface Party {
  readonly memory: Core;
  storage: SimulatedStorage;
  readonly writers: Map<number, WalWriter>;
}

/** What a simulated process still had to do when it died, in a later turn of the event loop, is nobody's error. */
export function letTheDeadRest(): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    const listeners = process.listeners(event as 'uncaughtException');
    process.removeAllListeners(event);
    process.on(event, (error: unknown, ...rest: unknown[]) => {
      if (error instanceof SimulatedPowerCut) return;
      for (const listener of listeners) Reflect.apply(listener, process, [error, ...rest]);
    });
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

export class WalDriver {
  readonly disk: SimulatedDisk;
  readonly random: Random;
  readonly tally: Tally;
  readonly model: WalModel;
  readonly parties: Party[];
  group: WalGroup | undefined;
  /** Whether a fault was planned: errors are to be expected. */
  faulted = false;
  /** What was asked for and has not come yet. */
  readonly waiting = new Set<Promise<void>>();
  /** The number of checkpoints and barriers under way. */
  cutting = 0;
  private readonly errors: unknown[] = [];
  private readonly trail: string[] = [];

  constructor({ disk, memories, random, tally, cores }: DriverOptions) {
    this.disk = disk;
    this.random = random;
    this.tally = tally;
    this.model = new WalModel(cores);
    this.parties = memories.map((memory) => ({ memory, storage: disk.storage(), writers: new Map() }));
  }

  trace(...words: unknown[]): void {
    if (this.trail.push(words.join(' ')) > 400) this.trail.splice(0, 200);
  }

  /** The last steps, for the message of a failure. */
  get last(): string {
    return process.env['VARVE_SEED'] === undefined ? '' : `\n  ${this.trail.join('\n  ')}`;
  }

  get coordinator(): Party { return this.parties[0]!; }

  options({ memory, storage }: Party): WalGroupOptions {
    return {
      core: memory, storage, segmentBytes: SEGMENT_BYTES, mappedBytesMax: 1 << 20,
      // A clock that says anything: no order depends on it.
      now: () => 1_000_000 * (1 + this.random.fraction()),
    };
  }

  /** Makes the group, or opens it, as its coordinator. What was not on disk a power cut may have taken, epochs too. */
  open(afterCut = false): void {
    const { coordinator, model } = this;
    const options = { ...this.options(coordinator), checkpointsKept: 2 };
    this.group = coordinator.storage.exists(`${DIRECTORY}/GROUP`)
      ? WalGroup.openSync(DIRECTORY, options)
      : WalGroup.createSync(DIRECTORY, { ...options, cores: model.cores.length });
    const most = Math.max(...model.cores.map((_, core) => model.epochOf(core)));
    if (!afterCut && this.group.epoch < most) fail(`epoch ${this.group.epoch} after ${most}`);
    this.requireComplete();
  }

  /** What is said to be complete must be so from now on. */
  requireComplete(): void {
    const { group, model, disk } = this;
    if (group === undefined || group.closed || disk.frozen) return;
    disk.refresh();
    model.complete = Math.max(model.complete, group.completeEpoch);
  }

  writerOf(core: number): WalWriter | undefined {
    for (const { writers } of this.parties) {
      const writer = writers.get(core);
      if (writer !== undefined) return writer;
    }
    return undefined;
  }

  /** Attaches a core in a process. */
  attach(party: Party, core: number): WalWriter {
    const { model } = this;
    const each = model.cores[core]!;
    const writer = party === this.coordinator ? this.group!.writer(core)
      : WalGroup.attachSync(DIRECTORY, core, this.options(party));
    party.writers.set(core, writer);
    if (writer.sequence < each.slots.length) fail(`core ${core} has ${writer.sequence} entries of ${each.slots.length}`);
    // Epochs never fall; the first of this life is checked when it is appended.
    this.lookAt(core);
    return writer;
  }

  /** Takes in what a writer's service has appended. */
  lookAt(core: number): void {
    const writer = this.writerOf(core);
    // Where a poisoned one ends, nobody knows until it is opened again.
    if (writer === undefined || writer.closed || writer.poisoned) return;
    const { model } = this;
    this.reveal(core, writer.sequence);
    Object.assign(model.cores[core]!, { pending: undefined, doubtful: [] });
    if (!this.disk.frozen) model.durable(core, writer.sequence - writer.entriesSinceSync);
  }

  /** Notes that a core holds so many entries; whether one whose append was cut short is among them is looked up. */
  reveal(core: number, sequence: number): void {
    const { model, coordinator: { memory, storage } } = this;
    const each = model.cores[core]!;
    if ((each.pending !== undefined || each.doubtful.length > 0) && sequence > each.slots.length) {
      const context = { core: memory, storage, directory: corePath(DIRECTORY, core), readOnly: true };
      const { reader } = openReader(context, 1 << 20, STORE_KIND_GROUP_CORE);
      for (let lsn = each.slots.length + 1; lsn <= sequence; lsn++) {
        const { kind, epoch } = reader.segments.read(lsn, false);
        const [own] = model.possible(core, lsn).filter((possible) => possible.kind === kind);
        each.doubtful = each.doubtful.slice(1);
        each.slots.push({ own, epoch });
        if (own === each.pending) each.pending = undefined;
      }
      reader.close();
    }
    model.grow(core, sequence);
  }

  /** Appends entries to a core whose writer is alive. */
  append(core: number): void {
    const { random, model } = this;
    const writer = this.writerOf(core)!;
    const own = this.draft();
    const each = model.cores[core]!;
    this.lookAt(core);
    const { length } = each.slots;
    each.pending = own;
    const known = model.epochOf(core);
    const { complete } = model;
    try {
      this.put(writer, own);
    } catch (error) {
      // What else was under way may have met the end first, and have poisoned the writer.
      const { pid } = this.parties.find(({ writers }) => writers.has(core))!.storage;
      if (!this.disk.runs(pid)) throw new SimulatedPowerCut(this.disk.hasPower ? 'kill' : 'power-cut');
      // Where a poisoned one ends is seen when it is opened again.
      if (!(error instanceof SimulatedPowerCut) && !writer.poisoned) this.unlessDead(core, length, error);
      throw error;
    }
    each.pending = undefined;
    const { sequence, epoch } = writer;
    if (sequence <= length) fail(`core ${core} had ${length} entries and has ${sequence} after an append`);
    model.grow(core, sequence - 1);
    each.slots.push({ own, epoch });
    if (epoch < known) fail(`core ${core} goes on in epoch ${epoch} after ${known}`);
    if (epoch <= complete) fail(`core ${core} goes on in epoch ${epoch}, but ${complete} was complete`);
    this.tally.count('appended');
    if (random.chance(0.1)) this.lookAt(core);
  }

  /** After an append that failed: all that was written is a barrier. */
  private unlessDead(core: number, length: number, cause: unknown): void {
    const { model } = this;
    const writer = this.writerOf(core)!;
    model.cores[core]!.pending = undefined;
    if (writer.sequence > length + 1) {
      fail(`an append that failed (${String(cause)}) has left ${writer.sequence - length} entries`);
    }
    model.grow(core, writer.sequence);
  }

  private put(writer: WalWriter, { kind, key, value, id, offsets, watermark }: Own): void {
    if (kind === Kind.Put) writer.put(key, value);
    else if (kind === Kind.Delete) writer.delete(key);
    else if (kind === Kind.Checkpoint) writer.checkpoint(id!);
    else if (kind === Kind.Commit) writer.commit(offsets as Map<string, number>, watermark);
    else writer.append(kind, key, value);
  }

  private draft(): Own {
    const { random, model } = this;
    const n = model.next();
    const none = { key: '', value: '', id: undefined, offsets: undefined, watermark: undefined };
    const kind = random.pick([Kind.Put, Kind.Put, Kind.Put, Kind.Delete, Kind.Checkpoint, Kind.Commit, 0, 3, 127]);
    if (kind === Kind.Checkpoint) return { ...none, kind, id: n };
    if (kind === Kind.Commit) {
      const names = SOURCES.filter(() => random.chance(0.5));
      const offsets = new Map(names.map((name) => [name, n]));
      return { ...none, kind, offsets, watermark: random.chance(0.6) ? random.between(-5, 50) * 1000 + n : undefined };
    }
    if (kind === Kind.Delete) return { ...none, kind, key: `key ${n}` };
    const value = `value ${n} `.padEnd(random.pick([10, 30, 200, 2000, 12_000]), 'v');
    return { ...none, kind, key: `key ${n % 7}`, value };
  }

  /** Notes what a promise gives, some time later. */
  expect<T>(promise: Promise<T>, check: (result: T) => void): void {
    const { group } = this;
    const checked: Promise<void> = promise.then((result) => {
      if (group === this.group) check(result);
    }).catch((error: unknown) => { this.note(error); }).finally(() => { this.waiting.delete(checked); });
    this.waiting.add(checked);
  }

  /** Takes down an error that was not to be expected. */
  note(error: unknown): void {
    if (error instanceof SimulatedPowerCut) return;
    const isDue = this.faulted || VarveError.is(error, 'ERR_VARVE_CLOSED');
    // A checkpoint that cannot be read now is missed.
    const isMissed = VarveError.is(error, 'ERR_VARVE_CORRUPT') && error.message.includes('no checkpoint that covers');
    const isExpected = isMissed || EXPECTED.some((code) => VarveError.is(error, code));
    if (!isDue || !isExpected) this.errors.push(error);
    else this.tally.count(`refused: ${(error as VarveError).code}`);
  }

  throwErrors(): void {
    const [error] = this.errors.splice(0);
    if (error !== undefined) throw error;
  }

  /** Lets the machine go on for some turns. */
  async pump(turns = 1): Promise<void> {
    const { disk } = this;
    for (let count = 0; count < turns; count++) {
      disk.refresh();
      // Syncs of several files complete in any order.
      if (disk.queue.mode === 'manual' && this.random.chance(0.7)) {
        disk.queue.completeOne((length) => this.random.integer(length));
      }
      disk.clock.advance(TICK_MS);
      await turn();
    }
  }

  /** Lets the machine go on until nothing is waited for. */
  async settle(): Promise<void> {
    for (let turns = 0; this.waiting.size > 0; turns++) {
      if (turns > 5000) fail('nothing comes of what was asked for');
      await this.pump();
    }
    this.throwErrors();
  }

  /** Forgets a process that has died. */
  async bury(party: Party): Promise<void> {
    const dead = [...party.writers.values()];
    party.writers.clear();
    for (const writer of dead) closeWhatever(() => { writer.closeSync(); });
    if (party === this.coordinator) {
      const { group } = this;
      this.group = undefined;
      closeWhatever(() => group?.closeSync());
    }
    for (let turns = 0; turns < 5; turns++) await turn();
    wipeCore(party.memory);
  }
}

function closeWhatever(close: () => void): void {
  try {
    close();
  } catch {
    return;
  }
}
