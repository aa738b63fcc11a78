/**
 * Where the core's own things lie in the linear memory. Private to a process: nothing here is part of the format.
 */

/** Where the core's scratch area begins: results of a call, valid until the next call. */
export const SCRATCH_OFFSET: u32 = 262144;
/** Bytes of the scratch area. */
export const SCRATCH_BYTES: u32 = 262144;
/** Where a row lies, in the scratch area: the image of one typed record, or the bytes of one of its fields. */
export const ROW_OFFSET: u32 = 262144;
/** Where the mask of a row lies: which of its bits are meant. */
export const MASK_OFFSET: u32 = 327680;
/** Where a key lies that is looked for, in the scratch area: 64 KiB. */
export const KEY_OFFSET: u32 = 327680;
/** Where a column's values or indices lie, in the scratch area. */
export const VALUES_OFFSET: u32 = 393216;
/** Bytes of that part. */
export const VALUES_BYTES: u32 = 131072;
/** Where the slots for the views of open segments begin; they end at `STAGE_OFFSET`. */
export const SLOTS_OFFSET: u32 = 524288;
/** Bytes of a slot. */
export const SLOT_BYTES: u32 = 128;
/** Where the stage begins: a batch is put together here that one write then takes to its segment. */
export const STAGE_OFFSET: u32 = 1048576;
/** Bytes of the stage. */
export const STAGE_BYTES: u32 = 1048576;
/** Where the address ranges for mapped files begin. */
export const STATIC_END: u32 = 2097152;
