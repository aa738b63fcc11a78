/**
 * Copying bytes out of the mapped window. A buffer of its own for each record costs several times the copy, so that
 * small copies are parts of a shared one, as in Node.js's `Buffer`. A shared buffer cannot be transferred to another
 * thread, which would pull it away from under the other records.
 */
import { markAsUntransferable } from 'node:worker_threads';

const POOL_BYTES = 16384;
/** Larger copies have a buffer of their own, so that keeping one never keeps much else. */
const POOLED_BYTES_MAX = 2048;

let pool = new ArrayBuffer(0);
let used = 0;

/** A buffer that several records will share; its bytes are not cleared. */
function sharedBuffer(length: number): ArrayBuffer {
  const { buffer } = Buffer.allocUnsafeSlow(length);
  markAsUntransferable(buffer);
  return buffer;
}

/** Returns a copy of [from, to) for records that will share it: in a buffer of its own, unless it is small. */
export function copyRun(buffer: ArrayBuffer, from: number, to: number): Uint8Array<ArrayBuffer> {
  const length = to - from;
  // A follower at the end of a log makes a run of each record, as soon as it is there.
  if (length <= POOLED_BYTES_MAX) return copyOut(buffer, from, to);
  const copy = new Uint8Array(sharedBuffer(length));
  copy.set(new Uint8Array(buffer, from, length));
  return copy;
}

/** Returns a copy of [from, to). */
export function copyOut(buffer: ArrayBuffer, from: number, to: number): Uint8Array<ArrayBuffer> {
  const length = to - from;
  if (length > POOLED_BYTES_MAX) return new Uint8Array(buffer.slice(from, to));
  if (used + length > POOL_BYTES || pool.byteLength === 0) {
    pool = sharedBuffer(POOL_BYTES);
    used = 0;
  }
  const copy = new Uint8Array(pool, used, length);
  copy.set(new Uint8Array(buffer, from, length));
  used += (length + 7) & ~7;
  return copy;
}
