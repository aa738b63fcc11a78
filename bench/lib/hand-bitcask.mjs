/**
 * The key-value store that one would write by hand in JavaScript: a file of records (checksum, sizes, key, value) and a
 * Map from key to offset. Writes gather in a buffer of 64 KiB that is written when it is full; reads come out of a
 * mapping of the file, which is made anew when a record lies beyond it, or by `fs.readSync` where the package mmap-io
 * is missing.
 *
 * It does less than varve: what is in its buffer dies with the process, opening reads everything and
 * takes a torn record for a whole one, nothing is ever deleted or compacted, no other process sees anything, and a Map
 * holds 2^24 keys at most. Each get checks the checksum; opening, which would take longer, does not.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const HEADER_BYTES = 8;
const BUFFER_BYTES = 65536;
const require = createRequire(import.meta.url);

function mmapIo() {
  try {
    return require('@riaskov/mmap-io');
  } catch {
    return undefined;
  }
}

const mmap = mmapIo();

export class HandBitcask {
  constructor(path, crc32c) {
    this.fd = openSync(path, 'a+');
    this.crc32c = crc32c;
    this.buffer = Buffer.alloc(BUFFER_BYTES);
    this.used = 0;
    this.written = fstatSync(this.fd).size;
    this.mapped = undefined;
    this.offsets = new Map();
    let offset = 0;
    while (offset < this.written) {
      const record = this.uncheckedAt(offset);
      this.offsets.set(record.latin1Slice(HEADER_BYTES, HEADER_BYTES + record.readUInt16LE(4)), offset);
      offset += record.length;
    }
  }

  /** Keys are of Latin-1 and below 2^16 bytes, values too; all of it must fit the buffer. */
  put(key, value) {
    const bytes = HEADER_BYTES + key.length + value.length;
    if (this.used + bytes > BUFFER_BYTES) this.flush();
    const { buffer, used } = this;
    buffer.writeUInt16LE(key.length, used + 4);
    buffer.writeUInt16LE(value.length, used + 6);
    buffer.latin1Write(key, used + HEADER_BYTES);
    buffer.set(value, used + HEADER_BYTES + key.length);
    buffer.writeInt32LE(this.crc32c(buffer.subarray(used + 4, used + bytes)), used);
    this.offsets.set(key, this.written + used);
    this.used = used + bytes;
  }

  flush() {
    writeSync(this.fd, this.buffer, 0, this.used);
    this.written += this.used;
    this.used = 0;
  }

  sync() {
    this.flush();
    fdatasyncSync(this.fd);
  }

  /** Returns a copy of the value; undefined for a key that is not there; throws where the checksum is wrong. */
  get(key) {
    const view = this.getView(key);
    return view === undefined ? undefined : Buffer.from(view);
  }

  /** The same as a view into the mapping. */
  getView(key) {
    const offset = this.offsets.get(key);
    if (offset === undefined) return undefined;
    const record = this.recordAt(offset);
    return record.subarray(HEADER_BYTES + record.readUInt16LE(4));
  }

  recordAt(offset) {
    const record = this.uncheckedAt(offset);
    if (this.crc32c(record.subarray(4)) !== record.readInt32LE(0)) throw new Error(`damaged at ${offset}`);
    return record;
  }

  uncheckedAt(offset) {
    const bytes = this.bytesFrom(offset);
    const at = bytes === this.mapped ? offset : 0;
    return bytes.subarray(at, at + HEADER_BYTES + bytes.readUInt16LE(at + 4) + bytes.readUInt16LE(at + 6));
  }

  bytesFrom(offset) {
    if (offset >= this.written) this.flush();
    if (mmap === undefined) {
      const bytes = Buffer.alloc(BUFFER_BYTES);
      readSync(this.fd, bytes, 0, BUFFER_BYTES, offset);
      return bytes;
    }
    if (offset >= (this.mapped?.length ?? 0)) {
      this.mapped = mmap.map(this.written, mmap.PROT_READ, mmap.MAP_SHARED, this.fd, 0);
    }
    return this.mapped;
  }

  *entries() {
    for (const [key, offset] of this.offsets) {
      const record = this.recordAt(offset);
      yield [key, Buffer.from(record.subarray(HEADER_BYTES + key.length))];
    }
  }

  close() {
    this.flush();
    closeSync(this.fd);
  }
}
