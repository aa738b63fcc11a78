/**
 * What one simulated process sees of a simulated disk: the `Storage` interface on names, locks, time and waiting.
 * Its open files are in simulated-file.ts. Once the process has ended, every call throws `SimulatedPowerCut`.
 *
 * Every call of the interface is counted and can be made to fail before it does anything.
 */
import { type CoreMemory, RANGE_ALIGNMENT } from '../../host/core/memory.ts';
import { VarveError } from '../../host/errors/varve-error.ts';
import { STATIC_END } from '../../host/generated/abi.ts';
import type { Lock, SharedLock, Storage, StoredFile } from '../../host/io/storage.ts';
import { wordAt } from './simulated-clock.ts';
import { type Operation, SimulatedPowerCut, misuse, systemError } from './simulated-faults.ts';
import { SimulatedFile } from './simulated-file.ts';
import { Inode } from './simulated-inode.ts';
import type { HeldLock, SimulatedMedium } from './simulated-medium.ts';
import { Directory, partsOf } from './simulated-names.ts';

export interface StorageOptions {
  /** The process's id; 1000, 1001, … where not given. */
  readonly pid?: number;
  /** A file system that may only be read: whatever would change it fails with EROFS. */
  readonly readOnly?: boolean;
}

export class SimulatedStorage implements Storage {
  readonly pid: number;
  readonly readOnly: boolean;
  readonly disk: SimulatedMedium;
  private readonly files = new Set<SimulatedFile>();
  private ended: 'power-cut' | 'kill' | undefined;

  constructor(disk: SimulatedMedium, options: StorageOptions, pid: number) {
    this.disk = disk;
    this.pid = options.pid ?? pid;
    this.readOnly = options.readOnly ?? false;
  }

  createDirectory(path: string): string[] {
    this.begin('createDirectory', path);
    const made: string[] = [];
    let directory = this.disk.names.root;
    let at = '';
    for (const part of partsOf(path)) {
      at += `/${part}`;
      let entry = directory.entries.get(part);
      if (entry === undefined) {
        this.mustWrite('mkdir', at);
        entry = new Directory();
        this.disk.names.link(directory, part, entry);
        made.push(at);
      }
      if (entry.kind !== 'directory') throw systemError('mkdir', 'ENOTDIR', at);
      directory = entry;
    }
    return made;
  }

  freeBytes(_directory: string): number {
    this.disk.pass(this, 'freeBytes');
    return this.disk.freeBytes();
  }

  list(directory: string): string[] | undefined {
    this.begin('list', directory);
    const entry = this.disk.names.find(directory);
    if (entry === undefined) return undefined;
    if (entry.kind !== 'directory') throw systemError('readdir', 'ENOTDIR', directory);
    return [...entry.entries.keys()].sort();
  }

  open(path: string, access: 'read' | 'write'): StoredFile {
    this.begin('open', path);
    const entry = this.disk.names.find(path);
    if (entry === undefined) throw systemError('open', 'ENOENT', path);
    if (entry.kind !== 'file') throw systemError('open', 'EISDIR', path);
    if (access === 'write') this.mustWrite('open', path);
    return this.handle(entry, path, access);
  }

  create(path: string, _like?: string): StoredFile {
    this.begin('create', path);
    const { directory, name } = this.parent('open', path);
    if (directory.entries.has(name)) throw systemError('open', 'EEXIST', path);
    return this.handle(this.make(directory, name, path), path, 'write');
  }

  async createLater(path: string, length: number): Promise<StoredFile> {
    const { queue } = this.disk;
    const plan = this.disk.enter(this, 'create', path);
    let file: SimulatedFile | undefined;
    await queue.submit(this, () => {
      if (plan !== undefined) throw systemError('open', plan.error, path);
      const { directory, name } = this.parent('open', path);
      if (directory.entries.has(name)) throw systemError('open', 'EEXIST', path);
      file = this.handle(this.make(directory, name, path), path, 'write');
    });
    const allocation = this.disk.enter(this, 'allocate', path);
    try {
      await queue.submit(this, () => { file!.take(length, allocation); });
      return file!;
    } catch (error) {
      if (this.ended === undefined) {
        file!.close();
        await this.removeLater(path);
      }
      throw error;
    }
  }

  exists(path: string): boolean {
    this.begin('exists', path);
    return this.disk.names.find(path)?.kind === 'file';
  }

  rename(from: string, to: string): void {
    this.begin('rename', from);
    const source = this.parent('rename', from);
    const target = this.parent('rename', to);
    if (source.directory !== target.directory) this.disk.violate(`rename from ${from} to another directory, ${to}`);
    const moved = source.directory.entries.get(source.name);
    if (moved === undefined) throw systemError('rename', 'ENOENT', from);
    const replaced = target.directory.entries.get(target.name);
    if (replaced?.kind === 'directory') {
      if (moved.kind !== 'directory') throw systemError('rename', 'EISDIR', to);
      if (replaced.entries.size > 0) throw systemError('rename', 'ENOTEMPTY', to);
    }
    this.mustWrite('rename', from);
    this.disk.names.rename(source.directory, source.name, target.name);
    if (replaced?.kind === 'file') this.disk.forget(replaced);
  }

  remove(path: string): void {
    this.begin('remove', path);
    this.unlink(path);
  }

  async removeLater(path: string): Promise<void> {
    const plan = this.disk.enter(this, 'remove', path);
    await this.disk.queue.submit(this, () => {
      if (plan !== undefined) throw systemError('unlink', plan.error, path);
      this.unlink(path);
    });
  }

  removeDirectory(path: string): void {
    this.begin('removeDirectory', path);
    const { directory, name } = this.parent('rmdir', path);
    const entry = directory.entries.get(name);
    if (entry === undefined) return;
    if (entry.kind !== 'directory') throw systemError('rmdir', 'ENOTDIR', path);
    if (entry.entries.size > 0) throw systemError('rmdir', 'ENOTEMPTY', path);
    this.mustWrite('rmdir', path);
    this.disk.names.unlink(directory, name);
  }

  private unlink(path: string): void {
    const { directory, name } = this.disk.names.parentOf(path);
    const entry = directory?.kind === 'directory' ? directory.entries.get(name) : undefined;
    if (directory?.kind !== 'directory' || entry === undefined) return;
    if (entry.kind !== 'file') throw systemError('unlink', 'EISDIR', path);
    this.mustWrite('unlink', path);
    this.disk.names.unlink(directory, name);
    this.disk.forget(entry);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.disk.queue.submit(this, this.beginDirectorySync(path));
  }

  syncDirectoryNow(path: string): void {
    this.beginDirectorySync(path)();
  }

  lock(path: string): Lock {
    const entry = this.lockFile(path);
    if (this.disk.locks.has(entry)) throw this.locked(path, entry);
    return this.held(entry, { owners: [this], alone: true });
  }

  /** Nobody can be waited for here, where every call runs to its end. */
  lockShared(path: string): SharedLock {
    const entry = this.lockFile(path);
    const others = this.disk.locks.get(entry);
    if (others?.alone === true) throw this.locked(path, entry);
    const lock = others ?? { owners: [], alone: true };
    lock.owners.push(this);
    return { ...this.held(entry, lock), alone: others === undefined, share: () => { lock.alone = false; } };
  }

  discard(memory: CoreMemory, address: number, length: number): void {
    this.disk.pass(this, 'discard');
    this.mustBeAnonymous(memory, address, length);
    memory.bytes.fill(0, address, address + length);
  }

  adviseHuge(memory: CoreMemory, address: number, length: number): void {
    this.disk.pass(this, 'advise');
    this.mustBeAnonymous(memory, address, length);
  }

  private mustBeAnonymous(memory: CoreMemory, address: number, length: number): void {
    const end = address + length;
    if (address % RANGE_ALIGNMENT !== 0 || length % RANGE_ALIGNMENT !== 0 || length <= 0
      || address < STATIC_END || end > memory.bytes.length) {
      throw misuse(`${length} bytes at ${address} are no range of the memory`, { address, length });
    }
    const mapped = this.disk.mappingsOf(memory).find((each) =>
      each.address < end && each.address + each.bytes.length > address);
    if (mapped !== undefined) throw misuse(`${mapped.path} is mapped at ${mapped.address}`, { path: mapped.path });
  }

  now(): number {
    this.mustLive();
    return this.disk.clock.now();
  }

  random(target: Uint8Array): void {
    this.mustLive();
    this.disk.random.fill(target);
  }

  alive(pid: number): boolean {
    this.mustLive();
    return this.disk.runs(pid);
  }

  wake(memory: CoreMemory, address: number): void {
    // It may come from the end of a turn, where nobody could catch what it throws: the dead wake nobody.
    if (this.ended !== undefined) return;
    this.disk.pass(this, 'wake');
    this.disk.waiters.wake(this.disk.wordOf(memory, address));
  }

  async wait(memory: CoreMemory, address: number, seen: number, milliseconds: number): Promise<void> {
    this.disk.pass(this, 'wait');
    if (wordAt(memory, address) !== (seen | 0) || milliseconds <= 0) return;
    const { clock, waiters } = this.disk;
    await waiters.add(this.disk.wordOf(memory, address), this, clock.elapsed() + milliseconds);
  }

  /** Throws when the process has ended. */
  mustLive(): void {
    if (this.ended !== undefined) throw new SimulatedPowerCut(this.ended);
  }

  /** Throws where the file system may only be read. */
  mustWrite(syscall: string, path: string): void {
    if (this.readOnly) throw systemError(syscall, 'EROFS', path);
  }

  /** Begins an operation: counts it and throws the fault planned for it. */
  begin(operation: Operation, path: string): void {
    const plan = this.disk.enter(this, operation, path);
    if (plan !== undefined) throw systemError(operation, plan.error, path);
  }

  /** Forgets a closed file. */
  closed(file: SimulatedFile): void {
    this.files.delete(file);
    file.inode.handles -= 1;
    this.disk.forget(file.inode);
  }

  /** Ends the process. */
  end(reason: 'power-cut' | 'kill'): void {
    this.ended = reason;
    for (const file of [...this.files]) this.closed(file);
  }

  private handle(inode: Inode, path: string, access: 'read' | 'write'): SimulatedFile {
    const file = new SimulatedFile(this, inode, path, access);
    inode.handles += 1;
    this.files.add(file);
    return file;
  }

  private make(directory: Directory, name: string, path: string): Inode {
    this.mustWrite('open', path);
    const inode = new Inode();
    this.disk.names.link(directory, name, inode);
    this.disk.adopt(inode);
    return inode;
  }

  private parent(syscall: string, path: string): { directory: Directory; name: string } {
    const { directory, name } = this.disk.names.parentOf(path);
    if (directory === undefined) throw systemError(syscall, 'ENOENT', path);
    if (directory.kind !== 'directory') throw systemError(syscall, 'ENOTDIR', path);
    return { directory, name };
  }

  /** The file of a lock that is about to be taken. */
  private lockFile(path: string): Inode {
    this.begin('lock', path);
    const { directory, name } = this.parent('open', path);
    const entry = directory.entries.get(name) ?? this.make(directory, name, path);
    if (entry.kind !== 'file') throw systemError('open', 'EISDIR', path);
    this.mustWrite('open', path);
    return entry;
  }

  private locked(path: string, entry: Inode): VarveError {
    const pid = this.disk.locks.get(entry)?.owners[0]?.pid;
    return new VarveError('ERR_VARVE_LOCKED', `${path} is locked by process ${pid}`, { path, pid });
  }

  private held(entry: Inode, lock: HeldLock): Lock {
    this.disk.locks.set(entry, lock);
    let held = true;
    return {
      release: () => {
        this.disk.pass(this, 'release');
        if (held) this.disk.unlock(entry, this);
        held = false;
      },
    };
  }

  /** Submits a directory's sync; returns what completes it. */
  private beginDirectorySync(path: string): () => void {
    const plan = this.disk.enter(this, 'syncDirectory', path);
    const directory = this.disk.names.find(path);
    if (directory === undefined) throw systemError('open', 'ENOENT', path);
    if (directory.kind !== 'directory') throw systemError('fsync', 'ENOTDIR', path);
    this.disk.noteSync();
    const changes = this.disk.names.unsynced(directory);
    return () => {
      if (plan !== undefined) throw systemError('fsync', plan.error, path);
      this.disk.names.commit(changes);
    };
  }
}
