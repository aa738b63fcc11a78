/**
 * The own header of typed stores and what recovery does to records: what each checksum covers, what each check says,
 * and that nothing but what is meant is written.
 */
import { FORMAT_VERSION } from '../assembly/abi/limits';
import { Status } from '../assembly/abi/status';
import { crcInit } from '../assembly/crc/crc32c';
import { TYPED_FEATURE_RING, TYPED_FEATURES, TYPED_WRITER_OFFSET, TypedHeader, TypedWriter } from '../assembly/layout/typed-header';
import { checkTyped, checkTypedWriter, raiseWord, sealTyped, sealTypedWriter } from '../assembly/sync/header';
import { clearWords, resetNext } from '../assembly/sync/recover';
import { SPARE, flip } from './support/segment';

const AT: usize = SPARE;
const STRIDE: u32 = 40;

function header(): void {
  memory.fill(AT, 0, 4096);
  for (let i: u32 = 0; i < <u32>offsetof<TypedHeader>(); i++) store<u8>(AT + i, <u8>(i * 37 + 11));
  changetype<TypedHeader>(AT).incompatible = 0;
  sealTyped(AT);
  changetype<TypedWriter>(AT + TYPED_WRITER_OFFSET).epoch = 7;
  sealTypedWriter(AT);
}

describe('the own header', () => {
  beforeAll(() => { crcInit(); });
  beforeEach(() => { header(); });

  test('is valid as it was sealed', () => {
    expect(checkTyped(AT)).toBe(Status.Ok);
    expect(checkTypedWriter(AT)).toBe(Status.Ok);
    expect(changetype<TypedHeader>(AT).version).toBe(FORMAT_VERSION);
  });

  test('is damaged when any byte of the identity changes, and by none behind it', () => {
    for (let i: usize = 0; i < offsetof<TypedHeader>(); i++) {
      flip(AT + i, 3);
      expect(checkTyped(AT)).toBe(i < 8 ? Status.BadMagic : Status.BadHeader);
      flip(AT + i, 3);
    }
    flip(AT + offsetof<TypedHeader>(), 3);
    expect(checkTyped(AT)).toBe(Status.Ok);
  });

  test('has a writer group that is damaged by any of its bytes', () => {
    for (let i: usize = 0; i < offsetof<TypedWriter>(); i++) {
      flip(AT + TYPED_WRITER_OFFSET + i, 5);
      expect(checkTypedWriter(AT)).toBe(Status.BadHeader);
      flip(AT + TYPED_WRITER_OFFSET + i, 5);
    }
    expect(checkTypedWriter(AT)).toBe(Status.Ok);
  });

  test('is of a later version where it names a feature that is not known', () => {
    for (let bit: u32 = 0; bit < 32; bit++) {
      changetype<TypedHeader>(AT).incompatible = (1 << bit) | TYPED_FEATURE_RING;
      sealTyped(AT);
      expect(checkTyped(AT)).toBe(bit < 3 ? Status.Ok : Status.NewerVersion);
    }
    changetype<TypedHeader>(AT).incompatible = TYPED_FEATURES;
    sealTyped(AT);
    expect(checkTyped(AT)).toBe(Status.Ok);
  });

  test('has words that only rise', () => {
    store<u64>(AT, 0);
    raiseWord(AT, 9007199254740991);
    expect(load<u64>(AT)).toBe(9007199254740991);
    raiseWord(AT, 64);
    expect(load<u64>(AT)).toBe(9007199254740991);
  });
});

describe('recovery of records', () => {
  test('finds each odd stamp once and changes nothing else', () => {
    memory.fill(AT, 0, 4096);
    for (let i: u32 = 0; i < 10; i++) store<u64>(AT + i * STRIDE, <u64>(i % 4 == 3 ? 2 * i + 1 : 2 * i));
    store<u64>(AT + 10 * STRIDE, 1);
    expect(resetNext(AT, STRIDE, 0, 10)).toBe(3);
    expect(resetNext(AT, STRIDE, 4, 10)).toBe(7);
    expect(resetNext(AT, STRIDE, 8, 10)).toBe(10);
    expect(resetNext(AT, STRIDE, 0, 10)).toBe(10);
    for (let i: u32 = 0; i < 10; i++) expect(load<u64>(AT + i * STRIDE)).toBe(<u64>(i % 4 == 3 ? 2 * i + 2 : 2 * i));
    expect(load<u64>(AT + 10 * STRIDE)).toBe(1, 'behind the count');
  });

  test('clears what is not zero within the range, and counts it', () => {
    memory.fill(AT, 0, 256);
    store<u64>(AT, 1);
    store<u64>(AT + 8, 2);
    store<u8>(AT + 127, 3);
    store<u64>(AT + 128, 4);
    expect(clearWords(AT + 8, AT + 128)).toBe(2);
    expect(clearWords(AT + 8, AT + 128)).toBe(0);
    expect(load<u64>(AT)).toBe(1);
    expect(load<u64>(AT + 128)).toBe(4);
  });
});
