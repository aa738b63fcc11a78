/**
 * A disk that exists only in memory, for deterministic fault simulation: files and directories with a visible and a
 * durable state each, faults on demand, and power cuts whose outcome a seeded generator chooses.
 *
 * The disk outlives the processes that use it. `disk.storage()` starts one; `powerCut` and `processCrash` end them, and
 * every later call of theirs throws `SimulatedPowerCut`. Nothing here reads a clock, waits for a timer or draws from
 * an unseeded source: the same calls with the same seeds give the same bytes.
 *
 * Mapped ranges are copies (simulated-mapping.ts). Those of every file that is mapped twice or has views are made
 * equal, all at once, by any call of any process and by `refresh()`. A test that lets a reader look into its mapping or
 * view without a call before it must call `refresh()` first.
 */
import { createHash } from 'node:crypto';
import { type CutPolicy, type CutTally, emptyTally, restart, settle } from './simulated-cut.ts';
import { SimulatedClock } from './simulated-clock.ts';
import {
  type FaultPlan, type Operation, type PlannedFault, type QuietOperation, SimulatedPowerCut, SimulatedViolation,
} from './simulated-faults.ts';
import { PAGE_BYTES, pagesFor } from './simulated-inode.ts';
import { show } from './simulated-mapping.ts';
import { type DiskOptions, SimulatedMedium } from './simulated-medium.ts';
import type { Random } from './random.ts';
import { SimulatedStorage, type StorageOptions } from './simulated-storage.ts';

export type { CutPolicy, CutTally } from './simulated-cut.ts';
export { type FaultPlan, type PlannedFault, SimulatedPowerCut, SimulatedViolation } from './simulated-faults.ts';
export { SimulatedClock } from './simulated-clock.ts';
export type { SimulatedStorage } from './simulated-storage.ts';

export class SimulatedDisk extends SimulatedMedium {
  private readonly processes = new Set<SimulatedStorage>();
  private nextPid = 1000;
  private off = false;

  constructor(options: DiskOptions = {}) {
    super(options);
  }

  /** Starts a process that uses the disk. */
  storage(options: StorageOptions = {}): SimulatedStorage {
    if (this.off) throw new Error('the machine has no power: call powerCut() to choose what it left, then start');
    const process = new SimulatedStorage(this, options, this.nextPid++);
    this.processes.add(process);
    return process;
  }

  /** Whether processes can be started. */
  get hasPower(): boolean {
    return !this.off;
  }

  /** Whether a process of this id is running. */
  runs(pid: number): boolean {
    return [...this.processes].some((process) => process.pid === pid);
  }

  /** Calls so far, by operation. */
  get operations(): ReadonlyMap<Operation | QuietOperation, number> {
    return this.faults.counts;
  }

  /** Makes a later call fail, or the machine or process end at it. A power cut drops all plans. */
  failAt(plan: FaultPlan): PlannedFault {
    return this.faults.add(plan);
  }

  /** Completes the oldest `count` syncs under way (all where not given); returns how many. */
  completeSyncs(count = Infinity): number {
    return this.queue.complete(count);
  }

  /**
   * From the k-th sync on (counted from the disk's first, directories included) nothing reaches the disk any more,
   * though every call goes on as if. The next power cut starts from the state in which that sync was submitted.
   */
  freezeAtSync(k: number): void {
    this.freezeAt = k;
    if (this.syncCount >= k) this.freeze();
  }

  /** Whether `freezeAtSync` has struck: what a process is told is durable from here on is not. */
  get frozen(): boolean {
    return this.frozenNames !== undefined;
  }

  /** Cuts the power: ends all processes and chooses what is left. The disk can be used again at once. */
  powerCut(random: Random = this.random, policy: CutPolicy = {}): CutTally {
    this.powerFailure();
    const tally = emptyTally();
    this.names = this.frozenNames ?? this.names;
    this.names.settle(random, policy, tally);
    const files = this.names.restart();
    for (const file of files) {
      settle(file, random, policy, tally);
      restart(file);
    }
    this.live = new Set(files);
    this.faults.clear();
    this.frozenNames = undefined;
    this.freezeAt = Infinity;
    this.off = false;
    return tally;
  }

  /** Ends all processes and leaves the disk without power, until `powerCut` chooses what is left. */
  powerFailure(): void {
    this.end([...this.processes], 'power-cut');
    this.off = true;
  }

  /** Ends one process, or all, as SIGKILL does: what they wrote or stored stays visible, their locks are free. */
  processCrash(process?: SimulatedStorage): void {
    this.end(process === undefined ? [...this.processes] : [process], 'kill');
  }

  /** Writes part of the unsynced state back, as the kernel may at any moment. Nothing visible changes. */
  writeBack(random: Random = this.random, policy: CutPolicy = {}): CutTally {
    this.refresh();
    const tally = emptyTally();
    this.names.settle(random, policy, tally);
    for (const file of this.live) settle(file, random, policy, tally);
    return tally;
  }

  /**
   * Drops the pages that failed syncs left: they show what is on the disk again, as they may at any time on Linux.
   * Returns how many.
   */
  evictFailedPages(): number {
    this.refresh();
    let evicted = 0;
    for (const file of this.live) {
      for (const [page, bytes] of file.failed) {
        if (page >= pagesFor(file.visible.size) || !bytes.equals(file.visible.page(page))) continue;
        file.durable.page(page).copy(file.visible.page(page));
        file.visible.trimTail();
        show(file, page, page + 1);
        evicted += 1;
      }
      file.failed.clear();
    }
    return evicted;
  }

  /** A disk in the same state that goes its own way: without processes, locks and planned faults. */
  clone(): SimulatedDisk {
    this.exchangeAll();
    const copy = new SimulatedDisk({
      capacity: this.capacity, random: this.random.clone(), clock: new SimulatedClock(this.clock.now()),
      syncs: this.queue.mode, holes: this.holes,
    });
    copy.names = this.names.copy();
    copy.frozenNames = this.frozenNames?.copy();
    for (const [, file] of copy.names.files('visible')) copy.live.add(file);
    copy.syncCount = this.syncCount;
    copy.freezeAt = this.freezeAt;
    copy.off = this.off;
    return copy;
  }

  /** Refreshes, and throws if there was any violation so far, even one whose error was swallowed. */
  check(): void {
    this.exchangeAll();
    if (this.violations.length > 0) throw new SimulatedViolation(this.violations);
  }

  /** Visible bytes of a file, or what of them is durable; `undefined` where the name (visible or durable) is not. */
  read(path: string, which: 'visible' | 'durable' = 'visible'): Uint8Array | undefined {
    this.refresh();
    const file = this.names.files(which).find(([name]) => name === path)?.[1];
    return file === undefined ? undefined : new Uint8Array(file[which].content());
  }

  /** Paths of all files, sorted. */
  paths(which: 'visible' | 'durable' = 'visible'): string[] {
    return this.names.files(which).map(([path]) => path);
  }

  /** Changes bytes of a file behind everyone's back, on the disk and in the cache: a medium that decays. */
  tamper(path: string, position: number, bytes: Uint8Array): void {
    this.refresh();
    const file = this.names.find(path);
    if (file?.kind !== 'file' || position + bytes.length > file.visible.size) {
      throw new RangeError(`no ${bytes.length} bytes at ${position} of ${path}`);
    }
    file.visible.bytes.set(bytes, position);
    file.durable.reserve(pagesFor(file.durable.size));
    const durable = bytes.subarray(0, Math.max(0, file.durable.size - position));
    if (durable.length > 0) file.durable.bytes.set(durable, position);
    show(file, Math.floor(position / PAGE_BYTES), pagesFor(position + bytes.length));
  }

  /** A hash of all names and bytes, to compare two runs. */
  digest(which: 'visible' | 'durable' = 'visible'): string {
    this.refresh();
    const hash = createHash('sha256');
    for (const [path, file] of this.names.files(which)) {
      hash.update(`${path}\0${file[which].size}\0`).update(file[which].content());
    }
    return hash.digest('hex');
  }

  private end(processes: readonly SimulatedStorage[], reason: 'power-cut' | 'kill'): void {
    this.exchangeAll();
    for (const process of processes) {
      if (!this.processes.delete(process)) continue;
      process.end(reason);
      const error = new SimulatedPowerCut(reason);
      for (const [file, { owners }] of [...this.locks]) {
        for (const owner of [...owners]) if (owner === process) this.unlock(file, process);
      }
      for (const file of [...this.live]) {
        for (const mapping of file.mapped) if (mapping.owner === process) mapping.detach('unmapped');
        this.forget(file);
      }
      this.waiters.end(process, error);
      this.queue.end(process, error);
    }
  }
}
