/**
 * Reading JSON Lines of keys and values: every line is checked wholly, in order, in bounded memory (the longest line,
 * at least the pieces that the source gives). The first line that is wrong ends it with an error that names it.
 */
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { translated } from '../io/errors.ts';
import { JSONL_LINE_BYTES_MAX, parseJsonlLine, type JsonlProblem } from './jsonl.ts';
import type { Pair } from './pairs.ts';

const PIECE_BYTES = 1 << 20;
const NEWLINE = 0x0a;

/** The pairs of a file or a stream. To be iterated once. */
export class JsonlReader implements AsyncIterable<Pair> {
  /** Lines read so far. */
  records = 0;
  /** Their bytes, with their newlines. */
  bytes = 0;
  private readonly path: string | undefined;
  private readonly source: AsyncIterable<Uint8Array>;
  /** The line that has begun, in the pieces that have come of it. */
  private parts: Uint8Array[] = [];
  private partBytes = 0;

  /** @param source a file's path, or a stream or other source of bytes */
  constructor(source: string | AsyncIterable<Uint8Array>) {
    this.path = typeof source === 'string' ? resolve(source) : undefined;
    this.source = typeof source === 'string' ? piecesOf(resolve(source)) : source;
  }

  /**
   * Gives each pair; its bytes are the caller's.
   *
   * Errors while iterating: ERR_VARVE_FORMAT with details {path?, line, offset, fault}, ERR_VARVE_NOT_FOUND,
   * ERR_VARVE_IO, what the stream fails with
   */
  async* [Symbol.asyncIterator](): AsyncGenerator<Pair, void> {
    for await (const piece of this.source) {
      let from = 0;
      for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
        this.add(piece.subarray(from, end));
        from = end + 1;
        yield this.take(1);
      }
      if (from < piece.length) this.add(piece.subarray(from));
    }
    if (this.partBytes > 0) yield this.take(0);
  }

  private add(part: Uint8Array): void {
    this.partBytes += part.length;
    if (this.partBytes > JSONL_LINE_BYTES_MAX) {
      const message = `it is longer than ${JSONL_LINE_BYTES_MAX} bytes`;
      throw this.wrong({ fault: 'line-length', message }, '');
    }
    this.parts.push(part);
  }

  /** The pair of the line that has come to its end. */
  private take(newline: 0 | 1): Pair {
    const [first] = this.parts;
    const line = this.parts.length === 1 ? Buffer.from(first!.buffer, first!.byteOffset, first!.length)
      : Buffer.concat(this.parts, this.partBytes);
    const pair = parseJsonlLine(line);
    if ('fault' in pair) {
      throw this.wrong(pair, newline === 1 ? '' : '; it has no newline, so that the end of the file may be missing');
    }
    this.bytes += this.partBytes + newline;
    this.records++;
    this.parts = [];
    this.partBytes = 0;
    return pair;
  }

  private wrong({ fault, message }: JsonlProblem, hint: string): VarveError {
    const line = this.records + 1;
    return new VarveError('ERR_VARVE_FORMAT', `${this.path ?? 'the stream'}, line ${line}: ${message}${hint}`,
      { ...this.path === undefined ? {} : { path: this.path }, line, offset: this.bytes, fault });
  }
}

async function* piecesOf(path: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw translated(error, path);
  }
}
