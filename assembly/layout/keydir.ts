import { PUT_META_BYTES } from '../abi/limits';
import { SCRATCH_BYTES, SLOT_BYTES } from '../abi/memory';

/*
 * The key directory: where the newest record of each key stands. What core and host say to each other about it is
 * private to a process; entries and hints also stand in files. docs/format.md, "Key directory".
 *
 * The table is one array of entries in the order of their hashes, with gaps. An entry's home is hash * slots / 2^32; it
 * stands there or behind, and no gap lies between. So a search begins at the home and ends at the first gap or greater
 * hash, entries are inserted by moving the rest of a run up, and the table grows in place, from its top downwards.
 */

/** One key, 16 bytes. */
@unmanaged
export class KeydirEntry {
  /** Keyed hash of the key. */
  hash: u32;
  /** Offset of the frame in its segment, divided by 8; 0 marks a gap. */
  place: u32;
  /** Bits 0-23 the stride of the frame, divided by 8; bits 24-31 flags. */
  size: u32;
  /** Number of the segment. */
  segment: u32;
}

/** One record of a segment that its hint file names, 16 bytes. */
@unmanaged
export class HintEntry {
  /** Keyed hash of the key; 0 where the record clears the store. */
  hash: u32;
  /** Offset of the frame in its segment, divided by 8. */
  place: u32;
  /** As in the table. */
  size: u32;
  /** The frame's info word. */
  info: u32;
}

/** What is known of the segment of a number. */
@unmanaged
export class KeydirSegment {
  /** Address of its `SegmentView`; 0 while it is not mapped. */
  view: u32;
  /** `KeydirSegmentFlag`. */
  flags: u32;
  /** Bytes of the frames that the table points at. */
  liveBytes: u32;
  /** How many they are. */
  liveRecords: u32;
}

/** A key directory, in a slot of the static area. */
@unmanaged
export class Keydir {
  /** Address of the first entry. */
  table: u32;
  /** Entries that the range has room for. */
  room: u32;
  /** Homes of hashes below `border`. */
  slots: u32;
  /** Homes of hashes from `border` on; 0 while the table does not grow. */
  nextSlots: u32;
  /** Growing: the hash from which on entries have moved; 2^32 while the table does not grow. */
  border: u64;
  /** Growing: the slot from which on entries have moved. */
  moved: u32;
  /** Keys. */
  count: u32;
  /** The hash's key: the low half of the store's id. */
  seedLow: u64;
  /** The high half. */
  seedHigh: u64;
  /** Address of the `KeydirSegment`s. */
  segments: u32;
  /** Growing: insertions until the next step. */
  pace: u32;
}

/** What a call leaves at the start of the scratch area. */
@unmanaged
export class KeydirResult {
  /** Number of the segment of the record that was found; of the one that is to be mapped. */
  segment: u32;
  /** Offset of the frame; of the first one that a run did not take. */
  offset: u32;
  /** Address of the value. */
  valueAt: u32;
  /** Bytes of the value. */
  valueBytes: u32;
  /** The frame's info word. */
  info: u32;
  /** Slot of the entry. */
  slot: u32;
  /** Records taken by a run. */
  records: u32;
  /** Of a record that another one took the place of: its segment, or none: `KEYDIR_NO_SEGMENT`. */
  oldSegment: u32;
  /** Offset of its frame. */
  oldOffset: u32;
  /** Stride of the frame that was found. */
  stride: u32;
  /** When the record expires, in milliseconds since 1970; 0 for never. */
  expiresAt: f64;
  /** LSN of the write that gave the key its value. */
  version: f64;
  /** LSN of the record. */
  lsn: f64;
}

/** A record that compaction has put on the stage, 16 bytes. */
@unmanaged
export class KeydirMove {
  /** Slot of its entry. */
  slot: u32;
  /** Offset of its new frame from the beginning of the stage. */
  staged: u32;
  /** Offset of its old frame. */
  offset: u32;
  /** Stride of its new frame. */
  stride: u32;
}

/** What stands in front of the value of a `PutMeta`, 16 bytes. */
@unmanaged
export class PutMeta {
  /** LSN of the write that gave the key this value; 0 where it is the record's own. */
  version: u64;
  /** When the record expires, in milliseconds since 1970; 0 for never. */
  expiresAt: u64;
}

/** Flags of an entry. */
export const enum KeydirFlag {
  /** The record expires. */
  Expires = 1,
}

/** Flags of a segment. */
export const enum KeydirSegmentFlag {
  /** A record of it was read since the flag was cleared. */
  Used = 1,
  /** It was dropped: what points at it is dead. */
  Dropped = 2,
}

export const KEYDIR_ENTRY_BYTES: u32 = offsetof<KeydirEntry>();
export const KEYDIR_SEGMENT_BYTES: u32 = offsetof<KeydirSegment>();
export const KEYDIR_HINT_BYTES: u32 = offsetof<HintEntry>();
export const KEYDIR_MOVE_BYTES: u32 = offsetof<KeydirMove>();
/** Most segments of a store: their numbers have 16 bits. */
export const KEYDIR_SEGMENTS_MAX: u32 = 65536;
/** Entries behind the last home, for runs that reach beyond it. */
export const KEYDIR_SPARE: u32 = 4096;
/** A segment that is none. */
export const KEYDIR_NO_SEGMENT: u32 = 0xffffffff;
export const KEYDIR_STRIDE_MASK: u32 = 0xffffff;
export const KEYDIR_FLAGS_SHIFT: u32 = 24;

if (offsetof<KeydirEntry>() != 16) ERROR('an entry has 16 bytes');
if (offsetof<HintEntry>() != 16) ERROR('a hint has 16 bytes');
if (offsetof<PutMeta>() != <usize>PUT_META_BYTES) ERROR('the prefix of a value has 16 bytes');
if (offsetof<Keydir>() > <usize>SLOT_BYTES) ERROR('a key directory fits into a slot');
if (offsetof<KeydirResult>() > <usize>SCRATCH_BYTES) ERROR('a result fits into the scratch area');
