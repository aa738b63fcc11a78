/**
 * Header and footer of a checkpoint file: where the fields stand, what each checksum covers, what each check says.
 */
import { FORMAT_VERSION } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { CheckpointCore, CheckpointFooter, CheckpointHeader } from '../assembly/layout/checkpoint';
import {
  checkCheckpoint, checkCheckpointFooter, sealCheckpoint, sealCheckpointFooter,
} from '../assembly/record/checkpoint';
import { checkFooter, checkHeader } from '../assembly/record/structures';
import { SPARE, flip, referenceCrc } from './support/segment';

const AT: usize = SPARE;
const HEADER_BYTES: u32 = 80;
const FOOTER_BYTES: u32 = 40;

function pattern(bytes: u32): void {
  memory.fill(AT, 0, 4096);
  for (let i: u32 = 0; i < bytes; i++) store<u8>(AT + i, <u8>(i * 37 + 11));
}

function header(): void {
  pattern(HEADER_BYTES);
  changetype<CheckpointHeader>(AT).incompatible = 0;
  sealCheckpoint(AT);
}

function footer(): void {
  pattern(FOOTER_BYTES);
  sealCheckpointFooter(AT);
}

crcInit();

describe('the header of a checkpoint', () => {
  it('has its fields where the format says', () => {
    expect(offsetof<CheckpointHeader>()).toBe(HEADER_BYTES);
    expect(offsetof<CheckpointHeader>('cores')).toBe(28);
    expect(offsetof<CheckpointHeader>('groupIdLow')).toBe(32);
    expect(offsetof<CheckpointHeader>('id')).toBe(48);
    expect(offsetof<CheckpointHeader>('epoch')).toBe(56);
    expect(offsetof<CheckpointHeader>('commitBytes')).toBe(72);
    expect(offsetof<CheckpointHeader>('partsCrc')).toBe(76);
    expect(offsetof<CheckpointCore>('position')).toBe(8);
  });

  it('is valid when sealed, with magic, version and the checksum of all behind it', () => {
    header();
    expect(checkCheckpoint(AT)).toBe(Status.Ok);
    expect(load<u64>(AT)).toBe(0x4b48434556524156);
    expect(changetype<CheckpointHeader>(AT).version).toBe(FORMAT_VERSION);
    expect(changetype<CheckpointHeader>(AT).crc).toBe(referenceCrc(0, AT + 12, 68));
  });

  it('shows every flipped bit, and does not depend on what lies behind it', () => {
    header();
    let missed = 0;
    for (let bit: u32 = 0; bit < HEADER_BYTES * 8; bit++) {
      flip(AT, bit);
      if (checkCheckpoint(AT) != (bit < 64 ? Status.BadMagic : Status.BadHeader)) missed++;
      flip(AT, bit);
    }
    expect(missed).toBe(0);
    store<u8>(AT + HEADER_BYTES, 1);
    expect(checkCheckpoint(AT)).toBe(Status.Ok);
  });

  it('is of a newer version only where its checksum is right', () => {
    header();
    changetype<CheckpointHeader>(AT).version = FORMAT_VERSION + 1;
    expect(checkCheckpoint(AT)).toBe(Status.BadHeader);
    changetype<CheckpointHeader>(AT).crc = referenceCrc(0, AT + 12, 68);
    expect(checkCheckpoint(AT)).toBe(Status.NewerVersion);
    header();
    changetype<CheckpointHeader>(AT).incompatible = 1;
    sealCheckpoint(AT);
    expect(checkCheckpoint(AT)).toBe(Status.NewerVersion);
    header();
    changetype<CheckpointHeader>(AT).compatible = 0xffffffff;
    changetype<CheckpointHeader>(AT).readOnlyCompatible = 0xffffffff;
    sealCheckpoint(AT);
    expect(checkCheckpoint(AT)).toBe(Status.Ok);
  });
});

describe('the footer of a checkpoint', () => {
  it('is valid when sealed, with magic and the checksum of all behind it', () => {
    footer();
    expect(checkCheckpointFooter(AT)).toBe(Status.Ok);
    expect(load<u64>(AT)).toBe(0x464b434556524156);
    expect(changetype<CheckpointFooter>(AT).crc).toBe(referenceCrc(0, AT + 12, 28));
    expect(offsetof<CheckpointFooter>()).toBe(FOOTER_BYTES);
    expect(offsetof<CheckpointFooter>('stateBytes')).toBe(16);
    expect(offsetof<CheckpointFooter>('headerCrc')).toBe(32);
  });

  it('shows every flipped bit, and does not depend on what lies behind it', () => {
    footer();
    let missed = 0;
    for (let bit: u32 = 0; bit < FOOTER_BYTES * 8; bit++) {
      flip(AT, bit);
      if (checkCheckpointFooter(AT) != Status.BadFooter) missed++;
      flip(AT, bit);
    }
    expect(missed).toBe(0);
    store<u8>(AT + FOOTER_BYTES, 1);
    expect(checkCheckpointFooter(AT)).toBe(Status.Ok);
  });
});

describe('header and footer of a checkpoint', () => {
  it('are not what zeros or ones are, nor other structures', () => {
    memory.fill(AT, 0, 4096);
    expect(checkCheckpoint(AT)).toBe(Status.BadMagic);
    expect(checkCheckpointFooter(AT)).toBe(Status.BadFooter);
    memory.fill(AT, 0xff, 4096);
    expect(checkCheckpoint(AT)).toBe(Status.BadMagic);
    expect(checkCheckpointFooter(AT)).toBe(Status.BadFooter);
    header();
    expect(checkCheckpointFooter(AT)).toBe(Status.BadFooter);
    expect(checkHeader(AT)).toBe(Status.BadMagic);
    footer();
    expect(checkCheckpoint(AT)).toBe(Status.BadMagic);
    expect(checkFooter(AT)).toBe(Status.BadMagic);
  });
});
