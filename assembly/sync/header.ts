/**
 * The headers of typed stores: checksums of the own one, and the live words that both have. The host fills in the
 * fields by the generated offsets; magic, version and checksum are this file's. docs/format.md, "Typed store, own
 * header".
 */
import { FORMAT_VERSION } from '../abi/limits';
import { Status } from '../abi/status';
import { crc32c } from '../crc/crc32c';
import { TYPED_FEATURES, TYPED_MAGIC, TYPED_WRITER_OFFSET, TypedHeader, TypedWriter } from '../layout/typed-header';

/** Returns the checksum of [at + from, at + to). */
@inline
function crcOf(at: usize, from: usize, to: usize): u32 {
  return crc32c(0, at + from, <u32>(to - from));
}

@inline
function identityCrc(at: usize): u32 {
  return crcOf(at, offsetof<TypedHeader>('version'), offsetof<TypedHeader>());
}

@inline
function writerCrc(at: usize): u32 {
  return crcOf(at, offsetof<TypedWriter>('epoch'), offsetof<TypedWriter>());
}

/** Completes the identity of the header at `at`. */
export function sealTyped(at: usize): void {
  const header = changetype<TypedHeader>(at);
  header.magic = TYPED_MAGIC;
  header.version = FORMAT_VERSION;
  header.crc = identityCrc(at);
}

/**
 * Checks the identity of the header at `at`, 120 readable bytes.
 *
 * @returns `Ok`, `BadMagic`, `BadHeader` or, only where the checksum is right, `NewerVersion`
 */
export function checkTyped(at: usize): Status {
  const header = changetype<TypedHeader>(at);
  if (header.magic != TYPED_MAGIC) return Status.BadMagic;
  if (header.crc != identityCrc(at)) return Status.BadHeader;
  const isKnown = header.version <= FORMAT_VERSION && (header.incompatible & ~TYPED_FEATURES) == 0;
  return isKnown ? Status.Ok : Status.NewerVersion;
}

/** Completes the writer group of the header at `header`. */
export function sealTypedWriter(header: usize): void {
  const at = header + TYPED_WRITER_OFFSET;
  changetype<TypedWriter>(at).crc = writerCrc(at);
}

/** Checks the writer group of the header at `header`. Returns `Ok` or `BadHeader`. */
export function checkTypedWriter(header: usize): Status {
  const at = header + TYPED_WRITER_OFFSET;
  return changetype<TypedWriter>(at).crc == writerCrc(at) ? Status.Ok : Status.BadHeader;
}

/** Raises the 64-bit word at `at`, a multiple of 8, to `value`, atomically; a higher one stays. */
export function raiseWord(at: usize, value: f64): void {
  const wanted = <u64>value;
  for (;;) {
    const now = atomic.load<u64>(at);
    if (now >= wanted || atomic.cmpxchg<u64>(at, now, wanted) == now) return;
  }
}
