/**
 * A seeded life of a simulated group, and of what comes after its end: entries, syncs, epochs, checkpoints, drops and
 * truncations from several processes, any of which may die; then a power cut, a restart, a recovery and its judgement.
 */
import type { Core } from '../../host/core/core.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import { drawFault, fillUp } from './log-faults.ts';
import { SimulatedDisk, SimulatedPowerCut, type CutPolicy, type PlannedFault } from './simulated-disk.ts';
import type { Random } from './random.ts';
import type { Tally } from './tally.ts';
import { fail } from './wal-model.ts';
import { drawStep, WalSteps } from './wal-steps-taken.ts';

export interface WorkloadOptions {
  /** A core for each process. */
  readonly memories: readonly Core[];
  readonly random: Random;
  readonly tally: Tally;
  readonly syncs: 'immediate' | 'manual';
  readonly cores?: number;
  /** Whether calls fail, processes die and the disk is full now and then. */
  readonly faults?: boolean;
}

const POLICIES: readonly CutPolicy[] = [{}, {}, {}, { pages: 'lost', sizes: 'old', names: 'lost' }, { pages: 'kept' },
  { metadata: 'any' }, { pages: 'lost', sizes: 'new', names: 'kept' }];

export class WalWorkload extends WalSteps {
  private readonly workloadOptions: WorkloadOptions;

  constructor(options: WorkloadOptions) {
    const { memories, random, tally, syncs, cores = 3 } = options;
    const disk = new SimulatedDisk({ random: random.fork(), syncs });
    super({ disk, memories, random, tally, cores });
    this.workloadOptions = options;
    this.open();
  }

  /** Does one random step; false where the power failed. */
  async step(): Promise<boolean> {
    const { random, disk } = this;
    const [, name, step] = drawStep(random);
    let plan: PlannedFault | undefined;
    try {
      await this.revive();
      if (this.workloadOptions.faults === true) plan = this.planFault();
      this.trace(name);
      disk.refresh();
      await step(this);
      this.throwErrors();
      this.lookAtAll();
      this.requireComplete();
      if (process.env['VARVE_SEED'] !== undefined) this.traceState();
    } catch (error) {
      if (!(error instanceof SimulatedPowerCut)) this.note(error);
      this.throwErrors();
    } finally {
      plan?.cancel();
      disk.capacity = Infinity;
    }
    if (random.chance(0.1) && this.alive()) disk.writeBack(random);
    return this.alive();
  }

  /** Does what a fault may end. */
  async attempt(run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.throwErrors();
    } catch (error) {
      if (!(error instanceof SimulatedPowerCut)) this.note(error);
      this.throwErrors();
    }
  }

  private planFault(): PlannedFault | undefined {
    const { random, disk } = this;
    if (random.chance(0.03)) {
      fillUp(disk, random);
      this.faulted = true;
      this.tally.count('faults.disk full');
      return undefined;
    }
    if (!random.chance(0.15)) return undefined;
    this.faulted = true;
    this.tally.count('faults planned');
    return disk.failAt(drawFault(random, 12));
  }

  private traceState(): void {
    const cores = this.model.cores.map(({ slots, floor }, core) => {
      const writer = this.writerOf(core);
      return `${floor}/${slots.length}${writer === undefined ? '' : ` in ${writer.epoch}`}`;
    });
    this.trace(`  = epoch ${this.group?.epoch}, complete ${this.model.complete}; ${cores.join(', ')}`);
  }

  /** Cuts the power, starts again, and judges what is left; the machine may stop again meanwhile. */
  async cutAndJudge(): Promise<void> {
    const { disk, random, tally } = this;
    const policy = random.pick(POLICIES);
    const { mode } = disk.queue;
    for (let again = true; again;) {
      this.trace('cut', JSON.stringify(policy));
      disk.powerCut(random, policy);
      tally.count('faults.power cut');
      for (const party of this.parties) await this.bury(party);
      this.waiting.clear();
      this.cutting = 0;
      this.faulted = false;
      disk.queue.mode = 'immediate';
      for (const party of this.parties) party.storage = disk.storage();
      const plan = random.chance(0.4) ? disk.failAt({ error: 'power-cut', nth: random.between(1, 150) }) : undefined;
      again = false;
      try {
        this.open(true);
        await this.recover();
      } catch (error) {
        if (!(error instanceof SimulatedPowerCut)) throw error;
        again = true;
      }
      plan?.cancel();
    }
    disk.queue.mode = mode;
    this.throwErrors();
    disk.check();
    tally.count('restarts');
  }

  /** Ends everything; what is left is what the model says, and all memory was given back. */
  async finish(): Promise<void> {
    this.disk.queue.mode = 'immediate';
    await this.revive();
    await this.closeAll();
    await this.recover();
    await this.group!.close();
    this.disk.check();
    for (const { memory: { memory } } of this.parties) {
      const left = memory.bytes.length - STATIC_END - memory.largestFree();
      if (left !== 0) fail(`${left} bytes of a core's memory were not given back`);
    }
  }

  /** Gives up everything as it is. */
  async abandon(): Promise<void> {
    this.disk.processCrash();
    for (const party of this.parties) await this.bury(party);
  }
}

/** Runs a workload to its end, and clears it away where it fails. */
export async function withWal(options: WorkloadOptions, run: (workload: WalWorkload) => Promise<void>): Promise<void> {
  const workload = new WalWorkload(options);
  try {
    await run(workload);
    await workload.finish();
  } catch (error) {
    (error as Error).message += workload.last;
    await workload.abandon();
    throw error;
  }
}

/** Lives, each ended by a power cut at any call. */
export async function cutWalThrice(options: WorkloadOptions, lives = 3): Promise<void> {
  const { random } = options;
  await withWal(options, async (workload) => {
    for (let life = 0; life < lives; life++) {
      const plan = workload.disk.failAt({ error: 'power-cut', nth: random.between(1, 2500) });
      for (let steps = random.between(5, 60); steps > 0; steps--) if (!await workload.step()) break;
      plan.cancel();
      await workload.cutAndJudge();
    }
  });
}
