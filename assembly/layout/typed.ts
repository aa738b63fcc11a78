import { SLOT_BYTES } from '../abi/memory';

/*
 * Typed records: what stands in a file of format "mmfg-1", and what core and host say to each other about a mapped
 * range of records. docs/format.md, "Typed record".
 *
 * A record: a stamp, then the fields in their order, each at its natural alignment; the stride is a multiple of 8.
 *
 *   0        4        8
 *   +--------+--------+
 *   |      stamp      |   0   even: stable; odd: being written
 *   +--------+--------+
 *   |  fields …       |   8
 *   +-----------------+   stride
 */

/** Header of a file of format "mmfg-1", version 1 of mmapforge; the records follow at 64. */
@unmanaged
export class MmfgHeader {
  /** "MMFG". */
  magic: u32;
  /** 1. */
  version: u32;
  /** SHA-256 of the fields, sorted by name: first quarter. */
  schemaHash0: u64;
  /** Second quarter. */
  schemaHash1: u64;
  /** Third quarter. */
  schemaHash2: u64;
  /** Last quarter. */
  schemaHash3: u64;
  /** Version of the schema. */
  schemaVersion: u32;
  /** Bytes of a record, its stamp included. */
  stride: u32;
  /** Records, live: loaded and stored atomically. */
  count: u64;
  /** Records that the file has room for, live. */
  capacity: u64;
}

/** A field whose place the core is asked for: an entry of the list that `layoutFields` takes. */
@unmanaged
export class FieldSlot {
  /** A `FieldType`. */
  type: u32;
  /** Str and Bytes: most bytes. All others: how many of them, 1 for a plain field. */
  bound: u32;
  /** Result: offset from the beginning of the record. */
  offset: u32;
  /** Result: bytes of the whole field. */
  size: u32;
}

/**
 * A mapped range of records, in a slot of the static area for as long as it is mapped. The host fills it; no record
 * outside of [first, first + limit) is ever touched, but for the next one, which an append fills within `room`. Indices
 * fit into 31 bits: so does first + room.
 */
@unmanaged
export class TypedView {
  /** Address of the record `first`, a multiple of 8. */
  base: u32;
  /** Bytes of a record. */
  stride: u32;
  /** Index of the first record that is mapped. */
  first: u32;
  /** Records from there on that are there and mapped. */
  limit: u32;
  /** Address of the live count of the header. */
  countAt: u32;
  /** Records from `first` on that the mapped range has room for. */
  room: u32;
  /** How writers take a record: a `WriteMode`. */
  mode: u32;
  /** Whether the processor may reorder stores, so that each field is stored atomically. */
  strict: u32;
  /** Why a call could not give all that it was asked for: a `Status`. It stays until the host has set it back. */
  status: i32;
  /** Index of the first record that the last call on a column or on stamps has left out. */
  next: u32;
  /** Where in a record the checksum of its fields stands; 0 where there is none. */
  checksumAt: u32;
  /** Slots of a ring; 0 where the store is none. Of a ring, `first` is a slot, and `limit` is 0. */
  slots: u32;
  /** How many values the last fold of a column with nulls has found. */
  values: u32;
  /** Writes until one answers `Wake`, which is not made then; from 0 on, that is not before 2^32 of them. */
  wakeIn: u32;
  /** Records from `first` on whose pages are ready to be stored to; others are, but at a price. At most `room`. */
  ready: u32;
}

/** How writers take a record. */
export const enum WriteMode {
  /** Nobody writes through this view. */
  ReadOnly = 0,
  /** There is one writer. */
  One = 1,
  /** A record is taken by compare-and-swap. */
  Many = 2,
}

/** What is made of the values of a column. */
export const enum Fold {
  Sum = 0,
  Min = 1,
  Max = 2,
}

/** What a value of a column may be beside another: bits of a set. */
export const enum Outcome {
  Less = 1,
  Equal = 2,
  Greater = 4,
  /** One of both is NaN. */
  Unordered = 8,
}

/** Little-endian ASCII "MMFG". */
export const MMFG_MAGIC: u32 = 0x47464d4d;

if (offsetof<MmfgHeader>() != 64) ERROR('the header of mmfg-1 has 64 bytes');
if (offsetof<MmfgHeader>('count') != 48) ERROR('the count stands at 48');
if (offsetof<FieldSlot>() != 16) ERROR('a field slot has 16 bytes');
if (offsetof<TypedView>() > <usize>SLOT_BYTES) ERROR('a view fits into a slot');
