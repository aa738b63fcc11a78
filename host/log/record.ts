/**
 * What a user gets: a record, and a reference to one. Decoding happens here alone; the frame was checked before.
 */
import { Frame, FRAME_HEADER_BYTES, INFO_KEY_MASK, INFO_KIND_SHIFT } from '../generated/abi.ts';
import { copyOut } from './copies.ts';

/** One record of a log. */
export interface LogRecord {
  /** Its sequence number: dense, from 1. */
  readonly lsn: number;
  /** What it is: 0 raw, 1 put, 2 delete, up to 127 by your own choice. */
  readonly kind: number;
  /** Its key; empty where it has none. */
  readonly key: Uint8Array;
  /** Its bytes. */
  readonly payload: Uint8Array;
  /** The epoch of the writer that appended it. */
  readonly epoch: number;
}

/** Where a record lies. Valid until the record is cut or dropped; safe to store as JSON. */
export interface RecordRef {
  readonly lsn: number;
  /** Base LSN of the segment, which is also the file's name. */
  readonly segment: number;
  /** Offset of the frame in the segment file, in bytes. */
  readonly offset: number;
  /** Bytes of the frame without padding. */
  readonly size: number;
}

const NO_BYTES = new Uint8Array(0);
const SIZE = Frame.size / 4;
const EPOCH = Frame.epoch / 4;
const INFO = Frame.info / 4;

/** Where frames are decoded: a buffer from `start` on, and the same bytes as 32-bit words. */
export interface Bytes {
  readonly buffer: ArrayBuffer;
  readonly start: number;
  readonly words: Uint32Array;
}

/** The bytes of a buffer, or a part of it, with their words. */
export function bytesOf(buffer: ArrayBuffer, start: number, length: number): Bytes {
  return { buffer, start, words: new Uint32Array(buffer, start, length >> 2) };
}

/** Bytes of the frame at `at`, without padding. */
export function sizeAt(words: Uint32Array, at: number): number {
  return words[at / 4 + SIZE]!;
}

/** The kind of the frame at `at`. */
export function kindAt(words: Uint32Array, at: number): number {
  return words[at / 4 + INFO]! >>> INFO_KIND_SHIFT;
}

/** The epoch of the frame at `at`. */
export function epochAt(words: Uint32Array, at: number): number {
  return words[at / 4 + EPOCH]!;
}

/** The record of the frame at `at`, with key and payload as parts of the buffer. */
export function recordIn({ buffer, start: begin, words }: Bytes, at: number, lsn: number): LogRecord {
  const word = at / 4;
  const size = words[word + SIZE]!;
  const info = words[word + INFO]!;
  const keyBytes = info & INFO_KEY_MASK;
  const start = begin + at + FRAME_HEADER_BYTES;
  return {
    lsn,
    kind: info >>> INFO_KIND_SHIFT,
    key: keyBytes === 0 ? NO_BYTES : new Uint8Array(buffer, start, keyBytes),
    payload: new Uint8Array(buffer, start + keyBytes, size - FRAME_HEADER_BYTES - keyBytes),
    epoch: words[word + EPOCH]!,
  };
}

/** The record of the frame at `at` of a whole buffer, with key and payload copied. */
export function recordCopied({ buffer, words }: Bytes, at: number, lsn: number): LogRecord {
  const word = at / 4;
  const end = at + words[word + SIZE]!;
  const info = words[word + INFO]!;
  const keyBytes = info & INFO_KEY_MASK;
  const body = copyOut(buffer, at + FRAME_HEADER_BYTES, end);
  return {
    lsn,
    kind: info >>> INFO_KIND_SHIFT,
    key: keyBytes === 0 ? NO_BYTES : body.subarray(0, keyBytes),
    payload: keyBytes === 0 ? body : body.subarray(keyBytes),
    epoch: words[word + EPOCH]!,
  };
}
