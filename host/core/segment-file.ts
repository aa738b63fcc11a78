/**
 * Segment headers and footers: between the bytes and plain objects. Works on structures in the core's memory, mapped or
 * read into the scratch area; checksums are the core's.
 */
import {
  FRAMES_OFFSET, INDEX_SHIFT, SCRATCH_OFFSET, SEGMENT_BYTES_MAX, SYNCED_MAGIC, SegmentFooter, SegmentHeader, Status,
} from '../generated/abi.ts';
import type { StoreIdentity } from './control-page.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';

export interface HeaderFields {
  readonly identity: StoreIdentity;
  readonly baseLsn: number;
  readonly basePosition: number;
  readonly capacity: number;
  readonly salt: number;
  readonly epoch: number;
  readonly createdAt: number;
}

export interface FooterFields {
  readonly salt: number;
  readonly baseLsn: number;
  readonly records: number;
  readonly dataEnd: number;
  readonly indexCrc: number;
  readonly indexBytes: number;
  readonly epoch: number;
  readonly sealedAt: number;
  /** Whether everything before the footer is known to be on disk. */
  readonly synced: boolean;
}

export const FOOTER_BYTES = SegmentFooter.BYTES;

/** The word that ends a footer whose segment is known to be on disk. */
export const SYNCED_WORD = new Uint8Array(new BigUint64Array([SYNCED_MAGIC]).buffer);

/** Bytes that the LSN index of so many records takes in the file. */
export function indexBytesFor(records: number): number {
  const entries = Math.ceil(records / (1 << INDEX_SHIFT));
  return (entries * 4 + 7) & ~7;
}

/** The checksum that a footer carries of the index at `at`. */
export function indexCrc(core: Core, at: number, indexBytes: number): number {
  return core.exports.crc32c(0, at, indexBytes) >>> 0;
}

/** Writes a header at `at`. */
export function writeHeader(core: Core, at: number, header: HeaderFields): void {
  const fields = new Fields(core.memory.bytes, at, SegmentHeader.BYTES);
  fields.setU32(SegmentHeader.storeKind, header.identity.storeKind);
  fields.setU64(SegmentHeader.storeIdLow, header.identity.idLow);
  fields.setU64(SegmentHeader.storeIdHigh, header.identity.idHigh);
  fields.setU64(SegmentHeader.baseLsn, header.baseLsn);
  fields.setU64(SegmentHeader.basePosition, header.basePosition);
  fields.setU32(SegmentHeader.capacity, header.capacity);
  fields.setU32(SegmentHeader.salt, header.salt);
  fields.setU32(SegmentHeader.epoch, header.epoch);
  fields.setU64(SegmentHeader.createdAt, header.createdAt);
  core.exports.sealHeader(at);
}

/** Reads the header in `bytes`; a `Status` where it is not valid. */
export function parseHeader(core: Core, bytes: Uint8Array): HeaderFields | number {
  if (bytes.length < SegmentHeader.BYTES) return Status.BadHeader;
  core.memory.bytes.set(bytes.subarray(0, SegmentHeader.BYTES), SCRATCH_OFFSET);
  const status = core.exports.checkHeader(SCRATCH_OFFSET);
  if (status !== Status.Ok) return status;
  const fields = new Fields(bytes);
  // Nobody wrote such a number, whatever its checksum says, and it would be allocated.
  if (fields.u32(SegmentHeader.capacity) > SEGMENT_BYTES_MAX) return Status.BadHeader;
  return {
    identity: {
      storeKind: fields.u32(SegmentHeader.storeKind),
      idLow: fields.big(SegmentHeader.storeIdLow),
      idHigh: fields.big(SegmentHeader.storeIdHigh),
    },
    baseLsn: fields.u64(SegmentHeader.baseLsn),
    basePosition: fields.u64(SegmentHeader.basePosition),
    capacity: fields.u32(SegmentHeader.capacity),
    salt: fields.u32(SegmentHeader.salt),
    epoch: fields.u32(SegmentHeader.epoch),
    createdAt: fields.u64(SegmentHeader.createdAt),
  };
}

/** Writes a footer at `at`, with its synced word. */
export function writeFooter(core: Core, at: number, footer: FooterFields): void {
  const fields = new Fields(core.memory.bytes, at, SegmentFooter.BYTES);
  fields.setU32(SegmentFooter.salt, footer.salt);
  fields.setU64(SegmentFooter.baseLsn, footer.baseLsn);
  fields.setU32(SegmentFooter.records, footer.records);
  fields.setU32(SegmentFooter.dataEnd, footer.dataEnd);
  fields.setU32(SegmentFooter.indexCrc, footer.indexCrc);
  fields.setU32(SegmentFooter.indexBytes, footer.indexBytes);
  fields.setU32(SegmentFooter.epoch, footer.epoch);
  fields.setU32(SegmentFooter.indexShift, INDEX_SHIFT);
  fields.setU64(SegmentFooter.sealedAt, footer.sealedAt);
  fields.setU64(SegmentFooter.synced, footer.synced ? SYNCED_MAGIC : 0n);
  core.exports.sealFooter(at);
}

/**
 * Reads the footer in `bytes`, the last 64 of a file of `fileBytes`.
 *
 * @returns the footer, or a `Status`: `BadMagic` where there is none, `BadFooter` where it is damaged or contradicts
 *   the header or the length of the file
 */
export function parseFooter(
  core: Core, bytes: Uint8Array, fileBytes: number, header: HeaderFields,
): FooterFields | number {
  if (bytes.length !== SegmentFooter.BYTES) return Status.BadMagic;
  core.memory.bytes.set(bytes, SCRATCH_OFFSET);
  const status = core.exports.checkFooter(SCRATCH_OFFSET);
  if (status !== Status.Ok) return status;
  const fields = new Fields(bytes);
  const synced = fields.big(SegmentFooter.synced);
  const footer = {
    salt: fields.u32(SegmentFooter.salt),
    baseLsn: fields.u64(SegmentFooter.baseLsn),
    records: fields.u32(SegmentFooter.records),
    dataEnd: fields.u32(SegmentFooter.dataEnd),
    indexCrc: fields.u32(SegmentFooter.indexCrc),
    indexBytes: fields.u32(SegmentFooter.indexBytes),
    epoch: fields.u32(SegmentFooter.epoch),
    sealedAt: fields.u64(SegmentFooter.sealedAt),
    synced: synced === SYNCED_MAGIC,
  };
  const fits = footer.salt === header.salt && footer.baseLsn === header.baseLsn
    && fields.u32(SegmentFooter.indexShift) === INDEX_SHIFT
    && footer.indexBytes === indexBytesFor(footer.records)
    && footer.dataEnd >= FRAMES_OFFSET
    && footer.dataEnd + footer.indexBytes + SegmentFooter.BYTES === fileBytes
    && (synced === SYNCED_MAGIC || synced === 0n);
  return fits ? footer : Status.BadFooter;
}
