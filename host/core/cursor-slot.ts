/**
 * The slots of a cursor file: between the bytes and plain objects. Works on copies in the scratch area; checksums are
 * the core's. The layout is that of assembly/layout/cursor.ts.
 */
import {
  CURSOR_NAME_BYTES_MAX, CURSOR_SLOT_BYTES, CursorSlot, SCRATCH_OFFSET, Status,
} from '../generated/abi.ts';
import type { Core } from './core.ts';
import { Fields } from './fields.ts';

export interface SlotFields {
  readonly storeIdLow: bigint;
  readonly storeIdHigh: bigint;
  /** The name as UTF-8, at most 64 bytes. */
  readonly name: Uint8Array;
  readonly sequence: number;
  readonly lsn: number;
  readonly epoch: number;
  readonly savedAt: number;
}

/** Returns the bytes of a slot. */
export function encodeSlot(core: Core, slot: SlotFields): Uint8Array {
  const bytes = core.memory.bytes.subarray(SCRATCH_OFFSET, SCRATCH_OFFSET + CURSOR_SLOT_BYTES);
  bytes.fill(0);
  const fields = new Fields(bytes);
  fields.setU32(CursorSlot.epoch, slot.epoch);
  fields.setU64(CursorSlot.storeIdLow, slot.storeIdLow);
  fields.setU64(CursorSlot.storeIdHigh, slot.storeIdHigh);
  fields.setU64(CursorSlot.sequence, slot.sequence);
  fields.setU64(CursorSlot.lsn, slot.lsn);
  fields.setU64(CursorSlot.savedAt, slot.savedAt);
  fields.setU32(CursorSlot.nameBytes, slot.name.length);
  bytes.set(slot.name, CursorSlot.name);
  core.exports.sealCursor(SCRATCH_OFFSET);
  return bytes.slice();
}

/** Reads a slot; a `Status` where it is not valid: `BadMagic`, `BadHeader` or `NewerVersion`. */
export function decodeSlot(core: Core, bytes: Uint8Array): SlotFields | number {
  if (bytes.length < CURSOR_SLOT_BYTES) return Status.BadHeader;
  core.memory.bytes.set(bytes.subarray(0, CURSOR_SLOT_BYTES), SCRATCH_OFFSET);
  const status = core.exports.checkCursor(SCRATCH_OFFSET);
  if (status !== Status.Ok) return status;
  const fields = new Fields(bytes);
  const nameBytes = fields.u32(CursorSlot.nameBytes);
  if (nameBytes > CURSOR_NAME_BYTES_MAX) return Status.BadHeader;
  return {
    storeIdLow: fields.big(CursorSlot.storeIdLow),
    storeIdHigh: fields.big(CursorSlot.storeIdHigh),
    name: bytes.slice(CursorSlot.name, CursorSlot.name + nameBytes),
    sequence: fields.u64(CursorSlot.sequence),
    lsn: fields.u64(CursorSlot.lsn),
    epoch: fields.u32(CursorSlot.epoch),
    savedAt: fields.u64(CursorSlot.savedAt),
  };
}
