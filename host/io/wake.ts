/**
 * Waking and waiting on a word of the core's memory, across threads and processes: a shared futex on Linux, polling
 * elsewhere. A wait never blocks the event loop and never lasts longer than a second.
 *
 * - A futex call holds a thread of libuv's pool, which has four, and file operations need them too: no more than two
 *   calls wait at a time in the whole process, counted in memory that worker threads inherit. All waits of a thread on
 *   one word share a call; who gets none polls with back-off.
 * - A wait may end early and without reason; the caller looks at the word again. Nobody is ever woken too late because
 *   of sharing: a wait joins a call only if the word still has the value that the waiter has seen.
 * - The word's range must stay part of the memory, but its file may be taken out: `forgetWaits` then ends the waits.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import type { CoreMemory } from '../core/memory.ts';
import { baseAddress, posix } from './posix.ts';
import { Sleepers } from './sleepers.ts';

/** Longest wait. A worker thread that is terminated waits for its calls, so there they are shorter. */
export const WAIT_MS_MAX = isMainThread ? 1000 : 250;
const POLL_MS_MAX = 32;
const CALLS_MAX = 2;
/** A call that takes this much longer than asked for was lost with its thread, and its place is free. */
const GRACE_MS = 500;
const TIMESPEC_BYTES = 16;
const SHARED_KEY = 'varve.waiting-calls.1';

/** A futex call in the pool, and the waits that share it. */
interface Call {
  readonly address: number;
  readonly sleepers: Sleepers;
}

/** One of the places for a call, taken until a time. */
interface Place {
  readonly index: number;
  readonly until: bigint;
}

/** The calls of this thread, at most CALLS_MAX. */
const calls = new Set<Call>();
/** When each place of the process becomes free, in milliseconds since 1970; made at the first wait. */
let places: BigInt64Array | undefined;
const timespecs = new BigInt64Array(new ArrayBuffer(CALLS_MAX * TIMESPEC_BYTES));

/** Wakes everybody who waits on the word at `address`. */
export function wakeWord(memory: CoreMemory, address: number): void {
  posix().futexWake(baseAddress(memory) + address);
}

/**
 * Waits until the word at `address` differs from `seen`, or is woken, or the time is over. A wait that is not to keep
 * the process alive polls: a call would.
 */
export function waitWord(
  memory: CoreMemory, address: number, seen: number, milliseconds: number, alive: boolean,
): Promise<void> {
  const duration = Math.min(milliseconds, WAIT_MS_MAX);
  if (!(duration > 0) || isChanged(memory, address, seen)) return Promise.resolve();
  if (!alive) return poll(memory, address, seen, duration, false);
  const absolute = baseAddress(memory) + address;
  for (const call of calls) if (call.address === absolute) return call.sleepers.sleep(duration);
  const call = posix().hasFutex ? start(memory, absolute, seen, duration) : undefined;
  return call === undefined ? poll(memory, address, seen, duration, true) : call.sleepers.sleep(duration);
}

/** Ends the waits on [from, to) of the memory; to be called while the file that is about to leave is still there. */
export function forgetWaits(memory: CoreMemory, from: number, to: number): void {
  if (calls.size === 0) return;
  const base = baseAddress(memory);
  for (const call of calls) {
    if (call.address >= base + from && call.address < base + to) {
      // Other processes that wait there wake for nothing, but the pool has its thread back.
      posix().futexWake(call.address);
      finish(call);
    }
  }
}

/** Whether the word at `address` differs from `seen`. */
export function isChanged(memory: CoreMemory, address: number, seen: number): boolean {
  return Atomics.load(memory.words, address >>> 2) !== (seen | 0);
}

/** Ends the waits that share a call. Each has a timer too, for when the pool is too busy to begin the call in time. */
function finish(call: Call): void {
  calls.delete(call);
  call.sleepers.wakeAll();
}

function start(memory: CoreMemory, absolute: number, seen: number, duration: number): Call | undefined {
  const place = takePlace(duration);
  if (place === undefined) return undefined;
  const call: Call = { address: absolute, sleepers: new Sleepers() };
  timespecs[place.index * 2] = BigInt(Math.trunc(duration / 1000));
  timespecs[place.index * 2 + 1] = BigInt(Math.trunc(duration % 1000 * 1e6));
  const timeout = posix().addressOf(new Uint8Array(timespecs.buffer)) + place.index * TIMESPEC_BYTES;
  const done = (): void => {
    givePlace(place);
    finish(call);
    // The memory must outlive the call, which was in the kernel until now.
    void memory;
  };
  try {
    posix().futexWait(absolute, seen | 0, timeout, done);
  } catch {
    // koffi's queue is full.
    givePlace(place);
    return undefined;
  }
  calls.add(call);
  return call;
}

function poll(
  memory: CoreMemory, address: number, seen: number, duration: number, alive: boolean,
): Promise<void> {
  const endsAt = performance.now() + duration;
  return new Promise((resolve) => {
    const look = (pause: number): void => {
      const left = endsAt - performance.now();
      if (left <= 0 || isChanged(memory, address, seen)) {
        resolve();
        return;
      }
      const timer = setTimeout(look, Math.min(pause, left), Math.min(pause * 2, POLL_MS_MAX));
      if (!alive) timer.unref();
    };
    look(1);
  });
}

function takePlace(duration: number): Place | undefined {
  places ??= sharedPlaces();
  const now = Date.now();
  const until = BigInt(Math.ceil(now + duration + GRACE_MS));
  for (let index = 0; index < places.length; index++) {
    const freeAt = Atomics.load(places, index);
    if (freeAt <= BigInt(now) && Atomics.compareExchange(places, index, freeAt, until) === freeAt) {
      return { index, until };
    }
  }
  return undefined;
}

function givePlace(place: Place): void {
  if (places !== undefined) Atomics.compareExchange(places, place.index, place.until, 0n);
}

/** The places of the process, which worker threads inherit from the thread that waits first. */
function sharedPlaces(): BigInt64Array {
  // A process that exits joins its pool's threads, so a call in the kernel would delay it.
  process.once('exit', wakeOwnCalls);
  const inherited: unknown = getEnvironmentData(SHARED_KEY);
  if (inherited instanceof SharedArrayBuffer) return new BigInt64Array(inherited);
  // A worker that has inherited nothing may have sisters who have not either: each takes less.
  const count = isMainThread ? CALLS_MAX : 1;
  const shared = new SharedArrayBuffer(count * BigInt64Array.BYTES_PER_ELEMENT);
  setEnvironmentData(SHARED_KEY, shared);
  return new BigInt64Array(shared);
}

function wakeOwnCalls(): void {
  for (const call of calls) posix().futexWake(call.address);
}
