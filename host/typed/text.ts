/**
 * Text into the core's memory and out of it, for short text faster than the runtime's own encoder and decoder, whose
 * calls alone cost more than the bytes.
 *
 * Text of ASCII is made by one call with a fixed number of characters, of which the end is cut off. All else, and all
 * that is longer, the runtime decodes.
 */
import { writeUtf8 } from '../log/utf8.ts';
import { refuseLength } from './values.ts';

const SHORT = 8;
const MIDDLE = 24;
const NOT_ASCII = 0x80808080;
const ASCII_MAX = 127;
/** From here on the runtime's own encoder is faster. */
const SHORT_TO_WRITE = 48;
const { fromCharCode } = String;

/** Reads and writes the texts in one memory. */
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

  /**
   * Writes text as UTF-8 at `at`, a multiple of 4, where there is room for 3 bytes a unit; a lone surrogate becomes
   * U+FFFD. Returns how many bytes it took.
   */
  write(at: number, text: string): number {
    const { length } = text;
    return length <= SHORT_TO_WRITE && this.writeAscii(at, text) ? length : writeUtf8(this.bytes, at, text);
  }

  /** Writes four units at a time, as if all were ASCII; whether they are. */
  private writeAscii(at: number, text: string): boolean {
    const { bytes, words } = this;
    const { length } = text;
    const whole = length & ~3;
    let seen = 0;
    let i = 0;
    for (let word = at >> 2; i < whole; i += 4) {
      const a = text.charCodeAt(i);
      const b = text.charCodeAt(i + 1);
      const c = text.charCodeAt(i + 2);
      const d = text.charCodeAt(i + 3);
      seen |= a | b | c | d;
      words[word++] = a | b << 8 | c << 16 | d << 24;
    }
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      seen |= unit;
      bytes[at + i] = unit;
    }
    return seen <= ASCII_MAX;
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

/** Writes text of at most `max` bytes of UTF-8 at `at`, as `Texts.write` does; returns its length. */
export function encodeText(texts: Texts, at: number, value: string, name: string, max: number): number {
  // A unit of UTF-16 takes one byte at least.
  if (value.length > max) refuseLength(name, Buffer.byteLength(value), max);
  const length = texts.write(at, value);
  if (length > max) refuseLength(name, length, max);
  return length;
}

declare global {
  interface Buffer {
    /** The runtime's unchecked reader behind `toString('utf8', from, to)`. */
    utf8Slice(from: number, to: number): string;
  }
}
