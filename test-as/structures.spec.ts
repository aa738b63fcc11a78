/**
 * The fixed structures: header, footer, the groups of CONTROL, the slots of cursors. What each checksum covers, what
 * each check says, and that a torn update of the marks leaves the older ones.
 */
import { FORMAT_VERSION } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import {
  CONTROL_COMMITTED_OFFSET, CONTROL_MARKS_OFFSET, CONTROL_MARKS_STRIDE, CONTROL_WAKE_OFFSET, CONTROL_WRITER_OFFSET,
  Control, ControlCommitted, ControlMarks, ControlWriter,
} from '../assembly/layout/control';
import { CURSOR_SLOT_BYTES, CursorSlot } from '../assembly/layout/cursor';
import { SegmentFooter, SegmentHeader } from '../assembly/layout/segment';
import {
  bump, checkControl, checkCursor, checkFooter, checkHeader, checkWriter, loadWord, newestMarks, sealControl,
  sealCursor, sealFooter, sealHeader, sealWriter, storeWord, writeMarks,
} from '../assembly/record/structures';
import { CONTROL, SPARE, flip, referenceCrc } from './support/segment';

const AT: usize = SPARE;
const MARKS_A: usize = CONTROL + CONTROL_MARKS_OFFSET;
const MARKS_B: usize = MARKS_A + CONTROL_MARKS_STRIDE;

function pattern(at: usize, bytes: u32): void {
  for (let i: u32 = 0; i < bytes; i++) store<u8>(at + i, <u8>(i * 37 + 11));
}

function header(): void {
  memory.fill(AT, 0, 4096);
  pattern(AT, offsetof<SegmentHeader>());
  changetype<SegmentHeader>(AT).incompatible = 0;
  sealHeader(AT);
}

function footer(): void {
  memory.fill(AT, 0, 4096);
  pattern(AT, offsetof<SegmentFooter>());
  sealFooter(AT);
}

function control(): void {
  memory.fill(CONTROL, 0, 4096);
  pattern(CONTROL, offsetof<Control>());
  changetype<Control>(CONTROL).incompatible = 0;
  sealControl(CONTROL);
}

function cursor(): void {
  memory.fill(AT, 0, 4096);
  pattern(AT, CURSOR_SLOT_BYTES);
  changetype<CursorSlot>(AT).incompatible = 0;
  sealCursor(AT);
}

/** Writes the n-th marks: all fields follow from n. */
function marks(n: u32): void {
  writeMarks(CONTROL, <f64>n * 1000000000000, <f64>n * 3000000000000, n, n & 1, n + 5);
}

function sequenceAt(at: usize): u64 {
  return changetype<ControlMarks>(at).sequence;
}

crcInit();

describe('a segment header', () => {
  it('is valid when sealed, with magic, version and the checksum of all behind it', () => {
    header();
    expect(checkHeader(AT)).toBe(Status.Ok);
    expect(load<u64>(AT)).toBe(0x4745534556524156);
    expect(changetype<SegmentHeader>(AT).version).toBe(FORMAT_VERSION);
    expect(changetype<SegmentHeader>(AT).crc).toBe(referenceCrc(0, AT + 12, 76));
  });

  it('shows every flipped bit', () => {
    header();
    let missed = 0;
    for (let bit: u32 = 0; bit < offsetof<SegmentHeader>() * 8; bit++) {
      flip(AT, bit);
      if (checkHeader(AT) != (bit < 64 ? Status.BadMagic : Status.BadHeader)) missed++;
      flip(AT, bit);
    }
    expect(missed).toBe(0);
    expect(checkHeader(AT)).toBe(Status.Ok);
  });

  it('does not depend on the rest of its page', () => {
    header();
    store<u8>(AT + offsetof<SegmentHeader>(), 1);
    expect(checkHeader(AT)).toBe(Status.Ok);
  });

  it('is of a newer version only where its checksum is right', () => {
    header();
    changetype<SegmentHeader>(AT).version = FORMAT_VERSION + 1;
    expect(checkHeader(AT)).toBe(Status.BadHeader);
    changetype<SegmentHeader>(AT).crc = referenceCrc(0, AT + 12, 76);
    expect(checkHeader(AT)).toBe(Status.NewerVersion);
    header();
    changetype<SegmentHeader>(AT).incompatible = 1;
    sealHeader(AT);
    expect(checkHeader(AT)).toBe(Status.NewerVersion);
  });

  it('may carry features that a reader need not know', () => {
    header();
    changetype<SegmentHeader>(AT).compatible = 0xffffffff;
    changetype<SegmentHeader>(AT).readOnlyCompatible = 0xffffffff;
    sealHeader(AT);
    expect(checkHeader(AT)).toBe(Status.Ok);
  });

  it('is not what zeros or ones are', () => {
    memory.fill(AT, 0, 4096);
    expect(checkHeader(AT)).toBe(Status.BadMagic);
    expect(checkControl(AT)).toBe(Status.BadMagic);
    expect(checkFooter(AT)).toBe(Status.BadMagic);
    memory.fill(AT, 0xff, 4096);
    expect(checkHeader(AT)).toBe(Status.BadMagic);
    expect(checkFooter(AT)).toBe(Status.BadMagic);
  });
});

describe('a segment footer', () => {
  it('shows every flipped bit but those of the synced word', () => {
    footer();
    expect(checkFooter(AT)).toBe(Status.Ok);
    expect(changetype<SegmentFooter>(AT).crc).toBe(referenceCrc(0, AT + 12, 44));
    let missed = 0;
    for (let bit: u32 = 0; bit < 56 * 8; bit++) {
      flip(AT, bit);
      if (checkFooter(AT) != (bit < 64 ? Status.BadMagic : Status.BadFooter)) missed++;
      flip(AT, bit);
    }
    for (let bit: u32 = 56 * 8; bit < 64 * 8; bit++) {
      flip(AT, bit);
      if (checkFooter(AT) != Status.Ok) missed++;
      flip(AT, bit);
    }
    expect(missed).toBe(0);
  });

  it('keeps its synced word when it is sealed', () => {
    footer();
    changetype<SegmentFooter>(AT).synced = 0x1122334455667788;
    sealFooter(AT);
    expect(changetype<SegmentFooter>(AT).synced).toBe(0x1122334455667788);
  });
});

describe('the identity of CONTROL', () => {
  it('is valid when sealed, and shows every flipped bit', () => {
    control();
    expect(checkControl(CONTROL)).toBe(Status.Ok);
    let missed = 0;
    for (let bit: u32 = 0; bit < 64 * 8; bit++) {
      flip(CONTROL, bit);
      if (checkControl(CONTROL) != (bit < 64 ? Status.BadMagic : Status.BadHeader)) missed++;
      flip(CONTROL, bit);
    }
    expect(missed).toBe(0);
  });

  it('is of a newer version only where its checksum is right', () => {
    control();
    changetype<Control>(CONTROL).version = FORMAT_VERSION + 1;
    expect(checkControl(CONTROL)).toBe(Status.BadHeader);
    changetype<Control>(CONTROL).crc = referenceCrc(0, CONTROL + 12, 52);
    expect(checkControl(CONTROL)).toBe(Status.NewerVersion);
  });

  it('does not depend on the groups behind it', () => {
    control();
    memory.fill(CONTROL + 64, 0xff, 4032);
    expect(checkControl(CONTROL)).toBe(Status.Ok);
  });
});

describe('the writer group', () => {
  it('is valid when sealed, and shows every flipped bit', () => {
    control();
    pattern(CONTROL + CONTROL_WRITER_OFFSET, offsetof<ControlWriter>());
    sealWriter(CONTROL);
    expect(checkWriter(CONTROL)).toBe(Status.Ok);
    let missed = 0;
    for (let bit: u32 = 0; bit < 32 * 8; bit++) {
      flip(CONTROL + CONTROL_WRITER_OFFSET, bit);
      if (checkWriter(CONTROL) != Status.BadHeader) missed++;
      flip(CONTROL + CONTROL_WRITER_OFFSET, bit);
    }
    expect(missed).toBe(0);
    expect(checkControl(CONTROL)).toBe(Status.Ok);
  });

  it('is not what zeros are', () => {
    memory.fill(CONTROL, 0, 4096);
    expect(checkWriter(CONTROL)).toBe(Status.BadHeader);
  });
});

describe('the marks', () => {
  it('are absent on a blank page', () => {
    memory.fill(CONTROL, 0, 4096);
    expect(newestMarks(CONTROL)).toBe(0);
  });

  it('are absent where a copy that was never written has a checksum that fits', () => {
    memory.fill(CONTROL, 0, 4096);
    changetype<ControlMarks>(MARKS_A).crc = referenceCrc(0, MARKS_A + 4, 44);
    expect(newestMarks(CONTROL)).toBe(0);
  });

  it('hold what was written, beyond 32 bits', () => {
    control();
    marks(3);
    const at = changetype<ControlMarks>(newestMarks(CONTROL));
    expect(at.sequence).toBe(1);
    expect(at.durableLsn).toBe(3000000000000);
    expect(at.durablePosition).toBe(9000000000000);
    expect(at.firstLsn).toBe(3);
    expect(at.truncating).toBe(1);
    expect(at.truncateLsn).toBe(8);
  });

  it('go to the two copies in turn, and the newest counts', () => {
    control();
    let wrong = 0;
    let before: usize = 0;
    for (let n: u32 = 1; n <= 20; n++) {
      marks(n);
      const at = newestMarks(CONTROL);
      if (at == before || (at != MARKS_A && at != MARKS_B)) wrong++;
      if (sequenceAt(at) != n || changetype<ControlMarks>(at).firstLsn != n) wrong++;
      if (before != 0 && sequenceAt(before) != n - 1) wrong++;
      before = at;
    }
    expect(wrong).toBe(0);
  });

  it('fall back to the older copy where any bit of the newest is wrong', () => {
    control();
    marks(1);
    const older = newestMarks(CONTROL);
    marks(2);
    const newest = newestMarks(CONTROL);
    let missed = 0;
    for (let bit: u32 = 0; bit < offsetof<ControlMarks>() * 8; bit++) {
      flip(newest, bit);
      if (newestMarks(CONTROL) != older) missed++;
      flip(newest, bit);
      flip(older, bit);
      if (newestMarks(CONTROL) != newest) missed++;
      flip(older, bit);
    }
    expect(missed).toBe(0);
    flip(newest, 9);
    flip(older, 99);
    expect(newestMarks(CONTROL)).toBe(0);
  });

  it('leave the older copy whole at every point of a torn update', () => {
    control();
    marks(1);
    marks(2);
    memory.copy(SPARE, CONTROL, 4096);
    const two = newestMarks(CONTROL);
    marks(3);
    const three = newestMarks(CONTROL);
    let wrong = 0;
    for (let torn: u32 = 0; torn <= offsetof<ControlMarks>(); torn++) {
      // The first bytes of the update have reached the disk, the others not.
      memory.copy(SPARE + 4096, SPARE, 4096);
      memory.copy(SPARE + 4096 + (three - CONTROL), three, torn);
      const found = newestMarks(SPARE + 4096) - (SPARE + 4096) + CONTROL;
      const same = memory.compare(SPARE + 4096 + (three - CONTROL), three, offsetof<ControlMarks>()) == 0;
      if (found != (same ? three : two)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('overwrite the damaged copy first', () => {
    control();
    marks(1);
    marks(2);
    const newest = newestMarks(CONTROL);
    flip(newest, 50);
    marks(3);
    expect(newestMarks(CONTROL)).toBe(newest);
    expect(sequenceAt(newest)).toBe(2);
    expect(changetype<ControlMarks>(newest).firstLsn).toBe(3);
  });

  it('tell readers the durable and the first LSN, and leave watermark and generation alone', () => {
    control();
    const committed = changetype<ControlCommitted>(CONTROL + CONTROL_COMMITTED_OFFSET);
    pattern(CONTROL + CONTROL_COMMITTED_OFFSET, offsetof<ControlCommitted>());
    const lsn = committed.lsn;
    const position = committed.position;
    const generation = committed.generation;
    marks(4);
    expect(committed.durableLsn).toBe(changetype<ControlMarks>(newestMarks(CONTROL)).durableLsn);
    expect(committed.firstLsn).toBe(4);
    expect(committed.lsn).toBe(lsn);
    expect(committed.position).toBe(position);
    expect(committed.generation).toBe(generation);
  });
});

describe('a cursor slot', () => {
  it('is valid when sealed, with magic, version and the checksum of all behind it, the name included', () => {
    cursor();
    expect(checkCursor(AT)).toBe(Status.Ok);
    expect(load<u64>(AT)).toBe(0x5255434556524156);
    expect(changetype<CursorSlot>(AT).version).toBe(FORMAT_VERSION);
    expect(changetype<CursorSlot>(AT).crc).toBe(referenceCrc(0, AT + 12, 124));
    expect(CURSOR_SLOT_BYTES).toBe(136);
  });

  it('shows every flipped bit, and does not depend on what lies behind it', () => {
    cursor();
    let missed = 0;
    for (let bit: u32 = 0; bit < CURSOR_SLOT_BYTES * 8; bit++) {
      flip(AT, bit);
      if (checkCursor(AT) != (bit < 64 ? Status.BadMagic : Status.BadHeader)) missed++;
      flip(AT, bit);
    }
    expect(missed).toBe(0);
    store<u8>(AT + CURSOR_SLOT_BYTES, 1);
    expect(checkCursor(AT)).toBe(Status.Ok);
  });

  it('is of a newer version only where its checksum is right', () => {
    cursor();
    changetype<CursorSlot>(AT).version = FORMAT_VERSION + 1;
    expect(checkCursor(AT)).toBe(Status.BadHeader);
    changetype<CursorSlot>(AT).crc = referenceCrc(0, AT + 12, 124);
    expect(checkCursor(AT)).toBe(Status.NewerVersion);
    cursor();
    changetype<CursorSlot>(AT).incompatible = 1;
    sealCursor(AT);
    expect(checkCursor(AT)).toBe(Status.NewerVersion);
  });

  it('is not what zeros are, nor another structure', () => {
    memory.fill(AT, 0, 4096);
    expect(checkCursor(AT)).toBe(Status.BadMagic);
    header();
    expect(checkCursor(AT)).toBe(Status.BadMagic);
    cursor();
    expect(checkHeader(AT)).toBe(Status.BadMagic);
  });
});

describe('words', () => {
  it('are stored and loaded exactly up to 2^53 - 1', () => {
    const values: f64[] = [0, 1, 4294967295, 4294967296, 9007199254740991];
    for (let i = 0; i < values.length; i++) {
      storeWord(SPARE + 8, values[i]);
      expect(loadWord(SPARE + 8)).toBe(values[i]);
      expect(load<u64>(SPARE + 8)).toBe(<u64>values[i]);
    }
  });

  it('of the wake group rise by one and overflow to zero', () => {
    memory.fill(CONTROL, 0, 4096);
    bump(CONTROL + CONTROL_WAKE_OFFSET);
    bump(CONTROL + CONTROL_WAKE_OFFSET);
    expect(load<u32>(CONTROL + CONTROL_WAKE_OFFSET)).toBe(2);
    store<u32>(CONTROL + CONTROL_WAKE_OFFSET, 0xffffffff);
    store<u32>(CONTROL + CONTROL_WAKE_OFFSET + 4, 0);
    bump(CONTROL + CONTROL_WAKE_OFFSET);
    expect(load<u64>(CONTROL + CONTROL_WAKE_OFFSET)).toBe(0);
  });
});
