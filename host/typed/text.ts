/**
 * Text into the core's memory, and short text out of it, faster than the runtime's own decoder, whose call alone costs
 * more than the bytes.
 *
 * Text of ASCII is made by one call with a fixed number of characters, of which the end is cut off. All else, and all
 * that is longer, the runtime decodes.
 */
import { writeUtf8 } from '../log/utf8.ts';
import { refuseLength } from './values.ts';

const SHORT = 8;
const MIDDLE = 24;
const NOT_ASCII = 0x80808080;
const { fromCharCode } = String;

/** Decoder of the texts in one memory. */
export class Texts {
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private readonly buffer: Buffer;

  constructor(memory: { readonly bytes: Uint8Array; readonly words: Int32Array; readonly buffer: ArrayBuffer }) {
    this.bytes = memory.bytes;
    this.words = memory.words;
    this.buffer = Buffer.from(memory.buffer);
  }

  /** Returns `length` bytes of UTF-8 at `at`, a multiple of 4, as a string; what is no UTF-8 becomes U+FFFD. */
  decode(at: number, length: number): string {
    if (length > MIDDLE || !this.isAscii(at, length)) return this.buffer.utf8Slice(at, at + length);
    const b = this.bytes;
    if (length <= SHORT) {
      return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!)
        .slice(0, length);
    }
    return fromCharCode(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!,
      b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!, b[at + 15]!,
      b[at + 16]!, b[at + 17]!, b[at + 18]!, b[at + 19]!, b[at + 20]!, b[at + 21]!, b[at + 22]!, b[at + 23]!)
      .slice(0, length);
  }

  private isAscii(at: number, length: number): boolean {
    const { words } = this;
    const first = at >> 2;
    const last = (at + length) >> 2;
    let seen = 0;
    for (let word = first; word < last; word++) seen |= words[word]!;
    // Of the last word only the bytes that belong to the text.
    seen |= words[last]! & ((1 << ((length & 3) << 3)) - 1);
    return (seen & NOT_ASCII) === 0;
  }
}

/** Writes text of at most `max` bytes of UTF-8 to memory that has room for 3 times as many; returns its length. */
export function encodeText(bytes: Uint8Array, at: number, value: string, name: string, max: number): number {
  // A unit of UTF-16 takes one byte at least.
  if (value.length > max) refuseLength(name, Buffer.byteLength(value), max);
  const length = writeUtf8(bytes, at, value);
  if (length > max) refuseLength(name, length, max);
  return length;
}

declare global {
  interface Buffer {
    /** The runtime's unchecked reader behind `toString('utf8', from, to)`. */
    utf8Slice(from: number, to: number): string;
  }
}
