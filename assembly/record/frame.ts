/**
 * One frame: whether it is valid, and how it is sealed and published. docs/format.md, "Frame".
 *
 * Invariants: nothing outside [at, at + room) is read; data from disk is never trusted before it is checked; the frame
 * word is stored last, by one aligned atomic store, so that another process sees a whole frame or none.
 */
import { FRAME_HEADER_BYTES, FRAME_CRC_FROM, FRAME_SIZE_MAX, Frame, INFO_KEY_MASK, flagsOf, frameStride } from '../layout/frame';
import { Flag, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../abi/limits';
import { Status } from '../abi/status';
import { crc32c } from '../crc/crc32c';

/**
 * Checks the shape of the frame at `at`: sizes, limits, flags and padding, but not the checksum.
 *
 * @param at address of the frame, a multiple of 8
 * @param room bytes that may be read at `at`
 * @returns `Ok`, `Absent`, `BadSize` or `Truncated`
 * Reads: [at, at + room). Order: the frame word is loaded atomically, before anything else of the frame.
 */
@inline
export function checkShape(at: usize, room: u32): Status {
  if (room < FRAME_HEADER_BYTES) return room >= 8 && load<u64>(at) != 0 ? Status.Truncated : Status.Absent;
  const word = atomic.load<u64>(at);
  if (word == 0) return Status.Absent;
  const size = <u32>(word >> 32);
  if (size < FRAME_HEADER_BYTES || size > FRAME_SIZE_MAX) return Status.BadSize;
  const stride = frameStride(size);
  if (stride > room) return Status.Truncated;
  const info = changetype<Frame>(at).info;
  const body = size - FRAME_HEADER_BYTES;
  const key = info & INFO_KEY_MASK;
  if (key > body || key > KEY_BYTES_MAX || body - key > PAYLOAD_BYTES_MAX) return Status.BadSize;
  if ((flagsOf(info) & ~(<u32>Flag.More)) != 0) return Status.BadSize;
  // The padding is zero; a flipped bit there is damage too, although no checksum covers it.
  if (stride != size && load<u64>(at + stride - 8) >> ((size & 7) << 3) != 0) return Status.BadCrc;
  return Status.Ok;
}

/** Returns the checksum that the frame of `size` at `at` should carry. Reads: [at, at + size). */
@inline
export function frameCrc(at: usize, size: u32, salt: u32): u32 {
  return crc32c(salt, at + FRAME_CRC_FROM, size - FRAME_CRC_FROM);
}

/**
 * Checks the frame at `at` wholly.
 *
 * @param lsn the low 32 bits of the LSN that must stand there
 * @returns `Ok` or why it is not valid, in the order shape, checksum, LSN
 * Reads: [at, at + room).
 */
export function checkFrame(at: usize, room: u32, lsn: u32, salt: u32): Status {
  const shape = checkShape(at, room);
  if (shape != Status.Ok) return shape;
  const frame = changetype<Frame>(at);
  if (!isDefined(CANARY_CRC) && frame.crc != frameCrc(at, frame.size, salt)) return Status.BadCrc;
  return frame.lsn == lsn ? Status.Ok : Status.BadLsn;
}

/**
 * Fills the header and the padding of a frame whose key and payload already stand behind the header, and computes the
 * frame word.
 *
 * @returns the frame word, which the caller stores last
 * Writes: [at + 4, at + 24) and [at + size, at + stride). Reads: [at + 4, at + size).
 */
@inline
export function sealFrame(at: usize, size: u32, info: u32, lsn: u32, durable: u32, epoch: u32, salt: u32): u64 {
  const frame = changetype<Frame>(at);
  frame.size = size;
  frame.lsn = lsn;
  frame.durable = durable;
  frame.epoch = epoch;
  frame.info = info;
  const used = (size & 7) << 3;
  if (used != 0) {
    const end = at + (size & ~7);
    store<u64>(end, load<u64>(end) & ((1 << <u64>used) - 1));
  }
  return (<u64>size << 32) | frameCrc(at, size, salt);
}
