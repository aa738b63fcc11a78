/**
 * Cutting a stream of bytes into lines. A line is what stands before a newline byte, whatever it is: no decoding, no
 * trimming, a carriage return is part of it. Bytes behind the last newline are a line too.
 */
import { VarveError } from '../errors/varve-error.ts';
import { PAYLOAD_BYTES_MAX } from '../generated/abi.ts';

const NEWLINE = 0x0a;

export class LineCutter {
  /** Lines taken so far. */
  lines = 0;
  private readonly take: (line: Uint8Array) => void;
  private pending: Buffer[] = [];
  private pendingBytes = 0;

  /** `take` gets each line; its bytes may change afterwards. */
  constructor(take: (line: Uint8Array) => void) {
    this.take = take;
  }

  /** Takes the next bytes of the stream. Errors: ERR_VARVE_RECORD_TOO_LARGE for a line above 64 MiB, and `take`'s. */
  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(NEWLINE, from);
      if (at < 0) break;
      this.end(chunk.subarray(from, at));
      from = at + 1;
    }
    if (from < chunk.length) this.keep(chunk.subarray(from));
  }

  /** The stream has ended. */
  finish(): void {
    if (this.pendingBytes > 0) this.end(Buffer.alloc(0));
  }

  private end(rest: Buffer): void {
    if (this.pendingBytes === 0) {
      this.checkLength(rest.length);
      this.take(rest);
    } else {
      this.keep(rest);
      const line = Buffer.concat(this.pending, this.pendingBytes);
      this.pending = [];
      this.pendingBytes = 0;
      this.take(line);
    }
    this.lines++;
  }

  private keep(part: Buffer): void {
    this.checkLength(this.pendingBytes + part.length);
    this.pending.push(part);
    this.pendingBytes += part.length;
  }

  private checkLength(bytes: number): void {
    if (bytes <= PAYLOAD_BYTES_MAX) return;
    throw new VarveError('ERR_VARVE_RECORD_TOO_LARGE',
      `line ${this.lines + 1} has more than ${PAYLOAD_BYTES_MAX} bytes; the lines before it were appended`,
      { line: this.lines + 1, limit: PAYLOAD_BYTES_MAX });
  }
}
