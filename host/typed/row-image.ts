/**
 * The row as numbers and text: the image of one record in the core's scratch area, with its fields at the offsets that
 * they have in the file. What is in it holds until the next call that uses it.
 *
 * Generated classes take records apart and put them together here without a loop over their fields. What cannot be
 * given or taken is answered with a value that no field has; they leave it to the general way then, which finds out
 * why.
 */
import type { CoreMemory } from '../core/memory.ts';
import { ROW_OFFSET, TYPED_STRIDE_MAX } from '../generated/abi.ts';
import type { Texts } from './text.ts';

const TWO_32 = 4294967296;
const LENGTH_BYTES = 4;

export class RowImage {
  /** The bytes of the record as numbers of each type. An index is an offset divided by the bytes of a number. */
  readonly i8: Int8Array;
  readonly u8: Uint8Array;
  readonly i16: Int16Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  protected readonly texts: Texts;

  constructor({ buffer }: CoreMemory, texts: Texts) {
    this.texts = texts;
    this.i8 = new Int8Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX);
    this.u8 = new Uint8Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX);
    this.i16 = new Int16Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 2);
    this.u16 = new Uint16Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 2);
    this.i32 = new Int32Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 4);
    this.u32 = new Uint32Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 4);
    this.i64 = new BigInt64Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 8);
    this.u64 = new BigUint64Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 8);
    this.f32 = new Float32Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 4);
    this.f64 = new Float64Array(buffer, ROW_OFFSET, TYPED_STRIDE_MAX / 8);
  }

  /** Puts zeros where fields leave bytes between them, and behind text, so that no byte of another record stays. */
  clear(stride: number): void {
    const { f64 } = this;
    for (let word = stride / 8 - 1; word > 0; word--) f64[word] = 0;
  }

  /** A signed 64-bit integer, or the nearest number, which is none that `isI64Number` takes. */
  signed64(offset: number): number {
    const at = offset / 4;
    return this.i32[at + 1]! * TWO_32 + this.u32[at]!;
  }

  /** The same, unsigned. */
  unsigned64(offset: number): number {
    const at = offset / 4;
    return this.u32[at + 1]! * TWO_32 + this.u32[at]!;
  }

  /** Puts an integer up to 2^53 - 1 on both sides of 0. */
  putInteger(offset: number, value: number): void {
    const at = offset / 4;
    const high = Math.floor(value / TWO_32);
    this.u32[at] = value - high * TWO_32;
    this.i32[at + 1] = high;
  }

  /** Text of at most `max` bytes; `undefined` where its length is none. */
  text(offset: number, max: number): string | undefined {
    const length = this.u32[offset / 4]!;
    return length > max ? undefined : this.texts.decode(ROW_OFFSET + offset + LENGTH_BYTES, length);
  }

  /** Puts text; false where it takes more than `max` bytes. */
  putText(offset: number, max: number, value: string): boolean {
    if (value.length > max) return false;
    const length = this.texts.write(ROW_OFFSET + offset + LENGTH_BYTES, value);
    this.u32[offset / 4] = length;
    return length <= max;
  }
}
