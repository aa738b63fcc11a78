/**
 * Reading and writing single fields of structures that lie in the core's memory or in a buffer, by the offsets of
 * host/generated/abi.ts. For cold paths; what happens per record, the core does.
 */

/** Little-endian fields at `at` of a byte array. */
export class Fields {
  private readonly data: DataView;

  constructor(bytes: Uint8Array, at = 0, length = bytes.length - at) {
    this.data = new DataView(bytes.buffer, bytes.byteOffset + at, length);
  }

  /** An unsigned 32-bit field. */
  u32(offset: number): number {
    return this.data.getUint32(offset, true);
  }

  setU32(offset: number, value: number): void {
    this.data.setUint32(offset, value, true);
  }

  /** An unsigned 64-bit field as a number, exact to 2^53 - 1. */
  u64(offset: number): number {
    return Number(this.data.getBigUint64(offset, true));
  }

  setU64(offset: number, value: number | bigint): void {
    this.data.setBigUint64(offset, BigInt(value), true);
  }

  /** An unsigned 64-bit field, exact. */
  big(offset: number): bigint {
    return this.data.getBigUint64(offset, true);
  }
}
