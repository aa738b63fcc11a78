/**
 * A segment played in memory, for the specs of the core: file, LSN index and CONTROL at fixed addresses between 1 and
 * 4 MiB, one view in the first slot. Frames can be written by the core (`add`) or by hand (`putFrame`), with a checksum
 * that is computed one bit at a time and shares no code with the core.
 */
import { FRAMES_OFFSET, INDEX_SHIFT } from '../../assembly/abi/limits';
import { SCRATCH_OFFSET, SLOTS_OFFSET } from '../../assembly/abi/memory';
import { Frame } from '../../assembly/layout/frame';
import { ScanResult, SegmentView } from '../../assembly/layout/view';
import { append } from '../../assembly/record/append';

/** The segment file. */
export const BASE: usize = 0x100000;
/** Bytes of it that are mapped. */
export const MAPPED: u32 = 0x40000;
/** Bytes behind it that no function may write, filled with `GUARD`. */
export const GUARD_BYTES: u32 = 4096;
export const GUARD: u8 = 0xa5;
/** The LSN index. */
export const INDEX: usize = 0x200000;
export const INDEX_BYTES: u32 = 0x10000;
/** The control page. */
export const CONTROL: usize = 0x300000;
/** Whatever else a spec needs. */
export const SPARE: usize = 0x380000;

/** The low 32 bits of the LSN overflow within the first records. */
export const BASE_LSN: u64 = 0x4fffffffe;
export const SALT: u32 = 0x5eedf00d;
export const EPOCH: u32 = 7;
export const BASE_POSITION: u64 = 0x300000000;

/** The view that all specs use. */
export const view = changetype<SegmentView>(<usize>SLOTS_OFFSET);
/** What the last call left. */
export const result = changetype<ScanResult>(<usize>SCRATCH_OFFSET);

/** Empties the segment, the index and CONTROL, and makes the view one of an empty segment that can be appended to. */
export function fresh(): void {
  memory.fill(BASE, 0, MAPPED);
  memory.fill(BASE + MAPPED, GUARD, GUARD_BYTES);
  memory.fill(INDEX, 0xee, INDEX_BYTES);
  memory.fill(CONTROL, 0, 4096);
  memory.fill(<usize>SCRATCH_OFFSET, 0xcc, offsetof<ScanResult>());
  memory.fill(<usize>SLOTS_OFFSET, 0, offsetof<SegmentView>());
  view.base = <u32>BASE;
  view.dataEnd = FRAMES_OFFSET;
  view.baseLsn = BASE_LSN;
  view.salt = SALT;
  view.index = <u32>INDEX;
  view.mapped = MAPPED;
  view.epoch = EPOCH;
  view.writerEpoch = EPOCH;
  view.control = <u32>CONTROL;
  view.basePosition = BASE_POSITION;
}

/** Whether the bytes behind the segment are as `fresh` left them. */
export function guardIntact(): bool {
  for (let i: usize = 0; i < GUARD_BYTES; i++) if (load<u8>(BASE + MAPPED + i) != GUARD) return false;
  return true;
}

/** The byte that stands at `i` of the body of the record with this LSN: never 0. */
export function bodyByte(lsn: u64, i: u32): u8 {
  return <u8>((<u32>lsn * 31 + i * 7) % 255 + 1);
}

/** Fills `bytes` bytes of a record's body. */
export function fillBody(at: usize, lsn: u64, bytes: u32): void {
  for (let i: u32 = 0; i < bytes; i++) store<u8>(at + i, bodyByte(lsn, i));
}

/** Appends a record of the next LSN through the core, with `bodyByte` as its body; returns its offset. */
export function add(kind: u32, keyBytes: u32, payloadBytes: u32): u32 {
  const offset = view.dataEnd;
  fillBody(BASE + offset + 24, view.baseLsn + view.records, keyBytes + payloadBytes);
  append(view, kind << 24 | keyBytes, payloadBytes);
  return offset;
}

/** Appends `count` records of 8, 9, 10 … bytes. */
export function addMany(count: u32): void {
  for (let i: u32 = 0; i < count; i++) add(0, 0, 8 + i % 32);
}

/** CRC-32C, one bit at a time. */
export function referenceCrc(seed: u32, at: usize, size: u32): u32 {
  let register = ~seed;
  for (let i: u32 = 0; i < size; i++) {
    register ^= load<u8>(at + i);
    for (let bit = 0; bit < 8; bit++) register = (register >> 1) ^ (register & 1 ? 0x82f63b78 : 0);
  }
  return ~register;
}

/** Gives the frame at `at` the checksum that its bytes should have. */
export function reseal(at: usize, salt: u32): void {
  const frame = changetype<Frame>(at);
  frame.crc = referenceCrc(salt, at + 4, frame.size - 4);
}

/** Writes a valid frame by hand around the body that stands at `at + 24`; returns its bytes with padding. */
export function putFrame(at: usize, size: u32, info: u32, lsn: u64, durable: u32, epoch: u32, salt: u32): u32 {
  const frame = changetype<Frame>(at);
  const stride = (size + 7) & ~7;
  memory.fill(at + size, 0, stride - size);
  frame.size = size;
  frame.lsn = <u32>lsn;
  frame.durable = durable;
  frame.epoch = epoch;
  frame.info = info;
  reseal(at, salt);
  return stride;
}

/** Flips one bit. */
export function flip(at: usize, bit: u32): void {
  store<u8>(at + (bit >> 3), load<u8>(at + (bit >> 3)) ^ ((<u8>1) << <u8>(bit & 7)));
}

/** Whether a record has an entry of its own in the LSN index. */
export function isIndexed(ordinal: u32): bool {
  return (ordinal & ((1 << INDEX_SHIFT) - 1)) == 0;
}

/** Address of the entry of the LSN index that leads to a record. */
export function indexEntryAt(ordinal: u32): usize {
  return INDEX + ((<usize>ordinal >> INDEX_SHIFT) << 2);
}

/** That entry. */
export function indexEntry(ordinal: u32): u32 {
  return load<u32>(indexEntryAt(ordinal));
}
