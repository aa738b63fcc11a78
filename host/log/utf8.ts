/**
 * Text into memory as UTF-8, without a copy in between.
 *
 * Short text is written by a loop, because calling into the runtime costs more than the bytes; the loop gives up at the
 * first character that is not ASCII.
 */
const SHORT = 48;
const encoder = new TextEncoder();
const buffers = new WeakMap<ArrayBufferLike, Buffer>();

/** Most bytes that a text can take as UTF-8. */
export function utf8BytesMax(text: string): number {
  return text.length * 3;
}

/**
 * Writes `text` at `at` of `bytes`, which has room for it; lone surrogates become U+FFFD.
 *
 * @returns how many bytes it took
 */
export function writeUtf8(bytes: Uint8Array, at: number, text: string): number {
  const { length } = text;
  if (length <= SHORT) {
    let i = 0;
    while (i < length) {
      const unit = text.charCodeAt(i);
      if (unit > 127) break;
      bytes[at + i] = unit;
      i++;
    }
    if (i === length) return length;
  }
  let buffer = buffers.get(bytes.buffer);
  if (buffer === undefined) {
    buffer = Buffer.from(bytes.buffer as ArrayBuffer);
    buffers.set(bytes.buffer, buffer);
  }
  // Behind the last range of the memory there may be less room than the worst case takes.
  const room = Math.min(utf8BytesMax(text), bytes.length - at);
  return buffer.utf8Write === undefined
    ? encoder.encodeInto(text, bytes.subarray(at, at + room)).written
    : buffer.utf8Write(text, bytes.byteOffset + at, room);
}

declare global {
  interface Buffer {
    /** The runtime's unchecked writer behind `write(text, at, bytes, 'utf8')`. */
    utf8Write?(text: string, at: number, bytesMax: number): number;
  }
}
