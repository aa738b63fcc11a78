/**
 * Checksums of bytes outside of the core's memory, computed by the core. They go through the scratch area, where the
 * results of calls stand.
 */
import { SCRATCH_BYTES, SCRATCH_OFFSET } from '../generated/abi.ts';
import type { Core } from './core.ts';

/** The CRC-32C of bytes, or of those of which `initial` is the CRC with these behind them. */
export function checksum(core: Core, data: Uint8Array, initial = 0): number {
  let crc = initial;
  for (let from = 0; from < data.length; from += SCRATCH_BYTES) {
    const part = data.subarray(from, from + SCRATCH_BYTES);
    core.memory.bytes.set(part, SCRATCH_OFFSET);
    crc = core.exports.crc32c(crc, SCRATCH_OFFSET, part.length);
  }
  return crc >>> 0;
}
