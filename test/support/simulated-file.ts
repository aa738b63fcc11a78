/**
 * An open file of a simulated process, and its mappings as the `Storage` interface shows them.
 *
 * A write takes blocks page by page and may end short; `allocate` takes all it needs or none, but for a planned fault;
 * growing by `truncate` takes none and leaves a hole. Bytes and length become durable by a sync alone.
 */
import { type CoreMemory, RANGE_ALIGNMENT } from '../../host/core/memory.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import type { Mapping, MappingAccess, StoredFile } from '../../host/io/storage.ts';
import { type FaultPlan, type Operation, misuse, systemError } from './simulated-faults.ts';
import { type Inode, PAGE_BYTES, pagesFor } from './simulated-inode.ts';
import { MappedRange, PrivateView, show } from './simulated-mapping.ts';
import type { SimulatedMedium } from './simulated-medium.ts';
import type { SimulatedStorage } from './simulated-storage.ts';

export class SimulatedFile implements StoredFile {
  path: string;
  readonly inode: Inode;
  private readonly process: SimulatedStorage;
  private readonly access: 'read' | 'write';
  private open = true;
  /** Failed syncs of the file that syncs off the event loop, and blocking ones, were told of. */
  private readonly told: { later: number; now: number };

  constructor(process: SimulatedStorage, inode: Inode, path: string, access: 'read' | 'write') {
    this.process = process;
    this.inode = inode;
    this.path = path;
    this.access = access;
    this.told = { later: inode.failures, now: inode.failures };
  }

  size(): number {
    this.begin('size', 'fstat');
    return this.inode.visible.size;
  }

  /** As of a file system that knows each page that was written. */
  endOfData(): number {
    const size = this.size();
    const last = this.inode.visible.bytes.subarray(0, size).findLastIndex((byte) => byte !== 0);
    return Math.min(size, Math.ceil((last + 1) / PAGE_BYTES) * PAGE_BYTES);
  }

  isNamed(): boolean {
    this.begin('size', 'fstat');
    return this.inode.links > 0;
  }

  allocate(length: number): void {
    this.mustBeOpen('posix_fallocate');
    const plan = this.disk.enter(this.process, 'allocate', this.path);
    this.prepare('posix_fallocate', true);
    this.take(length, plan);
  }

  /** Takes the blocks of an allocation that was begun, or fails as it was planned to. */
  take(length: number, plan: FaultPlan | undefined): void {
    const { inode } = this;
    if (plan !== undefined) {
      // Blocks within the file stay; the file is as long as before.
      this.takeBlocks(0, Math.min(plan.written ?? 0, length, inode.visible.size));
      throw systemError('posix_fallocate', plan.error, this.path);
    }
    const missing: number[] = [];
    for (let page = 0; page < pagesFor(length); page++) if (!inode.blocks.has(page)) missing.push(page);
    if (missing.length * PAGE_BYTES > this.disk.freeBytes()) throw systemError('posix_fallocate', 'ENOSPC', this.path);
    for (const page of missing) inode.blocks.add(page);
    if (length > inode.visible.size) this.resize(length);
  }

  truncate(length: number): void {
    this.begin('truncate', 'ftruncate', true);
    this.resize(length);
  }

  async truncateLater(length: number): Promise<void> {
    this.mustBeOpen('ftruncate');
    const plan = this.disk.enter(this.process, 'truncate', this.path);
    this.prepare('ftruncate', true);
    await this.disk.queue.submit(this.process, () => {
      if (plan !== undefined) throw systemError('ftruncate', plan.error, this.path);
      this.disk.pull(this.inode);
      this.resize(length);
    });
  }

  rename(path: string): void {
    this.mustBeOpen('rename');
    this.process.rename(this.path, path);
    this.path = path;
  }

  read(target: Uint8Array, position: number): number {
    this.mustBeOpen('pread');
    const plan = this.disk.enter(this.process, 'read', this.path);
    this.prepare('pread', false);
    const { visible } = this.inode;
    const wanted = Math.min(target.length, plan === undefined ? Infinity : plan.written ?? 0);
    const end = Math.min(visible.size, position + wanted);
    if (end > position) target.set(visible.bytes.subarray(position, end));
    if (plan !== undefined) throw systemError('pread', plan.error, this.path);
    return Math.max(0, end - position);
  }

  write(source: Uint8Array, position: number): void {
    this.mustBeOpen('pwrite');
    const plan = this.disk.enter(this.process, 'write', this.path);
    this.prepare('pwrite', true);
    const room = this.takeBlocks(position, plan === undefined ? source.length : plan.written ?? 0);
    const written = Math.min(room, source.length);
    if (written > 0) this.put(source.subarray(0, written), position);
    if (plan !== undefined) throw systemError('pwrite', plan.error, this.path);
    if (written < source.length) throw systemError('pwrite', 'ENOSPC', this.path);
  }

  async sync(): Promise<void> {
    await this.disk.queue.submit(this.process, this.beginSync('later'));
  }

  syncNow(): void {
    this.beginSync('now')();
  }

  map(memory: CoreMemory, address: number, length: number, access: MappingAccess, offset = 0): Mapping {
    this.begin('map', 'mmap', access === 'write');
    this.mustHold(offset + length, offset + 1);
    if (offset % RANGE_ALIGNMENT !== 0) throw misuse(`${this.path} mapped from ${offset} on`, { path: this.path, offset });
    const end = address + pagesFor(length) * PAGE_BYTES;
    if (address % RANGE_ALIGNMENT !== 0 || address < STATIC_END || end > memory.bytes.length) {
      throw misuse(`${this.path} mapped at ${address}, not a range of the memory`, { path: this.path, address });
    }
    for (const other of this.disk.mappingsOf(memory)) {
      if (other.address >= end || other.address + other.bytes.length <= address) continue;
      if (other.address !== address || other.owner !== this.process) {
        this.disk.violate(`${this.path} mapped at ${address} over ${other.path}`);
      }
      this.disk.takeOut(other, 'replaced');
    }
    const range = new MappedRange(
      this.inode, memory, address, length, access, this.path, this.process, offset);
    return new SimulatedMapping(this.process, range);
  }

  view(length: number): Uint8Array {
    this.begin('view', 'mmap');
    this.mustHold(length, 0);
    const bytes = new Uint8Array(length);
    this.inode.views.push(new PrivateView(this.inode, bytes.buffer));
    return bytes;
  }

  close(): void {
    this.disk.pass(this.process, 'close');
    if (this.open) this.process.closed(this);
    this.open = false;
  }

  private get disk(): SimulatedMedium {
    return this.process.disk;
  }

  private begin(operation: Operation, syscall: string, writes = false): void {
    this.mustBeOpen(syscall);
    this.process.begin(operation, this.path);
    this.prepare(syscall, writes);
  }

  private mustBeOpen(syscall: string): void {
    this.process.mustLive();
    if (!this.open) throw systemError(syscall, 'EBADF', this.path);
  }

  private prepare(syscall: string, writes: boolean): void {
    const errno = syscall === 'mmap' ? 'EACCES' : syscall === 'ftruncate' ? 'EINVAL' : 'EBADF';
    if (writes && this.access !== 'write') throw systemError(syscall, errno, this.path);
    this.disk.pull(this.inode);
  }

  /** Refuses to map what is not there: touching it would kill the process. */
  private mustHold(length: number, least: number): void {
    const { size } = this.inode.visible;
    if (length >= least && length <= size) return;
    const { path } = this;
    throw misuse(`${length} bytes cannot be mapped of ${path}, which has ${size}`, { path, length, size });
  }

  private resize(length: number): void {
    const before = this.inode.visible.size;
    this.inode.resize(length);
    show(this.inode, Math.floor(Math.min(before, length) / PAGE_BYTES), pagesFor(Math.max(before, length)));
  }

  /** Takes a block for each page of [position, position + length); returns how many bytes from `position` have one. */
  private takeBlocks(position: number, length: number): number {
    const { blocks } = this.inode;
    const first = Math.floor(position / PAGE_BYTES);
    let free = this.disk.freeBytes();
    for (let page = first; page < pagesFor(position + length); page++) {
      if (blocks.has(page)) continue;
      if (free < PAGE_BYTES) return Math.max(0, page * PAGE_BYTES - position);
      free -= PAGE_BYTES;
      blocks.add(page);
    }
    return length;
  }

  private put(bytes: Uint8Array, position: number): void {
    const { inode } = this;
    const before = inode.visible.size;
    const end = position + bytes.length;
    if (end > before) inode.visible.resize(end);
    inode.visible.bytes.set(bytes, position);
    // What is written is dirty, also where it is the same as before and a failed sync had left it as clean.
    for (let page = Math.floor(position / PAGE_BYTES); page < pagesFor(end); page++) inode.failed.delete(page);
    show(inode, Math.floor(Math.min(before, position) / PAGE_BYTES), pagesFor(end));
  }

  /** Submits a sync; returns what completes it. Each failure is reported once to each kind of sync, as on Linux. */
  private beginSync(kind: 'later' | 'now'): () => void {
    this.mustBeOpen('fdatasync');
    const plan = this.disk.enter(this.process, 'sync', this.path);
    this.disk.noteSync();
    const { inode, told } = this;
    this.disk.pull(inode);
    const snapshot = inode.beginSync();
    return () => {
      if (plan === undefined) {
        inode.completeSync(snapshot);
      } else {
        inode.failSync(snapshot, plan.dirtyPages !== 'kept');
        inode.failures++;
        inode.errno = plan.error;
      }
      if (told[kind] === inode.failures) return;
      told[kind] = inode.failures;
      throw systemError('fdatasync', inode.errno, this.path);
    };
  }
}

class SimulatedMapping implements Mapping {
  private readonly process: SimulatedStorage;
  private readonly range: MappedRange;

  constructor(process: SimulatedStorage, range: MappedRange) {
    this.process = process;
    this.range = range;
  }

  get address(): number {
    return this.range.address;
  }

  get length(): number {
    return this.range.length;
  }

  populate(): void {
    this.process.disk.pass(this.process, 'populate');
  }

  advise(): void {
    this.process.disk.pass(this.process, 'advise');
  }

  unmap(): void {
    const { disk } = this.process;
    const { range } = this;
    disk.pass(this.process, 'unmap');
    if (range.state !== 'live') return;
    disk.takeOut(range, 'unmapped');
  }
}
