/**
 * Files in the core's memory: maps a file over a range, and anonymous memory over the file to take it out again. It
 * owns the rule that no mapping can raise SIGBUS within [0, length): the range ends within the file. It must never map
 * outside of the core's memory, and never advise about a range that a mapping no longer has: to forget the pages of a
 * file costs nothing, to forget those of anonymous memory destroys them.
 *
 * Ranges without files are given back to the system here too, and advised about: never one in which a file is mapped.
 *
 * At most one mapping lives at an address. Mapping again at the same address replaces the older one at once, without
 *   a moment of zeros between, and leaves its `unmap` without effect: that is how a file grows in place.
 */
import type { CoreMemory } from '../core/memory.ts';
import { RANGE_ALIGNMENT } from '../core/memory.ts';
import { STATIC_END } from '../generated/abi.ts';
import { CANNOT, errnoName, misuse, refused } from './errors.ts';
import {
  baseAddress, MADV_HUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE,
  MAP_PRIVATE, MAP_SHARED, posix, PROT_READ, PROT_WRITE,
} from './posix.ts';
import type { AccessPattern, Mapping, MappingAccess } from './storage.ts';
import { forgetWaits } from './wake.ts';

const ADVICE: Readonly<Record<AccessPattern, number>> = {
  normal: 0, random: 1, sequential: 2, willneed: 3, dontneed: 4,
};

/** The living mappings of each core's memory, by address. */
const living = new WeakMap<CoreMemory, Map<number, FileMapping>>();

/** What a mapping is made of. */
export interface MappedFile {
  readonly path: string;
  readonly fd: number;
  /** Bytes of the file now. */
  readonly size: number;
}

/**
 * Maps [offset, offset + length) of a file at `address`. Errors: ERR_VARVE_IO, ERR_VARVE_UNSUPPORTED,
 * ERR_VARVE_INTERNAL.
 */
export function mapFile(
  file: MappedFile, memory: CoreMemory, address: number, length: number, access: MappingAccess, offset = 0,
): Mapping {
  assertRange(file, memory, address, length, offset);
  const mappings = mappingsOf(memory);
  const older = mappings.get(address);
  if (older !== undefined) forgetWaits(memory, older.address, older.end);
  const protection = access === 'read' ? PROT_READ : PROT_READ | PROT_WRITE;
  // Of a private mapping, few pages may ever be stored to: room for all of them is not asked for.
  const flags = MAP_FIXED | (access === 'private' ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED);
  const at = posix().mmap(baseAddress(memory) + address, length, protection, flags, file.fd, offset);
  if (at < 0) {
    const name = errnoName(-at);
    throw refused('mmap', file.path, name, CANNOT.has(name) ? 'ERR_VARVE_UNSUPPORTED' : undefined);
  }
  // Without this, a fault reads ahead, which makes large folios, and every store into a clean page of a large folio
  // then marks the whole folio dirty: several times the price of the store on Linux 6.16 and later with ext4.
  if (access === 'write') posix().madvise(at, length, ADVICE.random);
  const mapping = new FileMapping(file.path, memory, address, length, access);
  mappings.set(address, mapping);
  if (older !== undefined && older.end > mapping.end) clear(older.path, memory, mapping.end, older.end);
  return mapping;
}

class FileMapping implements Mapping {
  readonly path: string;
  readonly address: number;
  readonly length: number;
  /** Where the last mapped page ends. */
  readonly end: number;
  private readonly memory: CoreMemory;
  private readonly populateAdvice: number;

  constructor(path: string, memory: CoreMemory, address: number, length: number, access: MappingAccess) {
    this.path = path;
    this.memory = memory;
    this.address = address;
    this.length = length;
    this.end = address + roundUp(length, posix().pageBytes);
    this.populateAdvice = access === 'write' ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  }

  populate(offset: number, length: number): void {
    const system = posix();
    const range = this.pages(offset, length);
    if (range === undefined || !system.canPopulate) return;
    system.madvise(baseAddress(this.memory) + range[0], range[1] - range[0], this.populateAdvice);
  }

  advise(offset: number, length: number, pattern: AccessPattern): void {
    const range = this.pages(offset, length);
    if (range === undefined) return;
    posix().madvise(baseAddress(this.memory) + range[0], range[1] - range[0], ADVICE[pattern]);
  }

  unmap(): void {
    const mappings = mappingsOf(this.memory);
    if (mappings.get(this.address) !== this) return;
    forgetWaits(this.memory, this.address, this.end);
    clear(this.path, this.memory, this.address, this.end);
    mappings.delete(this.address);
  }

  /** The pages of [offset, offset + length) as [from, to) in the memory; `undefined` when none, or taken out. */
  private pages(offset: number, length: number): [number, number] | undefined {
    if (mappingsOf(this.memory).get(this.address) !== this) return undefined;
    const page = posix().pageBytes;
    const from = this.address + Math.floor(Math.max(offset, 0) / page) * page;
    const to = Math.min(this.end, this.address + roundUp(offset + length, page));
    return from < to ? [from, to] : undefined;
  }
}

function mappingsOf(memory: CoreMemory): Map<number, FileMapping> {
  let mappings = living.get(memory);
  if (mappings === undefined) living.set(memory, mappings = new Map());
  return mappings;
}

function roundUp(length: number, unit: number): number {
  return Math.ceil(length / unit) * unit;
}

/** Maps zeros over [from, to) of the memory; `path` names what stood there, for the error. */
function clear(path: string, memory: CoreMemory, from: number, to: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  const at = posix().mmap(baseAddress(memory) + from, to - from, PROT_READ | PROT_WRITE, flags, -1);
  if (at < 0) throw refused('mmap', path, errnoName(-at));
}

/**
 * Gives the pages of a range without files back to the system; it reads as zeros then. Errors: ERR_VARVE_IO,
 * ERR_VARVE_INTERNAL.
 */
export function discardRange(memory: CoreMemory, address: number, length: number): void {
  assertAnonymous(memory, address, length);
  forgetWaits(memory, address, address + length);
  clear('the core\'s memory', memory, address, address + length);
}

/** Advises large pages for a range without files. Errors: ERR_VARVE_INTERNAL. */
export function adviseHugePages(memory: CoreMemory, address: number, length: number): void {
  assertAnonymous(memory, address, length);
  if (MADV_HUGEPAGE !== undefined) posix().madvise(baseAddress(memory) + address, length, MADV_HUGEPAGE);
}

/** Refuses what is not a range of multiples of 64 KiB within the core's memory, or where a file is mapped. */
function assertAnonymous(memory: CoreMemory, address: number, length: number): void {
  const end = address + length;
  const whole = [address, length].every((number) => Number.isSafeInteger(number) && number % RANGE_ALIGNMENT === 0);
  if (!whole || address < STATIC_END || length <= 0 || end > memory.bytes.length) {
    throw misuse(`${length} bytes at ${address} are no range of the core's memory`, { address, length });
  }
  for (const mapping of mappingsOf(memory).values()) {
    if (mapping.address >= end || mapping.end <= address) continue;
    throw misuse(`${mapping.path} is mapped within the ${length} bytes at ${address}`,
      { path: mapping.path, address, length });
  }
}

function assertRange(
  file: MappedFile, memory: CoreMemory, address: number, length: number, offset: number,
): void {
  const facts = { path: file.path, address, offset, length, size: file.size };
  if (!Number.isSafeInteger(address) || address < 0 || address % RANGE_ALIGNMENT !== 0) {
    throw misuse(`a file cannot be mapped at ${address}, which is no multiple of ${RANGE_ALIGNMENT}`, facts);
  }
  if (!Number.isSafeInteger(length) || length <= 0 || address + length > memory.bytes.length) {
    throw misuse(`${length} bytes at ${address} are not within the core's memory`, facts);
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % RANGE_ALIGNMENT !== 0) {
    throw misuse(`${file.path} cannot be mapped from ${offset} on, which is no multiple of ${RANGE_ALIGNMENT}`, facts);
  }
  if (offset + length > file.size) {
    throw misuse(`${length} bytes from ${offset} on cannot be mapped of ${file.path}, which has ${file.size}`, facts);
  }
}
