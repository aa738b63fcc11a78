/**
 * What the tests of the simulated disk share: a memory with three ranges, a disk with one directory that is durable,
 * and small helpers. The disk and its first process are made anew for each test.
 */
import { beforeEach } from 'vitest';
import { CoreMemory } from '../../host/core/memory.ts';
import type { VarveError } from '../../host/errors/varve-error.ts';
import type { StoredFile } from '../../host/io/storage.ts';
import { SimulatedDisk, type SimulatedStorage } from './simulated-disk.ts';

export const PAGE = 4096;
export const SECTOR = 512;
export const memory = new CoreMemory(32 << 20);
/** Three ranges of 1 MiB. */
export const [A, B, C] = [memory.reserve(1 << 20), memory.reserve(1 << 20), memory.reserve(1 << 20)];

export let disk: SimulatedDisk;
export let storage: SimulatedStorage;

beforeEach(() => {
  disk = new SimulatedDisk();
  storage = disk.storage();
  storage.createDirectory('/d');
  storage.syncDirectoryNow('/');
});

/** Starts the process that `storage` is from now on, after a power cut. */
export function restart(): void {
  storage = disk.storage();
}

export function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

/** A file whose name and zeroed bytes are durable. */
export function durableFile(path: string, length: number): StoredFile {
  const file = storage.create(path);
  file.allocate(length);
  file.syncNow();
  storage.syncDirectoryNow(path.slice(0, path.lastIndexOf('/')));
  return file;
}

/** The error of a call that must fail. */
export function failure(call: () => unknown): VarveError {
  try {
    call();
  } catch (error) {
    return error as VarveError;
  }
  throw new Error('the call did not fail');
}

/** The set of byte values in each unit of the content. */
export function valuesBy(unit: number, bytes: Uint8Array): number[][] {
  return Array.from({ length: bytes.length / unit }, (_, at) => (
    [...new Set(bytes.subarray(at * unit, (at + 1) * unit))]));
}
