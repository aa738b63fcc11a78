/**
 * What a simulated life of a group is made of: each step does one thing to the group and to its model. wal-workload.ts
 * draws them, and ends the life.
 */
import { VarveError } from '../../host/errors/varve-error.ts';
import { WalGroup } from '../../host/wal/wal-group.ts';
import type { Random } from './random.ts';
import { SimulatedPowerCut } from './simulated-disk.ts';
import { DIRECTORY, WalDriver, turn } from './wal-driver.ts';
import { judgeRecovery } from './wal-judge.ts';
import { fail } from './wal-model.ts';

export type Step = (work: WalSteps) => void | Promise<void>;

const STEPS: readonly (readonly [weight: number, name: string, step: Step])[] = [
  [30, 'append', (work) => { work.appendSome(); }],
  [8, 'attach', (work) => { work.attachOne(); }],
  [3, 'detach', (work) => work.detachOne()],
  [6, 'sync', (work) => { work.syncOne(); }],
  [4, 'syncNow', (work) => { work.syncOneNow(); }],
  [5, 'epochBarrier', (work) => { work.barrierOfOne(); }],
  [4, 'advanceEpoch', (work) => { work.group!.advanceEpoch(); }],
  [5, 'barrierAll', (work) => { work.barrierAll(); }],
  [5, 'syncAll', (work) => { work.syncAll(); }],
  [6, 'checkpoint', (work) => work.checkpoint()],
  [2, 'dropBefore', (work) => { work.dropBefore(); }],
  [3, 'truncate', (work) => work.truncateOne()],
  [12, 'pump', (work) => work.pump(work.random.between(1, 12))],
  [4, 'settle', (work) => work.settle()],
  [2, 'look', (work) => work.lookOn()],
  [2, 'reopen', (work) => work.reopen()],
  [2, 'recover', (work) => work.recoverAlive()],
  [2, 'kill', (work) => work.killOne()],
];
const WEIGHTS = STEPS.reduce((sum, [weight]) => sum + weight, 0);

/** Draws a step: its weight, its name, and what it does. */
export function drawStep(random: Random): (typeof STEPS)[number] {
  let at = random.integer(WEIGHTS);
  return STEPS.find(([weight]) => (at -= weight) < 0)!;
}

export class WalSteps extends WalDriver {
  /** Whether the machine has power. */
  alive(): boolean {
    return this.disk.hasPower;
  }

  /** Starts the processes that have died anew, and lets go of writers that cannot write. */
  protected async revive(): Promise<void> {
    for (const party of this.parties) {
      if (!this.disk.runs(party.storage.pid)) {
        await this.bury(party);
        if (!this.alive()) throw new SimulatedPowerCut('power-cut');
        party.storage = this.disk.storage();
        this.tally.count('deaths of a process');
      }
      for (const [core, writer] of [...party.writers]) {
        if (!writer.poisoned) continue;
        party.writers.delete(core);
        try {
          writer.closeSync();
        } catch (error) {
          this.note(error);
        }
      }
    }
    if (this.group === undefined) this.open();
  }

  lookAtAll(): void {
    for (const { writers } of this.parties) for (const core of writers.keys()) this.lookAt(core);
  }

  private attached(): number[] {
    return this.parties.flatMap(({ writers }) => [...writers.keys()]);
  }

  appendSome(): void {
    const cores = this.attached();
    if (cores.length === 0) return this.attachOne();
    const core = this.random.pick(cores);
    for (let count = this.random.pick([1, 2, 5, 20]); count > 0; count--) this.append(core);
  }

  attachOne(): void {
    const taken = this.attached();
    const free = this.model.cores.map((_, core) => core).filter((core) => !taken.includes(core));
    const party = this.random.pick(this.parties);
    if (free.length > 0) {
      const core = this.random.pick(free);
      try {
        this.attach(party, core);
      } catch (error) {
        // The coordinator may have it for a moment.
        if (!VarveError.is(error, 'ERR_VARVE_LOCKED') || this.waiting.size === 0) throw error;
      }
      return;
    }
    const core = this.random.pick(taken);
    const other = this.parties.find(({ writers }) => !writers.has(core))!;
    this.refused(() => WalGroup.attachSync(DIRECTORY, core, this.options(other)));
  }

  private refused(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_LOCKED')) return;
      throw error;
    }
    fail('a core is attached twice');
  }

  async detachOne(): Promise<void> {
    const cores = this.attached();
    if (cores.length === 0) return;
    const core = this.random.pick(cores);
    const writer = this.writerOf(core)!;
    this.lookAt(core);
    const party = this.parties.find(({ writers }) => writers.has(core))!;
    party.writers.delete(core);
    let isClosed = false;
    if (this.random.chance(0.5)) {
      writer.closeSync();
      isClosed = true;
    } else {
      this.expect(writer.close(), () => { isClosed = true; });
      await this.settle();
    }
    if (!this.disk.frozen && isClosed) this.model.durable(core, this.model.cores[core]!.slots.length);
  }

  syncOne(): void {
    const cores = this.attached();
    if (cores.length === 0) return;
    const core = this.random.pick(cores);
    const writer = this.writerOf(core)!;
    this.lookAt(core);
    const before = this.model.cores[core]!.slots;
    const { length } = before;
    this.expect(writer.sync(), () => { this.synced(core, length); });
  }

  /** Entries up to a sequence are on disk, unless they were cut meanwhile, when nothing was waited for. */
  private synced(core: number, sequence: number): void {
    if (!this.disk.frozen) this.model.durable(core, sequence);
  }

  syncOneNow(): void {
    const cores = this.attached();
    if (cores.length === 0) return;
    const core = this.random.pick(cores);
    const writer = this.writerOf(core)!;
    writer.syncNow();
    this.lookAt(core);
    if (writer.entriesSinceSync !== 0) fail('entries are not synced after a blocking sync');
    this.synced(core, writer.sequence);
  }

  barrierOfOne(): void {
    const cores = this.attached();
    if (cores.length === 0) return;
    const core = this.random.pick(cores);
    this.writerOf(core)!.epochBarrier();
    this.lookAt(core);
  }

  barrierAll(): void {
    if (this.cutting > 0) return;
    this.cutting++;
    this.expect(this.group!.barrierAll().finally(() => { this.cutting--; }), ({ epoch, cores }) => {
      this.tally.count('barriers of all');
      for (const { core, sequence } of cores) this.reveal(core, sequence);
      if (epoch < this.model.complete) fail(`epoch ${epoch} was ended after ${this.model.complete}`);
    });
  }

  syncAll(): void {
    this.lookAtAll();
    const lengths = this.model.cores.map(({ slots }) => slots.length);
    this.expect(this.group!.syncAll(), () => {
      this.tally.count('syncs of all');
      for (const [core, length] of lengths.entries()) this.synced(core, length);
    });
  }

  async checkpoint(): Promise<void> {
    if (this.cutting > 0) return;
    const { model, random, group } = this;
    this.lookAtAll();
    const n = model.next();
    const offsets = new Map([['orders', n], ['other', n]].slice(random.integer(3)) as [string, number][]);
    const watermark = random.chance(0.5) ? n : undefined;
    const id = (group!.checkpoints().at(-1)?.id ?? 0) + 1;
    const given = { offsets, watermark, before: model.recorded };
    model.given.set(id, [...model.given.get(id) ?? [], given]);
    const quiet = random.chance(0.5) && model.cores.every(({ pending, doubtful }) => (
      pending === undefined && doubtful.length === 0));
    const state = quiet ? model.fold(model.cores.map(({ slots }) => slots.length))
      : (cut: { cores: readonly { core: number; sequence: number }[] }) => {
        for (const { core, sequence } of cut.cores) this.reveal(core, sequence);
        const bytes = model.fold(cut.cores.map(({ sequence }) => sequence));
        return random.chance(0.5) ? bytes : pieces(bytes);
      };
    this.cutting++;
    this.trace('checkpoint', id, quiet ? 'quiet' : '');
    const making = group!.checkpoint({ state, offsets, watermark: watermark! }).finally(() => { this.cutting--; });
    this.expect(making, (made) => {
      this.tally.count('checkpoints');
      if (made.id !== id) fail(`checkpoint ${made.id} instead of ${id}`);
      for (const { core, sequence } of made.cores) {
        this.reveal(core, sequence);
        this.synced(core, sequence);
      }
      if (this.disk.frozen) return;
      for (const { core, sequence } of made.cores) model.covered[core] = sequence;
      model.recorded = model.recordedBy(given, made.cores.map(({ sequence }) => sequence));
      Object.assign(model, { checkpoint: id, checkpointEpoch: made.epoch });
      model.complete = Math.max(model.complete, made.epoch);
    });
    if (quiet) await this.settle();
  }

  dropBefore(): void {
    const ids = this.group!.checkpoints().map(({ id }) => id);
    if (ids.length === 0 || this.cutting > 0) return;
    this.expect(this.group!.dropBefore(this.random.pick(ids)), () => { this.tally.count('drops'); });
  }

  /** Cuts a suffix that no checkpoint covers. */
  async truncateOne(): Promise<void> {
    const cores = this.attached();
    if (cores.length === 0) return;
    await this.settle();
    if (this.group === undefined) return;
    const core = this.random.pick(cores);
    const writer = this.writerOf(core);
    if (writer === undefined || writer.closed) return;
    this.lookAt(core);
    const { model } = this;
    const each = model.cores[core]!;
    const covered = model.covered[core]!;
    const position = writer.position;
    let to = Infinity;
    const before = model.complete;
    // From here on a crash may show either.
    model.complete = model.checkpointEpoch;
    if (this.random.chance(0.3)) {
      this.whileCutting(core, covered, () => { writer.reset(); });
      if (writer.sequence < covered) fail(`a reset has cut ${writer.sequence} to ${covered}, which are covered`);
    } else {
      const { length } = each.slots;
      this.append(core);
      const at = writer.position;
      this.append(core);
      to = each.slots.length - 1;
      // An automatic barrier may stand in between.
      this.whileCutting(core, to, () => { writer.truncate(at); });
      while (to > writer.sequence) to--;
      if (writer.position !== at || to < length || position > at) fail('a truncation has cut something else');
      model.complete = before;
    }
    this.disk.refresh();
    model.cut(core, Math.min(to, writer.sequence));
    model.complete = Math.min(model.complete, Math.max(model.checkpointEpoch, this.group.completeEpoch));
    this.lookAt(core);
    this.tally.count('truncations');
  }

  /** Runs what cuts a core; where it fails, what stands behind may be there or not. */
  private whileCutting(core: number, to: number, cut: () => void): void {
    try {
      cut();
    } catch (error) {
      this.model.doubt(core, to);
      throw error;
    }
  }

  /** Looks on from a process that only reads. */
  async lookOn(): Promise<void> {
    if (this.waiting.size > 0) await this.settle();
    await this.revive();
    this.lookAtAll();
    const upTo = this.random.pick(['end', 'epoch'] as const);
    const group = WalGroup.openSync(DIRECTORY, { ...this.options(this.coordinator), readOnly: true });
    try {
      const recovery = await group.recover({ upTo });
      const { entries } = await judgeRecovery(this.model, recovery, upTo, { isBeside: true, isFaulted: this.faulted });
      this.tally.add('entries seen by an onlooker', entries);
    } finally {
      group.closeSync();
    }
  }

  protected async closeAll(): Promise<void> {
    await this.settle();
    for (const party of this.parties) {
      for (const [core, writer] of [...party.writers]) {
        this.lookAt(core);
        party.writers.delete(core);
        writer.closeSync();
        if (!this.faulted) this.synced(core, this.model.cores[core]!.slots.length);
      }
    }
  }

  async reopen(): Promise<void> {
    const others = this.random.chance(0.5);
    if (others) await this.closeAll();
    else await this.settle();
    for (const core of [...this.coordinator.writers.keys()]) this.lookAt(core);
    const { group } = this;
    this.group = undefined;
    this.coordinator.writers.clear();
    if (this.random.chance(0.5)) group!.closeSync();
    else {
      this.expect(group!.close(), () => undefined);
      await this.settle();
    }
    this.open();
    this.tally.count('reopened');
  }

  async recoverAlive(): Promise<void> {
    await this.closeAll();
    await this.recover();
  }

  async killOne(): Promise<void> {
    const party = this.random.pick(this.parties);
    for (const core of party.writers.keys()) this.lookAt(core);
    this.trace('killed', this.parties.indexOf(party));
    this.disk.processCrash(party.storage);
    await turn();
    this.tally.count('kills');
  }

  /** Recovers, judges, and goes on with what was found. */
  async recover(): Promise<void> {
    const { model, random, tally, group } = this;
    const upTo = random.pick(['end', 'epoch'] as const);
    this.trace('recover', upTo);
    let recovered = false;
    try {
      const recovery = await group!.recover({ upTo });
      recovered = true;
      const { entries, epoch } = await judgeRecovery(model, recovery, upTo, { isFaulted: this.faulted });
      tally.add('entries judged', entries);
      tally.count(`recoveries up to ${upTo}`);
      if (group!.epoch <= epoch) fail(`the epoch is ${group!.epoch} after a recovery that found ${epoch}`);
      if (upTo === 'epoch') model.complete = Math.max(model.complete, recovery.completeEpoch);
      model.complete = Math.max(model.complete, model.checkpointEpoch);
    } catch (error) {
      if (recovered && !(error instanceof SimulatedPowerCut)) throw error;
      // Some cores may have been cut, and others not.
      if (upTo === 'epoch') {
        for (const [core, { slots }] of model.cores.entries()) {
          const beyond = slots.findIndex((slot, at) => (
            at >= model.covered[core]! && (slot.epoch > model.complete || slot.epoch === 0)));
          if (beyond >= 0) model.doubt(core, beyond);
        }
      }
      throw error;
    }
  }
}

function *pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 5000) yield bytes.subarray(at, at + 5000);
}
