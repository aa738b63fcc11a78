/**
 * DWAL version 1, the format of datawal: its frame, its limits, its file names, and the order in which a frame is
 * checked. Reading directories is dwal-reader.ts, writing them dwal-writer.ts.
 *
 *   0        4     6     7     8         16       20       24
 *   +--------+-----+-----+-----+---------+--------+--------+-----+---------+-------+
 *   | "DWAL" | ver | typ | flg |  txid   | key #  | pay. # | key | payload | crc32c|
 *   +--------+-----+-----+-----+---------+--------+--------+-----+---------+-------+
 *
 * Little-endian, unaligned, back to back. Txids count from 1, one a record, across the segments of a directory.
 */
import { crc32c } from '../core/crc32c.ts';
import { Kind } from '../generated/abi.ts';

export const DWAL_HEADER_BYTES = 24;
export const DWAL_CRC_BYTES = 4;
export const DWAL_KEY_BYTES_MAX = 65536;
export const DWAL_PAYLOAD_BYTES_MAX = 67108864;
export const DWAL_MAGIC = 0x4c415744;
const VERSION = 1;
const SEGMENT_NAME = /^(\d{8})\.dwal$/;
/** Ids have eight digits. */
export const DWAL_SEGMENT_ID_MAX = 99999999;

/** DWAL's types are the first three kinds of varve's records. */
const KINDS: readonly number[] = [Kind.Raw, Kind.Put, Kind.Delete];

/** One record, the same on both sides: DWAL's type is varve's kind. */
export interface DwalRecord {
  readonly txid: number;
  readonly kind: number;
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
}

/** What can be wrong with a frame. `truncated` and `crc` end the last segment; all others are errors everywhere. */
export type DwalFault =
  'truncated' | 'magic' | 'version' | 'type' | 'flags' | 'key-length' | 'payload-length' | 'crc' | 'txid';

/** What is wrong, in words. */
export interface DwalProblem {
  readonly fault: DwalFault;
  readonly message: string;
}

/** The fields of a frame's header that the rest of the frame depends on. */
export interface DwalHeader {
  readonly kind: number;
  readonly txid: number;
  readonly keyBytes: number;
  readonly payloadBytes: number;
  /** Bytes of the whole frame. */
  readonly bytes: number;
}

/** The 32 bits at `at`; for a record's few fields this is faster than a DataView. */
function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** The 64 bits at `at` as a number, exact to 2^53 - 1. */
function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u32(bytes, at + 4) * 2 ** 32;
}

function problem(fault: DwalFault, message: string): DwalProblem {
  return { fault, message };
}

/** Whether a kind has a type in DWAL. */
export function isDwalKind(kind: number): boolean {
  return KINDS.includes(kind);
}

/** `00000001.dwal` for id 1. */
export function dwalSegmentName(id: number): string {
  return `${String(id).padStart(8, '0')}.dwal`;
}

/** Whether a name is that of a segment; everything else in the directory is not DWAL's. */
export function isDwalSegment(name: string): boolean {
  return SEGMENT_NAME.test(name);
}

/**
 * Checks a frame's header: magic, version, type, flags, key length, payload length, in this order.
 *
 * @param bytes the first 24 bytes of the frame, or fewer where the file ends
 * @param room bytes from the frame's begin to the end of the file
 */
export function checkDwalHeader(bytes: Uint8Array, room: number): DwalHeader | DwalProblem {
  if (room < DWAL_HEADER_BYTES || bytes.length < DWAL_HEADER_BYTES) {
    return problem('truncated', `the file ends after ${room} of a frame header's ${DWAL_HEADER_BYTES} bytes`);
  }
  if (u32(bytes, 0) !== DWAL_MAGIC) return problem('magic', `the magic is ${hex(bytes.subarray(0, 4))} instead of 44 57 41 4c`);
  const version = bytes[4]! | (bytes[5]! << 8);
  if (version !== VERSION) return problem('version', `the version is ${version}; only ${VERSION} is known`);
  const kind = bytes[6]!;
  if (!isDwalKind(kind)) return problem('type', `the type is ${kind} instead of 0, 1 or 2`);
  if (bytes[7] !== 0) return problem('flags', `the flags are ${bytes[7]} instead of 0`);
  const keyBytes = u32(bytes, 16);
  if (keyBytes > DWAL_KEY_BYTES_MAX) {
    return problem('key-length', `the key has ${keyBytes} bytes; at most ${DWAL_KEY_BYTES_MAX} are allowed`);
  }
  const payloadBytes = u32(bytes, 20);
  if (payloadBytes > DWAL_PAYLOAD_BYTES_MAX) {
    return problem(
      'payload-length', `the payload has ${payloadBytes} bytes; at most ${DWAL_PAYLOAD_BYTES_MAX} are allowed`);
  }
  const total = DWAL_HEADER_BYTES + keyBytes + payloadBytes + DWAL_CRC_BYTES;
  if (total > room) return problem('truncated', `the file ends after ${room} of a frame's ${total} bytes`);
  return { kind, txid: u64(bytes, 8), keyBytes, payloadBytes, bytes: total };
}

/** Checks the checksum of a whole frame. */
export function checkDwalCrc(frame: Uint8Array): DwalProblem | undefined {
  const end = frame.length - DWAL_CRC_BYTES;
  const stored = u32(frame, end);
  const computed = crc32c(frame.subarray(0, end));
  if (stored === computed) return undefined;
  return problem('crc', `the CRC-32C is ${stored.toString(16)} but the bytes give ${computed.toString(16)}`);
}

/** Bytes of a record's frame. */
export function dwalFrameBytes(record: DwalRecord): number {
  return DWAL_HEADER_BYTES + record.key.length + record.payload.length + DWAL_CRC_BYTES;
}

/** Writes a record's frame at the start of `target`, which has room for it; returns its bytes. */
export function encodeDwal(record: DwalRecord, target: Uint8Array): number {
  const { key, payload } = record;
  const view = new DataView(target.buffer, target.byteOffset, target.length);
  view.setUint32(0, DWAL_MAGIC, true);
  view.setUint16(4, VERSION, true);
  target[6] = record.kind;
  target[7] = 0;
  view.setBigUint64(8, BigInt(record.txid), true);
  view.setUint32(16, key.length, true);
  view.setUint32(20, payload.length, true);
  target.set(key, DWAL_HEADER_BYTES);
  target.set(payload, DWAL_HEADER_BYTES + key.length);
  const end = DWAL_HEADER_BYTES + key.length + payload.length;
  view.setUint32(end, crc32c(target.subarray(0, end)), true);
  return end + DWAL_CRC_BYTES;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
