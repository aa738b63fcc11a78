/**
 * Appending single records: the hot path of a log. One comparison, one copy into the mapping for each of key and
 * payload, one call of the core; text is written where it belongs as UTF-8. Whatever does not fit below `softEnd` takes
 * the slow path, which makes room first (host/log/tail.ts).
 *
 * Invariant: nothing behind the tail is published before the core's call, so a call that throws has appended nothing.
 */
import {
  FRAME_HEADER_BYTES, INFO_KIND_SHIFT, KEY_BYTES_MAX, PUT_META_BYTES, STAMP_BYTES,
} from '../generated/abi.ts';
import { checkSizes, LogTail } from './tail.ts';
import { utf8BytesMax, writeUtf8 } from './utf8.ts';

/** One record to be appended. */
export interface RecordInput {
  readonly payload: Uint8Array | string;
  readonly kind?: number | undefined;
  readonly key?: Uint8Array | string | undefined;
}

const NO_BYTES = new Uint8Array(0);
/** Up to so many bytes a loop costs less than a call into the runtime. */
const SHORT_BYTES = 24;
const TWO_TO_32 = 4294967296;

/** Bytes of the frame of a record with so many bytes of key and payload, padding included. */
export function strideOf(bytes: number): number {
  return (FRAME_HEADER_BYTES + bytes + 7) & ~7;
}

/** Bytes of data; text counts as UTF-8. */
export function byteLength(data: Uint8Array | string): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.length;
}

/** At least the bytes of data, without a look at its characters. */
export function bytesMax(data: Uint8Array | string): number {
  return typeof data === 'string' ? utf8BytesMax(data) : data.length;
}

/** Version and expiry as they stand in front of a payload. */
function metaOf(version: number, expiresAt: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(version), BigInt(expiresAt)).buffer);
}

/** A time as it stands in front of a payload. */
function stampOf(low: number, high: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(low, high).buffer);
}

export abstract class Appender extends LogTail {
  /** Appends one record of bytes without a key; the payload was checked to be a Uint8Array. */
  append(payload: Uint8Array, kind: number): number {
    const { length } = payload;
    const offset = this.tail;
    const body = offset + FRAME_HEADER_BYTES;
    const end = body + length;
    if (end > this.softEnd) return this.appendSlow(kind, NO_BYTES, NO_BYTES, payload);
    this.bytes.set(payload, this.base + body);
    this.lastFrame = offset;
    this.tail = (end + 7) & ~7;
    if (!this.waker.pending) this.waker.later();
    return this.view!.append(kind << INFO_KIND_SHIFT, length);
  }

  /** Appends one record of text without a key. */
  appendText(text: string, kind: number): number {
    if (this.tail + strideOf(utf8BytesMax(text)) > this.softEnd) {
      return this.appendSlow(kind, NO_BYTES, NO_BYTES, text);
    }
    const length = writeUtf8(this.bytes, this.base + this.tail + FRAME_HEADER_BYTES, text);
    return this.finish(kind, 0, length);
  }

  /** Appends one record with all that it can have. */
  appendRecord(record: RecordInput): number {
    return this.appendSlow(record.kind ?? 0, record.key ?? NO_BYTES, NO_BYTES, record.payload);
  }

  /** Appends one record with a key. Errors: as `append`, and ERR_VARVE_RECORD_TOO_LARGE */
  appendKeyed(kind: number, key: Uint8Array | string, payload: Uint8Array | string): number {
    const keyMax = bytesMax(key);
    if (keyMax > KEY_BYTES_MAX || this.tail + strideOf(keyMax + bytesMax(payload)) > this.softEnd) {
      return this.appendSlow(kind, key, NO_BYTES, payload);
    }
    const at = this.base + this.tail + FRAME_HEADER_BYTES;
    const keyBytes = this.putShort(key, at);
    return this.finish(kind, keyBytes, this.put(payload, at + keyBytes));
  }

  /**
   * The same, with version and expiry in front of the payload: integers from 0 to 2^53 - 1. Payload and these 16 bytes
   * together may be as long as a payload.
   */
  appendKeyedMeta(
    kind: number, key: Uint8Array | string, version: number, expiresAt: number, payload: Uint8Array | string,
  ): number {
    const keyMax = bytesMax(key);
    const most = keyMax + PUT_META_BYTES + bytesMax(payload);
    if (keyMax > KEY_BYTES_MAX || this.tail + strideOf(most) > this.softEnd) {
      return this.appendSlow(kind, key, metaOf(version, expiresAt), payload);
    }
    const at = this.base + this.tail + FRAME_HEADER_BYTES;
    const keyBytes = this.putShort(key, at);
    this.putMeta(version, expiresAt, at + keyBytes);
    return this.finish(kind, keyBytes, PUT_META_BYTES + this.put(payload, at + keyBytes + PUT_META_BYTES));
  }

  /**
   * The same with a time in front of the payload: a u64, given as its lower and its upper half. Payload and these 8
   * bytes together may be as long as a payload.
   */
  appendStamped(
    kind: number, key: Uint8Array | string, low: number, high: number, payload: Uint8Array | string,
  ): number {
    const keyMax = bytesMax(key);
    if (keyMax > KEY_BYTES_MAX || this.tail + strideOf(keyMax + STAMP_BYTES + bytesMax(payload)) > this.softEnd) {
      return this.appendSlow(kind, key, stampOf(low, high), payload);
    }
    const at = this.base + this.tail + FRAME_HEADER_BYTES;
    const keyBytes = this.putShort(key, at);
    const { data } = this;
    data.setUint32(at + keyBytes, low, true);
    data.setUint32(at + keyBytes + 4, high, true);
    return this.finish(kind, keyBytes, STAMP_BYTES + this.putShort(payload, at + keyBytes + STAMP_BYTES));
  }

  /** Makes room for a record of so many bytes without a key; returns the address where they are put, for `end`. */
  begin(bytes: number): number {
    checkSizes(0, bytes);
    if (this.tail + strideOf(bytes) > this.softEnd) this.makeReady(strideOf(bytes), 1);
    return this.base + this.tail + FRAME_HEADER_BYTES;
  }

  /** Commits the record of so many bytes that `begin` has made room for. */
  end(kind: number, bytes: number): number {
    return this.finish(kind, 0, bytes);
  }

  private appendSlow(
    kind: number, key: Uint8Array | string, prefix: Uint8Array, payload: Uint8Array | string,
  ): number {
    const keyBytes = byteLength(key);
    const payloadBytes = prefix.length + byteLength(payload);
    checkSizes(keyBytes, payloadBytes);
    this.makeReady(strideOf(keyBytes + payloadBytes), 1);
    const body = this.base + this.tail + FRAME_HEADER_BYTES;
    this.put(key, body);
    this.bytes.set(prefix, body + keyBytes);
    this.put(payload, body + keyBytes + prefix.length);
    return this.finish(kind, keyBytes, payloadBytes);
  }

  /** Commits the record whose key and payload stand behind a header's length at the tail. */
  private finish(kind: number, keyBytes: number, payloadBytes: number): number {
    this.lastFrame = this.tail;
    this.tail += strideOf(keyBytes + payloadBytes);
    if (!this.waker.pending) this.waker.later();
    return this.view!.append((kind << INFO_KIND_SHIFT) | keyBytes, payloadBytes);
  }

  /** Puts data at an address; returns how many bytes it took. */
  protected put(data: Uint8Array | string, at: number): number {
    if (typeof data === 'string') return writeUtf8(this.bytes, at, data);
    this.bytes.set(data, at);
    return data.length;
  }

  /** The same, for what is short as a rule: in words, where they are aligned, which costs half of a byte at a time. */
  protected putShort(data: Uint8Array | string, at: number): number {
    if (typeof data === 'string') return writeUtf8(this.bytes, at, data);
    const { length } = data;
    if (length > SHORT_BYTES || (at & 3) !== 0) {
      this.bytes.set(data, at);
      return length;
    }
    const { bytes, words } = this;
    const whole = length & ~3;
    for (let i = 0; i < whole; i += 4) {
      words[(at + i) >>> 2] = data[i]! | data[i + 1]! << 8 | data[i + 2]! << 16 | data[i + 3]! << 24;
    }
    for (let i = whole; i < length; i++) bytes[at + i] = data[i]!;
    return length;
  }

  /** Puts version and expiry at an address, which is aligned to nothing. */
  protected putMeta(version: number, expiresAt: number, at: number): void {
    this.data.setUint32(at, version, true);
    this.data.setUint32(at + 4, version / TWO_TO_32, true);
    this.data.setUint32(at + 8, expiresAt, true);
    this.data.setUint32(at + 12, expiresAt / TWO_TO_32, true);
  }
}
