/**
 * The log that one would write by hand in JavaScript: records gather in a buffer of 64 KiB that is written when it is
 * full, each with a header of 16 bytes (checksum, size, number, kind) and a CRC-32C by the package crc-32.
 *
 * It does less than varve: what is in its buffer dies with the process, there is no index, no recovery, no rotation,
 * and no other process sees a record before its buffer is full. The checksum covers the payload and, as its seed, the
 * size.
 */
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';

const BUFFER_BYTES = 65536;
const HEADER_BYTES = 16;

export class HandLog {
  constructor(path, crc32c) {
    this.fd = openSync(path, 'w+');
    this.crc32c = crc32c;
    this.buffer = new Uint8Array(BUFFER_BYTES);
    this.words = new Int32Array(this.buffer.buffer);
    this.used = 0;
    this.lsn = 0;
  }

  append(payload) {
    const { length } = payload;
    const stride = (HEADER_BYTES + length + 3) & ~3;
    if (this.used + stride > BUFFER_BYTES) this.flush();
    const at = this.used;
    const word = at >> 2;
    this.words[word] = this.crc32c(payload, length);
    this.words[word + 1] = length;
    this.words[word + 2] = ++this.lsn;
    this.words[word + 3] = 0;
    this.buffer.set(payload, at + HEADER_BYTES);
    this.used = at + stride;
    return this.lsn;
  }

  flush() {
    if (this.used > 0) writeSync(this.fd, this.buffer, 0, this.used);
    this.used = 0;
  }

  sync() {
    this.flush();
    fdatasyncSync(this.fd);
  }

  /** Calls `visit(payload)` with each record whose checksum is right; the payload is valid until `visit` returns. */
  scan(visit) {
    this.flush();
    const { buffer, words } = this;
    let position = 0;
    for (;;) {
      const end = readSync(this.fd, buffer, 0, BUFFER_BYTES, position);
      let at = 0;
      while (at + HEADER_BYTES <= end) {
        const word = at >> 2;
        const length = words[word + 1];
        const from = at + HEADER_BYTES;
        if (from + length > end) break;
        const payload = buffer.subarray(from, from + length);
        if (this.crc32c(payload, length) !== words[word]) throw new Error(`damaged at ${position + at}`);
        visit(payload);
        at = (from + length + 3) & ~3;
      }
      if (at === 0) return;
      position += at;
    }
  }

  close() {
    this.flush();
    closeSync(this.fd);
  }
}
