/**
 * The types that a field of a typed record may have, as the host names them to the core. Their sizes and alignments are
 * those of docs/format.md, "Typed record"; the numbers here never reach a disk.
 */
export const enum FieldType {
  /** One byte, 0 or 1. */
  Bool = 0,
  I8 = 1,
  U8 = 2,
  I16 = 3,
  U16 = 4,
  I32 = 5,
  U32 = 6,
  I64 = 7,
  U64 = 8,
  F32 = 9,
  F64 = 10,
  /** A length of 4 bytes and up to `bound` bytes of UTF-8. */
  Str = 11,
  /** A length of 4 bytes and up to `bound` bytes. */
  Bytes = 12,
}

/** Most bytes of a record of a typed store, its stamp included: 64 KiB. */
export const TYPED_STRIDE_MAX: u32 = 65536;
/** Looks at a record that is being written, before a reader gives up. */
export const SEQLOCK_SPINS_MAX: u32 = 65536;
/** Records that a file has room for at first; it doubles from there. */
export const TYPED_CAPACITY_MIN: u32 = 64;
/** Most records that a file may have room for: an index fits into 31 bits. */
export const TYPED_CAPACITY_MAX: u32 = 2147483647;
/** The header of a typed store with the own format takes a multiple of this. */
export const TYPED_RECORDS_OFFSET_MIN: u32 = 4096;
/** Most bytes of that header, schema and metadata included: 16 MiB. */
export const TYPED_RECORDS_OFFSET_MAX: u32 = 16777216;
