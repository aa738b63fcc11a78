/**
 * CRC-32C for users of the package: the core's, over bytes that may lie anywhere.
 */
import { wrongType, outOfRange } from '../errors/varve-error.ts';
import { SCRATCH_BYTES, SCRATCH_OFFSET, STATIC_END } from '../generated/abi.ts';
import { Core } from './core.ts';

const encoder = new TextEncoder();
/** Up to here a copy costs less than finding out where the bytes lie. */
const COPIED_BYTES_MAX = 1024;

/**
 * Computes the CRC-32C (Castagnoli; iSCSI, RFC 3720; ext4) of bytes, or of text as UTF-8.
 *
 * More than 1 KiB that lies in the core's own memory is read in place; other bytes are copied into it piece by piece.
 *
 * @param data the bytes, or text
 * @param initial the CRC of what came before, to continue it; default 0
 * @returns the CRC, 0 to 2^32 - 1; `crc32c(b, crc32c(a))` is the CRC of `a` followed by `b`
 * @throws TypeError, RangeError (ERR_VARVE_INVALID_ARGUMENT)
 * @example
 * crc32c('123456789').toString(16) // 'e3069283'
 */
export function crc32c(data: Uint8Array | string, initial = 0): number {
  if (typeof data === 'string') return crc32c(encoder.encode(data), initial);
  if (!(data instanceof Uint8Array)) throw wrongType('data', 'a Uint8Array or a string', data);
  if (typeof initial !== 'number') throw wrongType('initial', 'a number', initial);
  if (initial >>> 0 !== initial) throw outOfRange('initial', 'an integer from 0 to 4294967295', initial);
  const { exports, memory } = Core.shared();
  const { bytes } = memory;
  if (data.length <= COPIED_BYTES_MAX) {
    bytes.set(data, SCRATCH_OFFSET);
    return exports.crc32c(initial, SCRATCH_OFFSET, data.length) >>> 0;
  }
  // Asking for a view's buffer is dear, and below this address no view of the memory can begin.
  const within = data.byteOffset >= STATIC_END && data.buffer === memory.buffer;
  if (within) return exports.crc32c(initial, data.byteOffset, data.length) >>> 0;
  let crc = initial;
  for (let from = 0; from < data.length; from += SCRATCH_BYTES) {
    const part = data.subarray(from, from + SCRATCH_BYTES);
    bytes.set(part, SCRATCH_OFFSET);
    crc = exports.crc32c(crc, SCRATCH_OFFSET, part.length);
  }
  return crc >>> 0;
}
