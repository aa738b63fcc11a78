import { FRAME_ALIGNMENT, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../abi/limits';

/*
 * The frame: one record on disk. docs/format.md, "Frame".
 *
 *   0        4        8
 *   +--------+--------+
 *   |  crc   |  size  |   0   the frame word, published last by one atomic store
 *   +--------+--------+
 *   |  lsn   |durable |   8
 *   +--------+--------+
 *   | epoch  |  info  |  16
 *   +--------+--------+
 *   |  key, payload,  |  24
 *   |  zeros to 8     |
 *   +-----------------+
 *
 * info = kind << 24 | flags << 17 | key bytes. A frame begins at a multiple of 8. `size` counts header, key and
 * payload without the padding, so it is never below 24, and eight zero bytes are never a frame.
 */
@unmanaged
export class Frame {
  /** CRC-32C of bytes [4, size), begun with the segment's salt, so that bytes of an older life never pass. */
  crc: u32;
  /** Bytes of header, key and payload; the padding is not counted. */
  size: u32;
  /** The low 32 bits of the LSN; the segment's base LSN gives the rest. */
  lsn: u32;
  /** Offset in this segment up to which all frames were known to be on disk when this one was written; 0 for none. */
  durable: u32;
  /** The epoch of the writer, never lower than in the frame before. */
  epoch: u32;
  /** Bits 0-16 the key's bytes, bits 17-23 the flags, bits 24-31 the kind. */
  info: u32;
}

/** Bytes of a frame's header. */
export const FRAME_HEADER_BYTES: u32 = offsetof<Frame>();
/** Where the checksummed bytes begin: everything but the checksum itself. */
export const FRAME_CRC_FROM: u32 = offsetof<Frame>('size');
/** Largest `size` of a frame. */
export const FRAME_SIZE_MAX: u32 = FRAME_HEADER_BYTES + KEY_BYTES_MAX + PAYLOAD_BYTES_MAX;
export const INFO_KEY_MASK: u32 = 0x1ffff;
export const INFO_FLAGS_SHIFT: u32 = 17;
export const INFO_FLAGS_MASK: u32 = 0x7f;
export const INFO_KIND_SHIFT: u32 = 24;

if (offsetof<Frame>() != 24) ERROR('a frame header has 24 bytes');
if (offsetof<Frame>('size') != 4) ERROR('crc and size share one 8-byte word');
if (offsetof<Frame>('epoch') != 16) ERROR('the epoch follows the durable offset');

/** Returns the bytes that a frame of `size` takes, padding included. */
@inline
export function frameStride(size: u32): u32 {
  return (size + (FRAME_ALIGNMENT - 1)) & ~(FRAME_ALIGNMENT - 1);
}

/** Returns the flags in a frame's info word. */
@inline
export function flagsOf(info: u32): u32 {
  return (info >> INFO_FLAGS_SHIFT) & INFO_FLAGS_MASK;
}
