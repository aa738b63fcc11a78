/**
 * Reading a file from front to back through a buffer: bounded memory, whatever the file's length. It never maps, so
 * that a file which somebody else shortens meanwhile gives a short read and not a fault.
 */
import type { StoredFile } from './storage.ts';

/** Bytes that are read at a time, unless more is asked for. */
const CHUNK_BYTES = 1 << 20;

export class FileWindow {
  private readonly file: StoredFile;
  private buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** The buffer holds [start, end) of the file. */
  private start = 0;
  private end = 0;

  /** The file stays the caller's, who closes it. */
  constructor(file: StoredFile) {
    this.file = file;
  }

  /**
   * Returns [offset, offset + count) of the file, shorter at its end. What was returned stays as it is, for as long as
   * anyone holds it, and holds a mebibyte with it.
   */
  at(offset: number, count: number): Uint8Array<ArrayBuffer> {
    if (offset < this.start || offset + count > this.end) this.fill(offset, count);
    const from = offset - this.start;
    return this.buffer.subarray(from, Math.min(from + count, this.end - this.start));
  }

  private fill(offset: number, count: number): void {
    const rest = Math.max(0, this.file.size() - offset);
    this.buffer = new Uint8Array(Math.min(rest, Math.max(count, CHUNK_BYTES)));
    this.start = offset;
    this.end = offset + this.file.read(this.buffer, offset);
  }
}
