/**
 * The typed handles of the headers of typed stores (assembly/layout/typed-header.ts, assembly/layout/typed.ts): between
 * bytes and plain objects, and the live words in the mapped first page. Knows fields, not policy: what is valid is
 * host/typed's business. On a read-only page nothing but the getters may be called.
 */
import {
  MmfgHeader, SCRATCH_OFFSET, STORE_KIND_TYPED, Status, TYPED_CAPACITY_OFFSET, TYPED_COUNT_OFFSET,
  TYPED_RECORDS_OFFSET_MIN, TYPED_WAKE_OFFSET, TYPED_WRITER_OFFSET, TypedHeader, TypedWriter,
} from '../generated/abi.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';
import { WakeGroup } from './wake-group.ts';

export const HASH_BYTES = 32;

/** What the identity of an own header says. */
export interface TypedIdentity {
  /** What readers must know: a set of `TYPED_FEATURE_…`. */
  readonly features: number;
  readonly storeIdLow: bigint;
  readonly storeIdHigh: bigint;
  readonly createdAt: number;
  readonly schemaVersion: number;
  readonly stride: number;
  readonly schemaHash: Uint8Array;
  readonly recordsOffset: number;
  readonly schemaBytes: number;
  readonly metadataBytes: number;
  readonly textCrc: number;
}

/** What a header of format mmfg-1 says. */
export interface MmfgFields {
  readonly magic: number;
  readonly version: number;
  readonly schemaHash: Uint8Array;
  readonly schemaVersion: number;
  readonly stride: number;
  readonly count: number;
  readonly capacity: number;
}

/** Who has or had a store open to write to it. */
export interface TypedWriterGroup {
  readonly epoch: number;
  readonly open: boolean;
  readonly pid: number;
  /** A `WriteMode`. */
  readonly mode: number;
}

/** Returns the first page of a new own header, without the text; `capacity` is live from the beginning. */
export function encodeIdentity(core: Core, identity: TypedIdentity, capacity: number): Uint8Array {
  const page = core.memory.bytes.subarray(SCRATCH_OFFSET, SCRATCH_OFFSET + TYPED_RECORDS_OFFSET_MIN);
  page.fill(0);
  const fields = new Fields(page);
  fields.setU32(TypedHeader.incompatible, identity.features);
  fields.setU32(TypedHeader.storeKind, STORE_KIND_TYPED);
  fields.setU64(TypedHeader.storeIdLow, identity.storeIdLow);
  fields.setU64(TypedHeader.storeIdHigh, identity.storeIdHigh);
  fields.setU64(TypedHeader.createdAt, identity.createdAt);
  fields.setU32(TypedHeader.schemaVersion, identity.schemaVersion);
  fields.setU32(TypedHeader.stride, identity.stride);
  page.set(identity.schemaHash, TypedHeader.schemaHash0);
  fields.setU64(TypedHeader.recordsOffset, identity.recordsOffset);
  fields.setU32(TypedHeader.schemaBytes, identity.schemaBytes);
  fields.setU32(TypedHeader.metadataBytes, identity.metadataBytes);
  fields.setU32(TypedHeader.textCrc, identity.textCrc);
  fields.setU64(TYPED_CAPACITY_OFFSET, capacity);
  core.exports.sealTyped(SCRATCH_OFFSET);
  return Uint8Array.from(page);
}

/** Whether the identity on a header's first page is valid, a `Status`; with the features and the kind it states. */
export function checkIdentity(
  core: Core, page: Uint8Array,
): { readonly status: number; readonly version: number; readonly storeKind: number; readonly mayWrite: boolean } {
  core.memory.bytes.set(page.subarray(0, TypedHeader.BYTES), SCRATCH_OFFSET);
  const fields = new Fields(page);
  return {
    status: core.exports.checkTyped(SCRATCH_OFFSET),
    version: fields.u32(TypedHeader.version),
    storeKind: fields.u32(TypedHeader.storeKind),
    mayWrite: fields.u32(TypedHeader.readOnlyCompatible) === 0,
  };
}

/** What the identity on a header's first page says. */
export function decodeIdentity(page: Uint8Array): TypedIdentity {
  const fields = new Fields(page);
  return {
    features: fields.u32(TypedHeader.incompatible),
    storeIdLow: fields.big(TypedHeader.storeIdLow),
    storeIdHigh: fields.big(TypedHeader.storeIdHigh),
    createdAt: fields.u64(TypedHeader.createdAt),
    schemaVersion: fields.u32(TypedHeader.schemaVersion),
    stride: fields.u32(TypedHeader.stride),
    schemaHash: page.slice(TypedHeader.schemaHash0, TypedHeader.schemaHash0 + HASH_BYTES),
    recordsOffset: fields.u64(TypedHeader.recordsOffset),
    schemaBytes: fields.u32(TypedHeader.schemaBytes),
    metadataBytes: fields.u32(TypedHeader.metadataBytes),
    textCrc: fields.u32(TypedHeader.textCrc),
  };
}

/** Returns the bytes of a header of format mmfg-1. */
export function encodeMmfg(header: MmfgFields): Uint8Array {
  const bytes = new Uint8Array(MmfgHeader.BYTES);
  const fields = new Fields(bytes);
  fields.setU32(MmfgHeader.magic, header.magic);
  fields.setU32(MmfgHeader.version, header.version);
  bytes.set(header.schemaHash, MmfgHeader.schemaHash0);
  fields.setU32(MmfgHeader.schemaVersion, header.schemaVersion);
  fields.setU32(MmfgHeader.stride, header.stride);
  fields.setU64(MmfgHeader.count, header.count);
  fields.setU64(MmfgHeader.capacity, header.capacity);
  return bytes;
}

/** What the header of a file of format mmfg-1 says. */
export function decodeMmfg(bytes: Uint8Array): MmfgFields {
  const fields = new Fields(bytes);
  return {
    magic: fields.u32(MmfgHeader.magic),
    version: fields.u32(MmfgHeader.version),
    schemaHash: bytes.slice(MmfgHeader.schemaHash0, MmfgHeader.schemaHash0 + HASH_BYTES),
    schemaVersion: fields.u32(MmfgHeader.schemaVersion),
    stride: fields.u32(MmfgHeader.stride),
    count: fields.u64(MmfgHeader.count),
    capacity: fields.u64(MmfgHeader.capacity),
  };
}

/** Where the live words of a format stand in its header. */
export interface LiveOffsets {
  readonly count: number;
  readonly capacity: number;
  /** Whether there is a writer group. */
  readonly writer: boolean;
  /** Where the wake group stands, if there is one. */
  readonly wake: number | undefined;
}

export const OWN_LIVE: LiveOffsets = {
  count: TYPED_COUNT_OFFSET, capacity: TYPED_CAPACITY_OFFSET, writer: true, wake: TYPED_WAKE_OFFSET,
};
export const MMFG_LIVE: LiveOffsets = {
  count: MmfgHeader.count, capacity: MmfgHeader.capacity, writer: false, wake: undefined,
};

/** The live part of a mapped header. */
export class LiveHeader {
  private readonly core: Core;
  private readonly at: number;
  private readonly offsets: LiveOffsets;

  /** A header whose first page is mapped at `at`. */
  constructor(core: Core, at: number, offsets: LiveOffsets) {
    this.core = core;
    this.at = at;
    this.offsets = offsets;
  }

  /** Address of the count. */
  get countAt(): number { return this.at + this.offsets.count; }

  /** Records that are there. */
  get count(): number { return this.core.exports.loadWord(this.countAt); }

  /** Only of a file that nobody else knows of yet: the core counts all others. */
  set count(count: number) {
    this.core.exports.storeWord(this.countAt, count);
  }

  /** Records that the file has room for. */
  get capacity(): number { return this.core.exports.loadWord(this.at + this.offsets.capacity); }

  /** Says that the file has room for so many records; where somebody else has said more, that stays. */
  raiseCapacity(capacity: number): void {
    this.core.exports.raiseWord(this.at + this.offsets.capacity, capacity);
  }

  /** The wake group, or `undefined` where the format has none. */
  get wakeGroup(): WakeGroup | undefined {
    const { wake } = this.offsets;
    return wake === undefined ? undefined : new WakeGroup(this.core, this.at, wake);
  }

  /** The writer group, or `undefined` where there is none or its checksum fails. */
  get writer(): TypedWriterGroup | undefined {
    const { core, at } = this;
    if (!this.offsets.writer || core.exports.checkTypedWriter(at) !== Status.Ok) return undefined;
    const fields = new Fields(core.memory.bytes, at + TYPED_WRITER_OFFSET, TypedWriter.BYTES);
    return {
      epoch: fields.u32(TypedWriter.epoch),
      open: fields.u32(TypedWriter.open) === 1,
      pid: fields.u32(TypedWriter.pid),
      mode: fields.u32(TypedWriter.mode),
    };
  }

  /** Writes the writer group, where the format has one. */
  writeWriter(group: TypedWriterGroup, now: number): void {
    if (!this.offsets.writer) return;
    const { core, at } = this;
    const fields = new Fields(core.memory.bytes, at + TYPED_WRITER_OFFSET, TypedWriter.BYTES);
    fields.setU32(TypedWriter.epoch, group.epoch);
    fields.setU32(TypedWriter.open, group.open ? 1 : 0);
    fields.setU32(TypedWriter.pid, group.pid);
    fields.setU32(TypedWriter.mode, group.mode);
    fields.setU64(TypedWriter.writtenAt, now);
    core.exports.sealTypedWriter(at);
  }
}

/** Returns the CRC-32C of bytes outside of the core's memory. */
export function checksum(core: Core, bytes: Uint8Array): number {
  let crc = 0;
  for (let from = 0; from < bytes.length; from += TYPED_RECORDS_OFFSET_MIN) {
    const part = bytes.subarray(from, from + TYPED_RECORDS_OFFSET_MIN);
    core.memory.bytes.set(part, SCRATCH_OFFSET);
    crc = core.exports.crc32c(crc, SCRATCH_OFFSET, part.length);
  }
  return crc >>> 0;
}

/** Makes odd stamps among `count` records at `base` even again; returns the ordinals of their records. */
export function resetStamps({ exports }: Core, base: number, stride: number, count: number): number[] {
  const found: number[] = [];
  for (let from = 0; from < count;) {
    const ordinal = exports.resetNext(base, stride, from, count) >>> 0;
    if (ordinal < count) found.push(ordinal);
    from = ordinal + 1;
  }
  return found;
}

/** Returns the ordinals, from `from` on, of those among `count` records at `base` whose checksum is wrong. */
export function damagedRecords(
  { exports }: Core, base: number, stride: number, checksumAt: number, from: number, count: number,
): number[] {
  const found: number[] = [];
  for (let next = from; next < count;) {
    const ordinal = exports.damagedNext(base, stride, checksumAt, next, count) >>> 0;
    if (ordinal < count) found.push(ordinal);
    next = ordinal + 1;
  }
  return found;
}

/** Makes [from, to) of the memory zeros where it is not; returns the words that were not. */
export function clearWords({ exports }: Core, from: number, to: number): number {
  return exports.clearWords(from, to) >>> 0;
}
