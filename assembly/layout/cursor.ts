/*
 * A cursor file: the named position of a follower. docs/format.md, "Cursor".
 *
 *     0     slot A   written in turn at each save, checksummed: the valid one of the higher sequence counts,
 *     4096  slot B   so a torn save leaves the other
 *     8192  owner    the process id of whoever has the cursor open, as text; there only while it is open
 *
 * Each slot has a page of its own, of which it takes less than the first sector.
 *
 *   0        4        8
 *   +--------+--------+
 *   |      magic      |   0
 *   +--------+--------+
 *   |  crc   |version |   8
 *   +--------+--------+
 *   |incompat| epoch  |  16
 *   +--------+--------+
 *   |    store id     |  24
 *   |                 |
 *   +-----------------+
 *   |    sequence     |  40
 *   +-----------------+
 *   |       LSN       |  48
 *   +-----------------+
 *   |    saved at     |  56
 *   +--------+--------+
 *   |name len|reserved|  64
 *   +--------+--------+
 *   |      name       |  72
 *   |    (64 bytes)   |
 *   +-----------------+ 136
 */
/** One of the two slots of a cursor file. */
@unmanaged
export class CursorSlot {
  /** "VARVECUR". */
  magic: u64;
  /** CRC-32C of bytes [12, 136). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** Epoch of the record of `lsn`; 0 where the log held no such record. */
  epoch: u32;
  /** The store's random id, first half. */
  storeIdLow: u64;
  /** The store's random id, second half. */
  storeIdHigh: u64;
  /** Rises by one with each save. */
  sequence: u64;
  /** LSN of the last record that the follower is done with. */
  lsn: u64;
  /** When it was saved, milliseconds since 1970. For people, never for order. */
  savedAt: u64;
  /** Bytes of the name. */
  nameBytes: u32;
  /** Zero. */
  reserved: u32;
  /** The cursor's name, UTF-8; its 64 bytes begin here and are filled up with zeros. */
  name: u64;
}

/** Little-endian ASCII "VARVECUR". */
export const CURSOR_MAGIC: u64 = 0x5255434556524156;
/** Most bytes of a cursor's name. */
export const CURSOR_NAME_BYTES_MAX: u32 = 64;
/** Bytes of a slot, with the whole name. */
export const CURSOR_SLOT_BYTES: u32 = 136;
/** From slot A to slot B. */
export const CURSOR_SLOT_STRIDE: u32 = 4096;
/** Bytes of both slots, and where the owner's process id stands. */
export const CURSOR_BYTES: u32 = 8192;

if (offsetof<CursorSlot>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<CursorSlot>('name') != 72) ERROR('the name begins at 72');
if (offsetof<CursorSlot>('name') + <usize>CURSOR_NAME_BYTES_MAX != <usize>CURSOR_SLOT_BYTES) {
  ERROR('a slot ends with the name');
}
if (CURSOR_SLOT_BYTES > 512) ERROR('a slot fits into a sector, which is written whole or not at all');
if (CURSOR_BYTES != 2 * CURSOR_SLOT_STRIDE) ERROR('there are two slots');
