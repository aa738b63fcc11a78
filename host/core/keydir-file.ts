/**
 * The headers of `KEYDIR` and of hint files: between the bytes and plain objects; the layout is that of
 * assembly/layout/keydir-file.ts. Works on copies; checksums are the core's. A header that contradicts itself or the
 * length of its file counts as damaged, whatever its checksum says.
 */
import {
  FORMAT_VERSION, HINT_MAGIC, HintHeader, KEYDIR_ENTRY_BYTES, KEYDIR_HINT_BYTES, KEYDIR_MAGIC, KEYDIR_SEGMENTS_MAX,
  KEYDIR_TABLE_OFFSET, KeydirEntry, KeydirFileSegment, KeydirHeader, Status,
} from '../generated/abi.ts';
import { checksum } from './checksum.ts';
import type { StoreIdentity } from './control-page.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';
import type { Keydir, TableState } from './keydir.ts';

/** The state of a log that a table belongs to: where all of this is equal, the records are. */
export interface LogState {
  readonly identity: StoreIdentity;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Position just past the last record. */
  readonly position: number;
  /** From CONTROL. */
  readonly generation: number;
  /** Epoch of the last record; 0 where there is none. */
  readonly epoch: number;
}

/** What the header of `KEYDIR` says. */
export interface KeydirFields {
  readonly log: LogState;
  readonly table: TableState;
  readonly tableBytes: number;
  readonly tableCrc: number;
  readonly segments: number;
  readonly expiryBytes: number;
  /** Of the list of segments and the expiry. */
  readonly tailCrc: number;
}

/** The account of a segment; its number is the index in the list. */
export interface SegmentAccount {
  /** 0 where no segment has the number. */
  readonly baseLsn: number;
  readonly liveBytes: number;
  readonly liveRecords: number;
}

/** The sealed segment that a hint file is of. */
export interface HintedSegment {
  readonly baseLsn: number;
  readonly salt: number;
  /** From the footer, in milliseconds since 1970. */
  readonly sealedAt: number;
  readonly records: number;
  readonly dataEnd: number;
}

/** What the header of a hint file says. */
export interface HintFields {
  readonly identity: StoreIdentity;
  readonly segment: HintedSegment;
  readonly entries: number;
  readonly entriesCrc: number;
}

const U32 = 4;
/** Where the checksum of each header stands, and what it covers to the end. */
const CRC = KeydirHeader.crc;
const COVERED = KeydirHeader.version;
const HASHES = 2 ** 32;

/** The CRC-32C of a range of the core's memory, or of that continued. */
export function rangeChecksum(core: Core, address: number, bytes: number, initial = 0): number {
  return core.exports.crc32c(initial, address, bytes) >>> 0;
}

function seal(core: Core, bytes: Uint8Array, magic: bigint): Uint8Array {
  const fields = new Fields(bytes);
  fields.setU64(KeydirHeader.magic, magic);
  fields.setU32(COVERED, FORMAT_VERSION);
  fields.setU32(CRC, checksum(core, bytes.subarray(COVERED)));
  return bytes;
}

/** The `Status` of a header: `BadMagic`, `BadHeader` or, only where the checksum is right, `NewerVersion`. */
function check(core: Core, bytes: Uint8Array, length: number, magic: bigint): number {
  const fields = new Fields(bytes);
  if (bytes.length < length || fields.big(KeydirHeader.magic) !== magic) return Status.BadMagic;
  if (fields.u32(CRC) !== checksum(core, bytes.subarray(COVERED, length))) return Status.BadHeader;
  const known = fields.u32(COVERED) <= FORMAT_VERSION && fields.u32(KeydirHeader.incompatible) === 0;
  return known ? Status.Ok : Status.NewerVersion;
}

/**
 * Bytes of a table up to its last entry. Behind the last home there is one run at most, which begins there: an entry
 * stands at its home or behind, with no gap in between.
 */
export function usedBytes(keydir: Keydir): number {
  const { core: { memory: { unsigned: words } }, table, room } = keydir;
  let slot = keydir.slots;
  while (slot < room && words[(table + slot * KEYDIR_ENTRY_BYTES + KeydirEntry.place) / U32] !== 0) slot++;
  return slot * KEYDIR_ENTRY_BYTES;
}

/** Returns the bytes of a header of `KEYDIR`. */
export function encodeKeydirHeader(core: Core, header: KeydirFields): Uint8Array {
  const bytes = new Uint8Array(KeydirHeader.BYTES);
  const fields = new Fields(bytes);
  const { log, table } = header;
  fields.setU32(KeydirHeader.segments, header.segments);
  fields.setU64(KeydirHeader.storeIdLow, log.identity.idLow);
  fields.setU64(KeydirHeader.storeIdHigh, log.identity.idHigh);
  fields.setU64(KeydirHeader.firstLsn, log.firstLsn);
  fields.setU64(KeydirHeader.lastLsn, log.lastLsn);
  fields.setU64(KeydirHeader.position, log.position);
  fields.setU64(KeydirHeader.generation, log.generation);
  fields.setU32(KeydirHeader.epoch, log.epoch);
  fields.setU32(KeydirHeader.slots, table.slots);
  fields.setU32(KeydirHeader.nextSlots, table.nextSlots);
  fields.setU32(KeydirHeader.moved, table.moved);
  fields.setU64(KeydirHeader.border, table.border);
  fields.setU32(KeydirHeader.count, table.count);
  fields.setU32(KeydirHeader.tableCrc, header.tableCrc);
  fields.setU64(KeydirHeader.tableBytes, header.tableBytes);
  fields.setU64(KeydirHeader.expiryBytes, header.expiryBytes);
  fields.setU32(KeydirHeader.tailCrc, header.tailCrc);
  return seal(core, bytes, KEYDIR_MAGIC);
}

/** Reads the header of a `KEYDIR` of `fileBytes`, of a store of this kind; a `Status` where it is not valid. */
export function decodeKeydirHeader(
  core: Core, bytes: Uint8Array, fileBytes: number, storeKind: number,
): KeydirFields | number {
  const status = check(core, bytes, KeydirHeader.BYTES, KEYDIR_MAGIC);
  if (status !== Status.Ok) return status;
  const fields = new Fields(bytes);
  const header: KeydirFields = {
    log: {
      identity: {
        storeKind, idLow: fields.big(KeydirHeader.storeIdLow), idHigh: fields.big(KeydirHeader.storeIdHigh),
      },
      firstLsn: fields.u64(KeydirHeader.firstLsn),
      lastLsn: fields.u64(KeydirHeader.lastLsn),
      position: fields.u64(KeydirHeader.position),
      generation: fields.u64(KeydirHeader.generation),
      epoch: fields.u32(KeydirHeader.epoch),
    },
    table: {
      slots: fields.u32(KeydirHeader.slots),
      nextSlots: fields.u32(KeydirHeader.nextSlots),
      moved: fields.u32(KeydirHeader.moved),
      border: fields.u64(KeydirHeader.border),
      count: fields.u32(KeydirHeader.count),
    },
    tableBytes: fields.u64(KeydirHeader.tableBytes),
    tableCrc: fields.u32(KeydirHeader.tableCrc),
    segments: fields.u32(KeydirHeader.segments),
    expiryBytes: fields.u64(KeydirHeader.expiryBytes),
    tailCrc: fields.u32(KeydirHeader.tailCrc),
  };
  return isSound(header, fileBytes) ? header : Status.BadHeader;
}

/** Whether the numbers of a header agree with each other and with the length of the file. */
function isSound({ table, tableBytes, segments, expiryBytes }: KeydirFields, fileBytes: number): boolean {
  const growing = table.nextSlots !== 0;
  const slots = Math.max(table.slots, table.nextSlots);
  const room = tableBytes / KEYDIR_ENTRY_BYTES;
  return tableBytes % KEYDIR_TABLE_OFFSET === 0 && table.slots > 0 && slots <= room && table.count <= room
    && (growing ? table.nextSlots > table.slots && table.border <= HASHES : table.border === HASHES)
    && segments <= KEYDIR_SEGMENTS_MAX
    && KEYDIR_TABLE_OFFSET + tableBytes + segments * KeydirFileSegment.BYTES + expiryBytes === fileBytes;
}

/** Returns the bytes behind the table, the list of segments and the expiry, with their checksum. */
export function encodeTail(
  core: Core, segments: readonly SegmentAccount[], expiry: Uint8Array,
): { readonly bytes: Uint8Array; readonly crc: number } {
  const bytes = new Uint8Array(segments.length * KeydirFileSegment.BYTES + expiry.length);
  const fields = new Fields(bytes);
  segments.forEach(({ baseLsn, liveBytes, liveRecords }, number) => {
    const at = number * KeydirFileSegment.BYTES;
    fields.setU64(at + KeydirFileSegment.baseLsn, baseLsn);
    fields.setU32(at + KeydirFileSegment.liveBytes, liveBytes);
    fields.setU32(at + KeydirFileSegment.liveRecords, liveRecords);
  });
  bytes.set(expiry, segments.length * KeydirFileSegment.BYTES);
  return { bytes, crc: checksum(core, bytes) };
}

/** Reads what `encodeTail` returned; `undefined` where the checksum is wrong. */
export function decodeTail(
  core: Core, bytes: Uint8Array, header: KeydirFields,
): { readonly segments: readonly SegmentAccount[]; readonly expiry: Uint8Array } | undefined {
  const listBytes = header.segments * KeydirFileSegment.BYTES;
  if (bytes.length !== listBytes + header.expiryBytes || checksum(core, bytes) !== header.tailCrc) return undefined;
  const fields = new Fields(bytes);
  const segments = Array.from({ length: header.segments }, (_, number) => {
    const at = number * KeydirFileSegment.BYTES;
    return {
      baseLsn: fields.u64(at + KeydirFileSegment.baseLsn),
      liveBytes: fields.u32(at + KeydirFileSegment.liveBytes),
      liveRecords: fields.u32(at + KeydirFileSegment.liveRecords),
    };
  });
  return { segments, expiry: bytes.subarray(listBytes) };
}

/** Returns the bytes of the header of a hint file. */
export function encodeHintHeader(core: Core, { identity, segment, entries, entriesCrc }: HintFields): Uint8Array {
  const bytes = new Uint8Array(HintHeader.BYTES);
  const fields = new Fields(bytes);
  fields.setU32(HintHeader.salt, segment.salt);
  fields.setU64(HintHeader.storeIdLow, identity.idLow);
  fields.setU64(HintHeader.storeIdHigh, identity.idHigh);
  fields.setU64(HintHeader.baseLsn, segment.baseLsn);
  fields.setU64(HintHeader.sealedAt, segment.sealedAt);
  fields.setU32(HintHeader.records, segment.records);
  fields.setU32(HintHeader.dataEnd, segment.dataEnd);
  fields.setU32(HintHeader.entries, entries);
  fields.setU32(HintHeader.entriesCrc, entriesCrc);
  return seal(core, bytes, HINT_MAGIC);
}

/** Reads the header of a hint file of `fileBytes`, of a store of this kind; a `Status` where it is not valid. */
export function decodeHintHeader(
  core: Core, bytes: Uint8Array, fileBytes: number, storeKind: number,
): HintFields | number {
  const status = check(core, bytes, HintHeader.BYTES, HINT_MAGIC);
  if (status !== Status.Ok) return status;
  const fields = new Fields(bytes);
  const records = fields.u32(HintHeader.records);
  const entries = fields.u32(HintHeader.entries);
  if (entries > records || HintHeader.BYTES + entries * KEYDIR_HINT_BYTES !== fileBytes) return Status.BadHeader;
  return {
    identity: { storeKind, idLow: fields.big(HintHeader.storeIdLow), idHigh: fields.big(HintHeader.storeIdHigh) },
    segment: {
      salt: fields.u32(HintHeader.salt),
      baseLsn: fields.u64(HintHeader.baseLsn),
      sealedAt: fields.u64(HintHeader.sealedAt),
      dataEnd: fields.u32(HintHeader.dataEnd),
      records,
    },
    entries,
    entriesCrc: fields.u32(HintHeader.entriesCrc),
  };
}
