/**
 * One frame: each way in which it can be invalid, at each boundary; what the checksum covers; what sealing writes.
 */
import { KEY_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { FRAME_SIZE_MAX, Frame, INFO_FLAGS_SHIFT } from '../assembly/layout/frame';
import { checkFrame, checkShape, sealFrame } from '../assembly/record/frame';
import { BASE, EPOCH, SALT, fillBody, flip, putFrame, referenceCrc, reseal } from './support/segment';

const AT: usize = BASE;
const ROOM: u32 = 1024;
const LSN: u32 = 77;

/** Writes a valid frame and surrounds it by zeros; returns its bytes with padding. */
function put(keyBytes: u32, payloadBytes: u32): u32 {
  memory.fill(AT, 0, ROOM);
  fillBody(AT + 24, LSN, keyBytes + payloadBytes);
  return putFrame(AT, 24 + keyBytes + payloadBytes, 1 << 24 | keyBytes, LSN, 4096, EPOCH, SALT);
}

function check(room: u32): Status {
  return checkFrame(AT, room, LSN, SALT);
}

/** Gives a frame without a body a size and a key length, whatever the checksum. */
function shape(size: u32, keyBytes: u32, room: u32): Status {
  memory.fill(AT, 0, ROOM);
  store<u64>(AT, <u64>size << 32 | 1);
  changetype<Frame>(AT).info = keyBytes;
  return checkShape(AT, room);
}

crcInit();

describe('checking a frame', () => {
  it('takes valid frames of every size and key length', () => {
    let wrong = 0;
    for (let body: u32 = 0; body <= 80; body++) {
      for (let key: u32 = 0; key <= body; key += 5) {
        const stride = put(key, body - key);
        if (check(stride) != Status.Ok || check(ROOM) != Status.Ok) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('takes eight zero bytes for nothing, whatever follows', () => {
    put(3, 40);
    store<u64>(AT, 0);
    expect(check(ROOM)).toBe(Status.Absent);
    memory.fill(AT, 0, ROOM);
    expect(check(ROOM)).toBe(Status.Absent);
  });

  it('takes less room than a header for nothing where it is zeros, else for a frame cut short', () => {
    let wrong = 0;
    for (let room: u32 = 0; room < 24; room++) {
      memory.fill(AT, 0, ROOM);
      if (check(room) != Status.Absent) wrong++;
      put(0, 0);
      if (check(room) != (room < 8 ? Status.Absent : Status.Truncated)) wrong++;
    }
    expect(wrong).toBe(0);
    expect(check(24)).toBe(Status.Ok);
  });

  it('refuses every size below a header', () => {
    let wrong = 0;
    for (let size: u32 = 0; size < 24; size++) if (shape(size, 0, ROOM) != Status.BadSize) wrong++;
    expect(wrong).toBe(0);
    expect(shape(24, 0, ROOM)).toBe(Status.Ok);
  });

  it('refuses sizes beyond the largest frame', () => {
    const all: u32 = 0xffffffff;
    // No byte of the body is read before the checksum, so the room may be a claim.
    expect(shape(FRAME_SIZE_MAX, KEY_BYTES_MAX, all)).toBe(Status.Ok);
    expect(shape(FRAME_SIZE_MAX + 1, KEY_BYTES_MAX, all)).toBe(Status.BadSize);
    expect(shape(all, 0, all)).toBe(Status.BadSize);
    expect(shape(0x80000000, 0, all)).toBe(Status.BadSize);
  });

  it('refuses a payload above 64 MiB', () => {
    const all: u32 = 0xffffffff;
    expect(shape(24 + PAYLOAD_BYTES_MAX, 0, all)).toBe(Status.Ok);
    expect(shape(24 + PAYLOAD_BYTES_MAX + 8, 0, all)).toBe(Status.BadSize);
    expect(shape(24 + PAYLOAD_BYTES_MAX + 8, 7, all)).toBe(Status.BadSize);
    expect(shape(24 + PAYLOAD_BYTES_MAX + 8, 8, all)).toBe(Status.Ok);
  });

  it('refuses a key above 64 KiB', () => {
    const all: u32 = 0xffffffff;
    expect(shape(24 + KEY_BYTES_MAX, KEY_BYTES_MAX, all)).toBe(Status.Ok);
    expect(shape(24 + KEY_BYTES_MAX + 8, KEY_BYTES_MAX + 1, all)).toBe(Status.BadSize);
    expect(shape(24 + 0x20000, 0x1ffff, all)).toBe(Status.BadSize);
  });

  it('refuses a key that is longer than the body', () => {
    expect(shape(24, 1, ROOM)).toBe(Status.BadSize);
    expect(shape(32, 8, ROOM)).toBe(Status.Ok);
    expect(shape(32, 9, ROOM)).toBe(Status.BadSize);
    expect(shape(32, 0x1ffff, ROOM)).toBe(Status.BadSize);
  });

  it('calls a frame that reaches beyond the data cut short', () => {
    let wrong = 0;
    for (let body: u32 = 0; body <= 24; body++) {
      const stride = put(0, body);
      for (let room: u32 = 24; room < stride; room++) if (check(room) != Status.Truncated) wrong++;
      if (check(stride) != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('refuses every flag but More', () => {
    for (let flag: u32 = 0; flag < 7; flag++) {
      put(2, 9);
      changetype<Frame>(AT).info |= 1 << (INFO_FLAGS_SHIFT + flag);
      reseal(AT, SALT);
      expect(check(ROOM)).toBe(flag == 0 ? Status.Ok : Status.BadSize);
    }
  });

  it('takes every kind', () => {
    let wrong = 0;
    for (let kind: u32 = 0; kind < 256; kind++) {
      put(2, 9);
      changetype<Frame>(AT).info = kind << 24 | 2;
      reseal(AT, SALT);
      if (check(ROOM) != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('finds any byte in the padding', () => {
    let wrong = 0;
    for (let body: u32 = 1; body <= 16; body++) {
      const stride = put(0, body);
      for (let at: u32 = 24 + body; at < stride; at++) {
        store<u8>(AT + at, 1);
        if (check(ROOM) != Status.BadCrc) wrong++;
        store<u8>(AT + at, 0);
      }
      if (check(ROOM) != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('finds every single flipped bit', () => {
    let missed = 0;
    for (let body: u32 = 0; body <= 40; body += 13) {
      const stride = put(body / 3, body - body / 3);
      for (let bit: u32 = 0; bit < stride * 8; bit++) {
        flip(AT, bit);
        if (check(ROOM) == Status.Ok) missed++;
        flip(AT, bit);
      }
      if (check(ROOM) != Status.Ok) missed++;
    }
    expect(missed).toBe(0);
  });

  it('covers the length by the checksum', () => {
    put(0, 16);
    store<u8>(AT + 24 + 15, 0);
    reseal(AT, SALT);
    expect(check(ROOM)).toBe(Status.Ok);
    // A byte less, and that byte looks like padding; a byte more, and a zero behind the frame looks like payload.
    changetype<Frame>(AT).size = 39;
    expect(check(ROOM)).toBe(Status.BadCrc);
    changetype<Frame>(AT).size = 41;
    expect(check(ROOM)).toBe(Status.BadCrc);
  });

  it('refuses a frame of another salt', () => {
    put(4, 20);
    for (let bit = 0; bit < 32; bit++) expect(checkFrame(AT, ROOM, LSN, SALT ^ (1 << bit))).toBe(Status.BadCrc);
    expect(checkFrame(AT, ROOM, LSN, 0)).toBe(Status.BadCrc);
  });

  it('refuses a valid frame of another LSN, but says of a damaged one that it is damaged', () => {
    put(4, 20);
    expect(checkFrame(AT, ROOM, LSN + 1, SALT)).toBe(Status.BadLsn);
    expect(checkFrame(AT, ROOM, LSN - 1, SALT)).toBe(Status.BadLsn);
    flip(AT, 8 * 30);
    expect(checkFrame(AT, ROOM, LSN + 1, SALT)).toBe(Status.BadCrc);
  });
});

describe('sealing a frame', () => {
  it('gives a word that makes the frame valid, with the reference checksum', () => {
    let wrong = 0;
    for (let body: u32 = 0; body <= 40; body++) {
      memory.fill(AT, 0xff, ROOM);
      const word = sealFrame(AT, 24 + body, 2 << 24, LSN, 8192, EPOCH, SALT);
      if (<u32>(word >> 32) != 24 + body || <u32>word != referenceCrc(SALT, AT + 4, 20 + body)) wrong++;
      store<u64>(AT, word);
      if (check(ROOM) != Status.Ok) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('fills the header and leaves the checksum alone until the word is stored', () => {
    memory.fill(AT, 0xff, ROOM);
    sealFrame(AT, 30, 5 << 24 | 2, LSN, 4104, EPOCH, SALT);
    const frame = changetype<Frame>(AT);
    expect(frame.crc).toBe(0xffffffff);
    expect(frame.size).toBe(30);
    expect(frame.lsn).toBe(LSN);
    expect(frame.durable).toBe(4104);
    expect(frame.epoch).toBe(EPOCH);
    expect(frame.info).toBe(5 << 24 | 2);
  });

  it('clears dirty padding and touches nothing else of the body', () => {
    let wrong = 0;
    for (let body: u32 = 0; body <= 24; body++) {
      memory.fill(AT, 0xff, ROOM);
      sealFrame(AT, 24 + body, 0, LSN, 0, EPOCH, SALT);
      const stride: u32 = (24 + body + 7) & ~7;
      for (let at: u32 = 24; at < 80; at++) {
        if (load<u8>(AT + at) != (at >= 24 + body && at < stride ? 0 : 0xff)) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });
});
