/**
 * The rules of docs/format.md for frames, once more and as plainly as can be, for fuzzing: what the core makes of
 * arbitrary bytes is compared with what these few lines make of them. Nothing here is fast.
 */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc >>> 0;
});
const HEADER = 24;
const SIZE_MAX = 24 + 65_536 + 67_108_864;

/** CRC-32C, continued from `seed`. */
export function plainCrc(bytes: Uint8Array, seed: number): number {
  let crc = ~seed;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Where frames stand: [0, bytes.length) of a segment's frames, of which the first record has this LSN. */
export interface Ground {
  readonly bytes: Uint8Array;
  readonly salt: number;
  readonly baseLsn: number;
}

export interface PlainFrame {
  readonly stride: number;
  readonly epoch: number;
  readonly durable: number;
  readonly more: boolean;
}

/** The frame at `offset`, if there is a valid one with the low half of this LSN. */
export function frameAt({ bytes, salt }: Ground, offset: number, lsn: number): PlainFrame | undefined {
  if (bytes.length - offset < HEADER) return undefined;
  const fields = new DataView(bytes.buffer, bytes.byteOffset + offset, HEADER);
  const size = fields.getUint32(4, true);
  const stride = (size + 7) & ~7;
  if (size < HEADER || size > SIZE_MAX || stride > bytes.length - offset) return undefined;
  const info = fields.getUint32(20, true);
  const key = info & 0x1ffff;
  const body = size - HEADER;
  if (key > body || key > 65_536 || body - key > 67_108_864 || ((info >>> 17) & 0x7e) !== 0) return undefined;
  const frame = bytes.subarray(offset, offset + stride);
  if (frame.subarray(size).some((byte) => byte !== 0)) return undefined;
  if (plainCrc(frame.subarray(4, size), salt) !== fields.getUint32(0, true)) return undefined;
  if (fields.getUint32(8, true) !== lsn >>> 0) return undefined;
  return {
    stride, epoch: fields.getUint32(16, true), durable: fields.getUint32(12, true), more: ((info >>> 17) & 1) === 1,
  };
}

/** The longest prefix of whole batches: how many records, and where it ends. */
export function longestPrefix(ground: Ground): { readonly records: number; readonly end: number } {
  let prefix = { records: 0, end: 0 };
  let epoch = 0;
  let offset = 0;
  for (let records = 0; ;) {
    const frame = frameAt(ground, offset, ground.baseLsn + records);
    if (frame === undefined || frame.epoch < epoch) return prefix;
    epoch = frame.epoch;
    offset += frame.stride;
    records++;
    if (!frame.more) prefix = { records, end: offset };
  }
}
