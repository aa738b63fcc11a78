/**
 * The seam between varve and the operating system. Everything above works on this interface alone: `RealStorage`
 * (host/io/real-storage.ts) maps real files, and the tests put a simulated disk in its place that can lose power.
 *
 * Rules that every implementation keeps:
 * - Paths are absolute. Failures are `VarveError`s: ERR_VARVE_DISK_FULL for ENOSPC, EDQUOT and EFBIG,
 *   ERR_VARVE_NOT_FOUND for ENOENT, ERR_VARVE_LOCKED from `lock`, ERR_VARVE_IO for the rest, with `details` {path,
 *   syscall, errno}.
 * - A file's bytes are durable once a `sync` that began after they were written has succeeded; its name is durable
 *   once a `syncDirectory` has.
 * - A mapping shows the same bytes as `read`, at once, to every process.
 */
import type { CoreMemory } from '../core/memory.ts';

/** How a mapped range will be used. */
export type AccessPattern = 'normal' | 'random' | 'sequential' | 'willneed' | 'dontneed';

/**
 * What a mapping is for: `read`, it is never written to; `write`, stores go into the file; `private`, stores go into
 * copies of the pages that they touch, and change neither the file nor what anybody else sees of it.
 */
export type MappingAccess = 'read' | 'write' | 'private';

/** A file mapped into the core's memory. */
export interface Mapping {
  /** Byte address in the core's memory, a multiple of 64 KiB. */
  readonly address: number;
  /** Mapped bytes, as asked for. */
  readonly length: number;
  /**
   * Makes the pages of [offset, offset + length) present, and those of a mapping for `write` writable; cheaper than by
   * faults, and never fails.
   */
  populate(offset: number, length: number): void;
  /** Advises the kernel about [offset, offset + length); a hint that never fails. */
  advise(offset: number, length: number, pattern: AccessPattern): void;
  /** Takes the file out of the memory: the range reads as zeros afterwards. Idempotent. */
  unmap(): void;
}

/** An open file. */
export interface StoredFile {
  readonly path: string;
  /** Bytes of the file now. */
  size(): number;
  /**
   * An offset from which on all bytes are zeros, stores through mappings included: the end of what was ever written,
   * where the file system knows it, else the size. Nothing of the file is read, so that room which was only allocated
   * stays untouched.
   */
  endOfData(): number;
  /** Whether a name leads to it still: not so where it was removed, or another file has taken its name. */
  isNamed(): boolean;
  /**
   * Makes the file at least `length` bytes long with every block on disk, or fails and leaves its length as it was.
   *
   * @param turns whether other processes may do the same at the same time: then they take turns, because who fails
   *   takes back what he has added
   */
  allocate(length: number, turns?: boolean): void;
  /** Sets the length. Never called to shrink below a byte that a reader may touch. */
  truncate(length: number): void;
  /** The same, off the event loop: it may wait for the file system's journal. */
  truncateLater(length: number): Promise<void>;
  /** Gives the file another name in its directory, replacing atomically what has it. */
  rename(path: string): void;
  /** Reads into `target` from `position`; returns how many bytes there were. Short only at the end of the file. */
  read(target: Uint8Array, position: number): number;
  /** Writes all of `source` at `position`. */
  write(source: Uint8Array, position: number): void;
  /** Makes all bytes written so far durable, mapped stores included (fdatasync), off the event loop. */
  sync(): Promise<void>;
  /** The same, blocking. Fails too where a `sync` has failed whose promise has not been rejected yet. */
  syncNow(): void;
  /**
   * Maps [offset, offset + length) at `address` of the core's memory; the range must be reserved by the caller, it must
   * end within the file, and `offset`, 0 where not given, is a multiple of 64 KiB. For `write` the file must be open
   * for writing. While a mapping for `private` lives, nobody may write to the file: it may or may not show the change.
   */
  map(memory: CoreMemory, address: number, length: number, access: MappingAccess, offset?: number): Mapping;
  /**
   * Returns a private (copy-on-write) view of [0, length), valid as long as anyone holds it, whatever becomes of the
   * file's other mappings. Writing into it changes neither the file nor other views' file pages.
   */
  view(length: number): Uint8Array;
  /** Closes the descriptor; mappings and views stay. Idempotent. */
  close(): void;
}

/** A place in a file whose bytes mean nothing: they are written to tell those who watch the file of a wake. */
export interface Notice {
  readonly file: StoredFile;
  /** Offset of 4 such bytes. */
  readonly position: number;
}

/** A lock that dies with its process. */
export interface Lock {
  release(): void;
}

/** A lock that several may have, if all of them take it as a shared one. */
export interface SharedLock extends Lock {
  /** Whether nobody else had it. Then nobody else gets it until `share` is called. */
  readonly alone: boolean;
  /** Lets others in. In the moment between, somebody may take it for himself alone: ERR_VARVE_LOCKED. */
  share(): void;
}

export interface Storage {
  /** Makes the directory and its parents; returns the paths of the directories made, outermost first. */
  createDirectory(path: string): string[];
  /** Bytes that are free for this process where the directory is; `Infinity` where that is not known. */
  freeBytes(directory: string): number;
  /** Names of the entries in a directory, sorted; `undefined` where there is no such directory. */
  list(directory: string): string[] | undefined;
  /** Opens an existing file. */
  open(path: string, access: 'read' | 'write'): StoredFile;
  /** Creates a file that must not exist yet, open for writing; with the rights of the file `like`, where given. */
  create(path: string, like?: string): StoredFile;
  /**
   * Creates such a file off the event loop and gives it `length` bytes, with every block on disk; leaves nothing behind
   * where that fails. The name may be there before the promise resolves.
   */
  createLater(path: string, length: number): Promise<StoredFile>;
  /** Whether there is a file. */
  exists(path: string): boolean;
  /** Renames within one directory, replacing the target atomically; a directory replaces none but an empty one. */
  rename(from: string, to: string): void;
  /** Removes a file; nothing happens where there is none. */
  remove(path: string): void;
  /** The same, off the event loop: the blocks of a large file take their time to be freed. */
  removeLater(path: string): Promise<void>;
  /** Removes an empty directory; nothing happens where there is none. */
  removeDirectory(path: string): void;
  /** Makes the names in a directory durable, off the event loop. */
  syncDirectory(directory: string): Promise<void>;
  /** The same, blocking. */
  syncDirectoryNow(directory: string): void;
  /**
   * Takes a lock on a file, made where missing, without waiting; ERR_VARVE_LOCKED with `details.pid`. While it is held,
   * the file ends with the owner's process id at `ownerAt`, or at 0 where the file is nothing but a lock.
   */
  lock(path: string, ownerAt?: number): Lock;
  /**
   * Takes the same lock together with others who share it; `lock` and this one exclude each other. Waits for those who
   * have it alone and are going to share it; ERR_VARVE_LOCKED where somebody has taken it by `lock`.
   */
  lockShared(path: string): SharedLock;
  /**
   * Gives the pages of [address, address + length) of the core's memory back to the system: they read as zeros then.
   * The range is reserved by the caller, of multiples of 64 KiB, and no file is mapped there.
   */
  discard(memory: CoreMemory, address: number, length: number): void;
  /**
   * Asks for large pages in such a range, where the system has them: fewer faults and misses of address translation in
   * a table that is hit all over. A hint that never fails; `discard` takes it back.
   */
  adviseHuge(memory: CoreMemory, address: number, length: number): void;
  /** Milliseconds since 1970. */
  now(): number;
  /** Fills with random bytes. */
  random(target: Uint8Array): void;
  /** This process's id. */
  readonly pid: number;
  /** Whether a process of this id can be seen from here. */
  alive(pid: number): boolean;
  /**
   * Wakes every process and thread that waits on the 32-bit word at `address`, or for the notice; cheap where nobody
   * does.
   */
  wake(memory: CoreMemory, address: number, notice?: Notice): void;
  /**
   * Waits off the event loop until the word at `address` differs from `seen`, something wakes it, or `milliseconds`
   * have passed. May return early. With the notice that is given to `wake`, it wakes sooner and holds no thread. Keeps
   * the process alive, unless `alive` is false.
   */
  wait(
    memory: CoreMemory, address: number, seen: number, milliseconds: number, notice?: Notice, alive?: boolean,
  ): Promise<void>;
}
