/**
 * The inside of a simulated disk: what its processes and their open files work on. Tests use `SimulatedDisk`, which
 * adds the controls (simulated-disk.ts).
 *
 * It knows every file that has a name, a handle or a mapping, begins every operation (alive? counted? planned to fail?
 * other mappings up to date?), and notes what a real process would not have survived.
 */
import type { CoreMemory } from '../../host/core/memory.ts';
import { SimulatedClock, Waiters, type Word } from './simulated-clock.ts';
import { type FaultPlan, Faults, type Operation, type QuietOperation, SimulatedViolation } from './simulated-faults.ts';
import { type Inode, PAGE_BYTES } from './simulated-inode.ts';
import { type MappedRange, exchange } from './simulated-mapping.ts';
import { Names } from './simulated-names.ts';
import { Random } from './random.ts';
import type { SimulatedStorage } from './simulated-storage.ts';
import { SyncQueue } from './simulated-syncs.ts';

export interface DiskOptions {
  /** Bytes of the disk, in blocks of 4 KiB; no limit where not given. */
  readonly capacity?: number;
  /** What `Storage.random` draws from, and cuts without a generator of their own; seed 1 where not given. */
  readonly random?: Random;
  readonly clock?: SimulatedClock;
  /** When non-blocking syncs complete: in a microtask (the default), or when `completeSyncs` is called. */
  readonly syncs?: 'immediate' | 'manual';
  /** Stores into mapped pages that were never allocated or written: a violation unless allowed. */
  readonly holes?: 'forbidden' | 'allowed';
}

/** A lock that is held: by one, or by all who share it. */
export interface HeldLock {
  readonly owners: SimulatedStorage[];
  alone: boolean;
}

export abstract class SimulatedMedium {
  /** Bytes of the disk; may be changed at any time. */
  capacity: number;
  readonly random: Random;
  readonly clock: SimulatedClock;
  readonly holes: 'forbidden' | 'allowed';
  readonly faults = new Faults();
  readonly waiters = new Waiters();
  readonly queue: SyncQueue;
  readonly locks = new Map<Inode, HeldLock>();
  /** Everything so far that would have killed a process, or that asked too much of the simulator. */
  readonly violations: string[] = [];
  names = new Names();
  /** Files that have a name, a handle or a mapping. */
  protected live = new Set<Inode>();
  /** Syncs of files and directories submitted so far. */
  syncCount = 0;
  protected freezeAt = Infinity;
  /** The state at which the disk was frozen. */
  protected frozenNames: Names | undefined;

  constructor(options: DiskOptions) {
    this.capacity = options.capacity ?? Infinity;
    this.random = options.random ?? new Random(1);
    this.clock = options.clock ?? new SimulatedClock();
    this.holes = options.holes ?? 'forbidden';
    this.queue = new SyncQueue(options.syncs ?? 'immediate');
    this.clock.onAdvance(() => {
      this.refresh();
      this.waiters.expire(this.clock.elapsed());
    });
  }

  /** Whether a process of this id is running. */
  abstract runs(pid: number): boolean;
  /** Ends one process, or all. */
  abstract processCrash(process?: SimulatedStorage): void;
  /** Ends all processes and leaves the disk without power. */
  abstract powerFailure(): void;

  /** Makes all mappings and views equal to their files. Throws where a store would have killed its process. */
  refresh(): void {
    this.report(this.exchangeAll());
  }

  /** Bytes that are free; `Infinity` without a capacity. */
  freeBytes(): number {
    if (this.capacity === Infinity) return Infinity;
    let used = 0;
    for (const file of this.live) used += file.blocks.size;
    return (Math.floor(this.capacity / PAGE_BYTES) - used) * PAGE_BYTES;
  }

  /** Begins an operation of a process; returns the fault it meets, if any. */
  enter(process: SimulatedStorage, operation: Operation, path: string): FaultPlan | undefined {
    this.pass(process, operation);
    const plan = this.faults.next(operation, path);
    if (plan?.error === 'power-cut') this.powerFailure();
    else if (plan?.error === 'kill') this.processCrash(process);
    process.mustLive();
    return plan;
  }

  /** Begins an operation that cannot fail. */
  pass(process: SimulatedStorage, operation: Operation | QuietOperation): void {
    process.mustLive();
    this.faults.count(operation);
    const breaches: string[] = [];
    for (const file of this.live) {
      if (file.mappings.length > 0 && file.mappings.length + file.views.length > 1) {
        this.exchangeFile(file, breaches, false);
      }
    }
    this.report(breaches);
  }

  /** Takes what the mappings of a file stored over into its visible bytes; checks read-only ones where `thorough`. */
  pull(file: Inode, thorough = false): void {
    const breaches: string[] = [];
    this.exchangeFile(file, breaches, thorough);
    this.report(breaches);
  }

  /** Counts a sync that is about to be submitted, and freezes the disk at the one that was asked for. */
  noteSync(): void {
    this.syncCount += 1;
    if (this.syncCount === this.freezeAt) this.freeze();
  }

  /** Knows a file from now on. */
  adopt(file: Inode): void {
    this.live.add(file);
  }

  /** Frees the blocks of a file that nobody can reach any more. */
  forget(file: Inode): void {
    if (file.links === 0 && file.handles === 0 && file.mapped.length === 0) this.live.delete(file);
  }

  /** Gives back one hold of a process on a lock. */
  unlock(file: Inode, process: SimulatedStorage): void {
    const owners = this.locks.get(file)?.owners ?? [];
    const at = owners.indexOf(process);
    if (at >= 0) owners.splice(at, 1);
    if (owners.length === 0) this.locks.delete(file);
  }

  /** The live mappings of all files in one memory. */
  mappingsOf(memory: CoreMemory): MappedRange[] {
    return [...this.live].flatMap((file) => file.mapped).filter((mapping) => mapping.memory === memory);
  }

  /** Takes a mapping out of its memory, which reads as zeros then. */
  takeOut(mapping: MappedRange, state: 'replaced' | 'unmapped'): void {
    try {
      this.pull(mapping.inode, true);
    } finally {
      this.waiters.leave(mapping.memory, mapping.address, mapping.address + mapping.bytes.length);
      mapping.detach(state);
      mapping.bytes.fill(0);
      this.forget(mapping.inode);
    }
  }

  /** What word an address is: one of a file, or one of that memory. */
  wordOf(memory: CoreMemory, address: number): Word {
    const mapping = this.mappingsOf(memory)
      .find((each) => each.access !== 'private' && each.covers(memory, address));
    if (mapping === undefined) return { home: memory, offset: address, memory, address };
    const offset = mapping.firstPage * PAGE_BYTES + address - mapping.address;
    return { home: mapping.inode, offset, memory, address };
  }

  /** Notes something that a real process would not have survived, and throws. */
  violate(breach: string): never {
    this.violations.push(breach);
    throw new SimulatedViolation([breach]);
  }

  protected freeze(): void {
    this.exchangeAll();
    this.frozenNames ??= this.names.copy();
  }

  protected exchangeAll(): string[] {
    const breaches: string[] = [];
    for (const file of this.live) if (file.mappings.length > 0) this.exchangeFile(file, breaches, true);
    return breaches;
  }

  private exchangeFile(file: Inode, breaches: string[], thorough: boolean): void {
    const from = breaches.length;
    exchange(file, (page) => {
      const full = this.freeBytes() < PAGE_BYTES;
      file.blocks.add(page);
      if (full) return ', which has no block, would have killed the process: the disk is full';
      return this.holes === 'forbidden' ? ', which has no block, would kill the process on a full disk' : undefined;
    }, breaches, thorough);
    this.violations.push(...breaches.slice(from));
  }

  private report(breaches: readonly string[]): void {
    if (breaches.length > 0) throw new SimulatedViolation(breaches);
  }
}
