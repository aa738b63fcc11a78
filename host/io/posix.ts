/**
 * The system calls that Node.js does not offer, bound through koffi: mmap, munmap, madvise, posix_fallocate, flock and
 * futex. It owns their numbers and flags on each platform and the address of each core's memory. It knows no path,
 * throws no error of a file, and keeps no state about mappings.
 *
 * - koffi is loaded at the first use, never when the module is loaded: a program that only imports varve pays nothing.
 * - Addresses are plain numbers: user space ends below 2^48, and numbers are as fast as bigints here.
 * - A function that returns an errno returns 0 for success and never leaves it in a global.
 * - Only `addressOf` memory whose buffer never moves: the core's, or an ArrayBuffer that is kept for ever.
 */
import { createRequire } from 'node:module';
import type { CoreMemory } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';

const LINUX = process.platform === 'linux';

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_NORESERVE = LINUX ? 0x4000 : 0x40;
export const MAP_ANONYMOUS = LINUX ? 0x20 : 0x1000;
/** madvise: large pages, where the system has them for the asking. */
export const MADV_HUGEPAGE = LINUX ? 14 : undefined;
/** madvise: fault pages in for reading or for writing; Linux 5.14 and later. */
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
/** flock: exclusive or shared, without waiting; exclusive, waiting; given back. */
export const LOCK_EXCLUSIVE_NOW = 2 | 4;
export const LOCK_SHARED_NOW = 1 | 4;
export const LOCK_EXCLUSIVE = 2;
export const LOCK_NONE = 8;

const SEEK_DATA = LINUX ? 3 : 4;
const SEEK_HOLE = LINUX ? 4 : 3;

const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const EVERYBODY = 0x7fffffff;
const FUTEX_NUMBER = process.arch === 'arm64' ? 98 : 202;

const F_PREALLOCATE = 42;
const F_ALLOCATECONTIG = 2;
const F_ALLOCATEALL = 4;
const F_PEOFPOSMODE = 3;

export interface Posix {
  readonly pageBytes: number;
  /** Whether madvise knows MADV_POPULATE_READ and MADV_POPULATE_WRITE. */
  readonly canPopulate: boolean;
  /** Whether `futexWake` and `futexWait` do something. */
  readonly hasFutex: boolean;
  /** Returns the address, or -errno. */
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset?: number): number;
  munmap(address: number, length: number): void;
  madvise(address: number, length: number, advice: number): void;
  /** Gives [0, length) of a file of `size` bytes its blocks; returns an errno. */
  allocate(fd: number, size: number, length: number): number;
  /** The same on a thread of the pool, where the system has a call for it; resolves with an errno. */
  allocateLater(fd: number, size: number, length: number): Promise<number>;
  /** The first byte at or behind an offset that a hole begins with, or that is none; -errno where there is none. */
  seekHole(fd: number, offset: number): number;
  seekData(fd: number, offset: number): number;
  /** Returns an errno. */
  flock(fd: number, operation: number): number;
  /** Wakes all who wait on the word at an absolute address, in every process. */
  futexWake(address: number): void;
  /** Waits on a thread of the pool, for as long as the timespec at `timeout` says, while the word is `seen`. */
  futexWait(address: number, seen: number, timeout: number, done: () => void): void;
  /** The memory at an absolute address; whoever asks for it must unmap it, and not before the buffer is collected. */
  external(address: number, length: number): ArrayBuffer;
  addressOf(bytes: Uint8Array): number;
}

/** Why varve cannot work on this platform, or `undefined` where it can. */
export function unsupportedReason(): string | undefined {
  const { platform, arch } = process;
  if (platform !== 'linux' && platform !== 'darwin') return `platform ${platform} is not supported`;
  if (arch !== 'x64' && arch !== 'arm64') return `architecture ${arch} is not supported`;
  return undefined;
}

/** Throws ERR_VARVE_UNSUPPORTED where `unsupportedReason` has a reason. */
export function assertSupported(): void {
  const reason = unsupportedReason();
  if (reason === undefined) return;
  throw new VarveError('ERR_VARVE_UNSUPPORTED', `${reason}; use Linux or macOS on x64 or arm64`,
    { platform: process.platform, arch: process.arch });
}

/** `require` for the packages that are loaded when they are needed. */
export const requireLater = createRequire(import.meta.url);

let bound: Posix | undefined;
const bases = new WeakMap<CoreMemory, number>();

/** The bindings. Errors: ERR_VARVE_UNSUPPORTED where the platform or koffi cannot be used. */
export function posix(): Posix {
  if (bound !== undefined) return bound;
  assertSupported();
  try {
    return bound = bind(requireLater('koffi') as typeof import('koffi'));
  } catch (cause) {
    throw new VarveError('ERR_VARVE_UNSUPPORTED',
      'the package koffi cannot be loaded, and without it files cannot be mapped; install varve again on this machine',
      { package: 'koffi', platform: process.platform, arch: process.arch }, cause);
  }
}

/** The absolute address of byte 0 of the core's memory. */
export function baseAddress(memory: CoreMemory): number {
  const known = bases.get(memory);
  if (known !== undefined) return known;
  const base = posix().addressOf(memory.bytes);
  bases.set(memory, base);
  return base;
}

function bind(koffi: typeof import('koffi')): Posix {
  const libc = koffi.load(null);
  const mmap = libc.func('mmap', 'intptr_t', ['intptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const munmap = libc.func('munmap', 'int', ['intptr_t', 'size_t']);
  const madvise = libc.func('madvise', 'int', ['intptr_t', 'size_t', 'int']);
  const lseek = libc.func('lseek', 'int64_t', ['int', 'int64_t', 'int']);
  const seek = (fd: number, offset: number, whence: number): number => {
    const at: number = lseek(fd, offset, whence);
    return at === -1 ? -koffi.errno() : at;
  };
  const flock = libc.func('flock', 'int', ['int', 'int']);
  const getpagesize = libc.func('getpagesize', 'int', []);
  return {
    pageBytes: getpagesize(),
    // An unknown advice is refused before the length is looked at, so an empty range tells.
    canPopulate: LINUX && madvise(0, 0, MADV_POPULATE_WRITE) === 0,
    hasFutex: LINUX,
    mmap(address, length, protection, flags, fd, offset = 0) {
      const at: number = mmap(address, length, protection, flags, fd, offset);
      return at === -1 ? -koffi.errno() : at;
    },
    munmap(address, length) { munmap(address, length); },
    madvise(address, length, advice) { madvise(address, length, advice); },
    ...(LINUX ? bindAllocate(libc) : bindPreallocate(libc, koffi)),
    seekHole: (fd, offset) => seek(fd, offset, SEEK_HOLE),
    seekData: (fd, offset) => seek(fd, offset, SEEK_DATA),
    flock: (fd, operation) => flock(fd, operation) === 0 ? 0 : koffi.errno(),
    ...bindFutex(libc),
    external: (address, length) => koffi.view(address, length),
    addressOf: (bytes) => Number(koffi.address(bytes)),
  };
}

type Library = ReturnType<typeof import('koffi').load>;

function bindAllocate(libc: Library): Pick<Posix, 'allocate' | 'allocateLater'> {
  const fallocate = libc.func('posix_fallocate', 'int', ['int', 'int64_t', 'int64_t']);
  // From 0, so that holes that an earlier owner left in the file get their blocks as well.
  return {
    allocate: (fd, _size, length) => fallocate(fd, 0, length),
    allocateLater: (fd, _size, length) => new Promise((resolve, reject) => {
      fallocate.async(fd, 0, length, (error: unknown, errno: number) => {
        if (error === null || error === undefined) resolve(errno);
        else reject(error);
      });
    }),
  };
}

/** macOS has no posix_fallocate: F_PREALLOCATE reserves blocks behind the last one, and the caller sets the length. */
function bindPreallocate(
  libc: Library, koffi: typeof import('koffi'),
): Pick<Posix, 'allocate' | 'allocateLater'> {
  const fcntl = libc.func('fcntl', 'int', ['int', 'int', '...']);
  const allocate: Posix['allocate'] = (fd, size, length) => {
    if (length <= size) return 0;
    const store = Buffer.alloc(32);
    const ask = (flags: number): boolean => {
      // struct fstore: flags, mode, offset from the last block, length, and the bytes that were allocated.
      store.writeUInt32LE(flags, 0);
      store.writeInt32LE(F_PEOFPOSMODE, 4);
      store.writeBigInt64LE(0n, 8);
      store.writeBigInt64LE(BigInt(length - size), 16);
      store.writeBigInt64LE(0n, 24);
      return fcntl(fd, F_PREALLOCATE, 'void *', store) !== -1;
    };
    return ask(F_ALLOCATECONTIG | F_ALLOCATEALL) || ask(F_ALLOCATEALL) ? 0 : koffi.errno();
  };
  // It only reserves, which takes no time.
  return { allocate, allocateLater: async (fd, size, length) => allocate(fd, size, length) };
}

function bindFutex(libc: Library): Pick<Posix, 'futexWake' | 'futexWait'> {
  if (!LINUX) return { futexWake() {}, futexWait(_address, _seen, _timeout, done) { setImmediate(done); } };
  // syscall is variadic in C, but on Linux its arguments travel as those of an ordinary function.
  const wake = libc.func('syscall', 'long', ['long', 'intptr_t', 'int', 'int']);
  const wait = libc.func('syscall', 'long', ['long', 'intptr_t', 'int', 'int', 'intptr_t', 'intptr_t', 'int']);
  return {
    futexWake(address) { wake(FUTEX_NUMBER, address, FUTEX_WAKE, EVERYBODY); },
    futexWait(address, seen, timeout, done) {
      wait.async(FUTEX_NUMBER, address, FUTEX_WAIT, seen, timeout, 0, 0, done);
    },
  };
}
