/**
 * Records whose contents follow from their LSN, made and checked fast enough for a race: parts of one noisy buffer.
 */
import { integers } from './records.mjs';

const SIZE_MAX = 400;
/** Bytes of a frame's header; docs/format.md. */
const HEADER_BYTES = 24;
const noise = new Uint8Array(65536);
const below = integers(20240610);
for (let i = 0; i < noise.length; i++) noise[i] = below(256);

function sizeOf(lsn) {
  return (Math.imul(lsn, 0x9e3779b1) >>> 8) % (SIZE_MAX + 1);
}

/** The payload, of 0 to 400 bytes. It is not to be changed. */
export function racePayload(lsn) {
  const from = (Math.imul(lsn, 0x85ebca6b) >>> 5) % (noise.length - SIZE_MAX);
  return noise.subarray(from, from + sizeOf(lsn));
}

/** How far a record moves the position of the log. */
export function raceStride(lsn) {
  return (HEADER_BYTES + sizeOf(lsn) + 7) & ~7;
}
