/**
 * The numbers that bound what varve accepts, and the kinds and flags of a frame. They are part of the format: a change
 * here is a new format version. See docs/format.md, "Limits" and "Kinds".
 */

/** Version of the format that this core writes, and the newest that it reads. */
export const FORMAT_VERSION: u32 = 1;
/** Most bytes of a record's payload: 64 MiB. */
export const PAYLOAD_BYTES_MAX: u32 = 67108864;
/** Most bytes of a record's key: 64 KiB. */
export const KEY_BYTES_MAX: u32 = 65536;
/** Bytes on version and expiry that stand in front of the value in a record of kind `PutMeta`. */
export const PUT_META_BYTES: u32 = 16;
/** Bytes of the time that stands in front of the value in every entry of a write-ahead log group. */
export const STAMP_BYTES: u32 = 8;
/** Most writers of a group. */
export const GROUP_CORES_MAX: u32 = 1024;
/** Frames begin at multiples of this. */
export const FRAME_ALIGNMENT: u32 = 8;
/** Where the first frame of a segment begins: the header's page is never written again once frames follow. */
export const FRAMES_OFFSET: u32 = 4096;
/** Bytes of the control file: one page. */
export const CONTROL_BYTES: u32 = 4096;
/** Largest segment file: offsets inside it stay below 2^30, well inside the signed 32 bits of every mapping library. */
export const SEGMENT_BYTES_MAX: u32 = 1073741824;
/** Every 2^shift-th record of a segment has an entry in its LSN index. */
export const INDEX_SHIFT: u32 = 0;

/** What a frame holds. 0 to 127 are the user's, with the first three named; 128 to 255 belong to varve. */
export const enum Kind {
  /** A record without further meaning. */
  Raw = 0,
  /** A key with its value. */
  Put = 1,
  /** A key's tombstone. */
  Delete = 2,
  /** A key with its value, which begins behind 16 bytes on the version and the expiry of the key. */
  PutMeta = 128,
  /** Everything before it is gone; no key, no payload. */
  Clear = 129,
  /** The end of an epoch in the log of one writer of a group. */
  Barrier = 130,
  /** A mark that the user of a group has set, with a number of his own. */
  Checkpoint = 131,
  /** Offsets of sources and a watermark, up to which a writer of a group has taken in. */
  Commit = 132,
  /** A record that was damaged on the disk and that a repair replaced; its bytes are gone, its LSN stays. */
  Lost = 255,
}

/** Bits of a frame's flags. Unknown bits make a frame invalid, so that later versions can give them meaning. */
export const enum Flag {
  /** The next frame belongs to the same atomic batch. */
  More = 1,
}
