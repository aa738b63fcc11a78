/**
 * The faults that the simulated writer meets: a call that fails, wholly or after a part of its work, once or from then
 * on; the death of the process; a disk with little room; and a disk that only says that it syncs.
 */
import type { StoredFile } from '../../host/io/storage.ts';
import type { FaultPlan, SimulatedDisk, SimulatedStorage } from './simulated-disk.ts';
import { OPERATIONS } from './simulated-faults.ts';
import type { Random } from './random.ts';

const PAGE_BYTES = 4096;

/** Draws a call that fails, one of the next `most`. */
export function drawFault(random: Random, most: number): FaultPlan {
  const operation = random.chance(0.5) ? undefined : random.pick(OPERATIONS);
  return {
    ...operation === undefined ? {} : { operation },
    nth: random.between(1, operation === undefined ? most : 3),
    times: random.pick([1, 1, 1, 2, Infinity]),
    error: random.pick(['EIO', 'EIO', 'EIO', 'ENOSPC', 'kill']),
    written: random.pick([0, 1, 511, 512, 4096, 5000, 100_000]),
    dirtyPages: random.pick(['dropped', 'dropped', 'kept']),
  };
}

/** Leaves room for a few pages on the disk, until its capacity is set to `Infinity` again. */
export function fillUp(disk: SimulatedDisk, random: Random): void {
  disk.capacity = 2 ** 40;
  disk.capacity += random.integer(20) * PAGE_BYTES - disk.freeBytes();
}

/** Makes a process whose syncs are acknowledged and do nothing. */
export function lyingStorage(storage: SimulatedStorage): SimulatedStorage {
  const nothing = { sync: async () => undefined, syncNow: () => undefined };
  const deaf = (file: StoredFile) => Object.assign(file, nothing);
  const open = storage.open.bind(storage);
  const create = storage.create.bind(storage);
  return Object.assign(storage, {
    open: (path: string, access: 'read' | 'write') => deaf(open(path, access)),
    create: (path: string) => deaf(create(path)),
  });
}
