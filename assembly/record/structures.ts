/**
 * The fixed structures of a store: segment header and footer, the groups of CONTROL, the slots of a cursor, the
 * identity of a group. The host fills in the fields by the generated offsets; magic, version and checksum are this
 * file's. docs/format.md, "Segment", "CONTROL", "Cursor" and "GROUP".
 *
 * Each `seal` is called when all other fields stand; each `check` reads nothing beyond the structure.
 */
import { FORMAT_VERSION } from '../abi/limits';
import { Status } from '../abi/status';
import {
  CONTROL_COMMITTED_OFFSET, CONTROL_MAGIC, CONTROL_MARKS_OFFSET, CONTROL_MARKS_STRIDE, CONTROL_WRITER_OFFSET, Control,
  ControlCommitted, ControlMarks, ControlWriter,
} from '../layout/control';
import { CURSOR_MAGIC, CURSOR_SLOT_BYTES, CursorSlot } from '../layout/cursor';
import { GROUP_MAGIC, GroupIdentity } from '../layout/group';
import { FOOTER_MAGIC, SEGMENT_MAGIC, SegmentFooter, SegmentHeader } from '../layout/segment';
import { crc32c } from '../crc/crc32c';

/** Returns the checksum of [at + from, at + to). */
@inline
export function crcOf(at: usize, from: usize, to: usize): u32 {
  return crc32c(0, at + from, <u32>(to - from));
}

/** Returns the status of a structure's version and features, none of which are known so far. */
@inline
export function checkVersion(version: u32, incompatible: u32): Status {
  return version > FORMAT_VERSION || incompatible != 0 ? Status.NewerVersion : Status.Ok;
}

/** Completes the segment header at `at`. */
export function sealHeader(at: usize): void {
  const header = changetype<SegmentHeader>(at);
  header.magic = SEGMENT_MAGIC;
  header.version = FORMAT_VERSION;
  header.crc = crcOf(at, offsetof<SegmentHeader>('version'), offsetof<SegmentHeader>());
}

/**
 * Checks the segment header at `at`, 88 readable bytes.
 *
 * @returns `Ok`, `BadMagic`, `BadHeader` or, only where the checksum is right, `NewerVersion`
 */
export function checkHeader(at: usize): Status {
  const header = changetype<SegmentHeader>(at);
  if (header.magic != SEGMENT_MAGIC) return Status.BadMagic;
  if (header.crc != crcOf(at, offsetof<SegmentHeader>('version'), offsetof<SegmentHeader>())) return Status.BadHeader;
  return checkVersion(header.version, header.incompatible);
}

/** Completes the segment footer at `at`; its `synced` word stays as it is. */
export function sealFooter(at: usize): void {
  const footer = changetype<SegmentFooter>(at);
  footer.magic = FOOTER_MAGIC;
  footer.crc = crcOf(at, offsetof<SegmentFooter>('salt'), offsetof<SegmentFooter>('synced'));
}

/** Checks the segment footer at `at`, 64 readable bytes. Returns `Ok`, `BadMagic` or `BadFooter`. */
export function checkFooter(at: usize): Status {
  const footer = changetype<SegmentFooter>(at);
  if (footer.magic != FOOTER_MAGIC) return Status.BadMagic;
  const crc = crcOf(at, offsetof<SegmentFooter>('salt'), offsetof<SegmentFooter>('synced'));
  return footer.crc == crc ? Status.Ok : Status.BadFooter;
}

/** Completes the identity of the control page at `at`. */
export function sealControl(at: usize): void {
  const control = changetype<Control>(at);
  control.magic = CONTROL_MAGIC;
  control.version = FORMAT_VERSION;
  control.crc = crcOf(at, offsetof<Control>('version'), offsetof<Control>());
}

/** Checks the identity of the control page at `at`. Returns as `checkHeader` does. */
export function checkControl(at: usize): Status {
  const control = changetype<Control>(at);
  if (control.magic != CONTROL_MAGIC) return Status.BadMagic;
  if (control.crc != crcOf(at, offsetof<Control>('version'), offsetof<Control>())) return Status.BadHeader;
  return checkVersion(control.version, control.incompatible);
}

/** Completes the writer group of the control page at `control`. */
export function sealWriter(control: usize): void {
  const at = control + CONTROL_WRITER_OFFSET;
  changetype<ControlWriter>(at).crc = crcOf(at, offsetof<ControlWriter>('epoch'), offsetof<ControlWriter>());
}

/** Checks the writer group of the control page at `control`. Returns `Ok` or `BadHeader`. */
export function checkWriter(control: usize): Status {
  const at = control + CONTROL_WRITER_OFFSET;
  const crc = crcOf(at, offsetof<ControlWriter>('epoch'), offsetof<ControlWriter>());
  return changetype<ControlWriter>(at).crc == crc ? Status.Ok : Status.BadHeader;
}

/** Whether the marks at `at` are valid; marks that were never written are not. */
@inline
function validMarks(at: usize): bool {
  const marks = changetype<ControlMarks>(at);
  return marks.sequence != 0
    && marks.crc == crcOf(at, offsetof<ControlMarks>('truncating'), offsetof<ControlMarks>());
}

/** Returns the address of the newest valid marks of the control page, or 0 where neither copy is valid. */
export function newestMarks(control: usize): usize {
  const a = control + CONTROL_MARKS_OFFSET;
  const b = a + CONTROL_MARKS_STRIDE;
  const aValid = validMarks(a);
  const bValid = validMarks(b);
  if (aValid && bValid) return changetype<ControlMarks>(a).sequence > changetype<ControlMarks>(b).sequence ? a : b;
  return aValid ? a : bValid ? b : 0;
}

/**
 * Writes new marks over the older copy.
 *
 * @param truncating 1 while a truncation is under way, with the last LSN that stays in `truncateLsn`
 * Order: the newer copy stays untouched until the other one is whole, so a process or a machine that dies in between
 * leaves valid marks. The words for live readers follow, each by one atomic store.
 */
export function writeMarks(
  control: usize, durableLsn: f64, durablePosition: f64, firstLsn: f64, truncating: u32, truncateLsn: f64,
): void {
  const newest = newestMarks(control);
  const sequence = newest == 0 ? 1 : changetype<ControlMarks>(newest).sequence + 1;
  const at = control + CONTROL_MARKS_OFFSET + <usize>(newest == control + CONTROL_MARKS_OFFSET) * CONTROL_MARKS_STRIDE;
  const marks = changetype<ControlMarks>(at);
  marks.truncating = truncating;
  marks.sequence = sequence;
  marks.durableLsn = <u64>durableLsn;
  marks.durablePosition = <u64>durablePosition;
  marks.firstLsn = <u64>firstLsn;
  marks.truncateLsn = <u64>truncateLsn;
  marks.crc = crcOf(at, offsetof<ControlMarks>('truncating'), offsetof<ControlMarks>());
  const committed = control + CONTROL_COMMITTED_OFFSET;
  atomic.store<u64>(committed + offsetof<ControlCommitted>('durableLsn'), <u64>durableLsn);
  atomic.store<u64>(committed + offsetof<ControlCommitted>('firstLsn'), <u64>firstLsn);
}

/** Completes the cursor slot at `at`, name included. */
export function sealCursor(at: usize): void {
  const slot = changetype<CursorSlot>(at);
  slot.magic = CURSOR_MAGIC;
  slot.version = FORMAT_VERSION;
  slot.crc = crcOf(at, offsetof<CursorSlot>('version'), <usize>CURSOR_SLOT_BYTES);
}

/** Checks the cursor slot at `at`, 136 readable bytes. Returns as `checkHeader` does. */
export function checkCursor(at: usize): Status {
  const slot = changetype<CursorSlot>(at);
  if (slot.magic != CURSOR_MAGIC) return Status.BadMagic;
  if (slot.crc != crcOf(at, offsetof<CursorSlot>('version'), <usize>CURSOR_SLOT_BYTES)) return Status.BadHeader;
  return checkVersion(slot.version, slot.incompatible);
}

/** Completes the identity of a group at `at`. */
export function sealGroup(at: usize): void {
  const identity = changetype<GroupIdentity>(at);
  identity.magic = GROUP_MAGIC;
  identity.version = FORMAT_VERSION;
  identity.crc = crcOf(at, offsetof<GroupIdentity>('version'), offsetof<GroupIdentity>());
}

/** Checks the identity of a group at `at`, 64 readable bytes. Returns as `checkHeader` does. */
export function checkGroup(at: usize): Status {
  const identity = changetype<GroupIdentity>(at);
  if (identity.magic != GROUP_MAGIC) return Status.BadMagic;
  if (identity.crc != crcOf(at, offsetof<GroupIdentity>('version'), offsetof<GroupIdentity>())) return Status.BadHeader;
  return checkVersion(identity.version, identity.incompatible);
}

/** Loads the 64-bit word at `at`, a multiple of 8, atomically, as a number exact to 2^53 - 1. */
export function loadWord(at: usize): f64 {
  return <f64><i64>atomic.load<u64>(at);
}

/** Stores the number at the 64-bit word at `at`, a multiple of 8, atomically. */
export function storeWord(at: usize, value: f64): void {
  atomic.store<u64>(at, <u64>value);
}

/** Adds one to the 32-bit word at `at`, a multiple of 4, atomically. */
export function bump(at: usize): void {
  atomic.add<u32>(at, 1);
}
