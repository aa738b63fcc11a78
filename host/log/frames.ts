/**
 * Walking the frames of one segment file as they stand, damage included: what host/log/inspect.ts is for segments. It
 * reads through a window, so that its memory is bounded by the largest frame.
 *
 * The checks are those of assembly/record/frame.ts, in the same order; test/inspect.test.ts holds the two together.
 */
import { crc32c } from '../core/crc32c.ts';
import {
  FRAMES_OFFSET, FRAME_CRC_FROM, FRAME_HEADER_BYTES, FRAME_SIZE_MAX, Flag, Frame, INFO_FLAGS_MASK, INFO_FLAGS_SHIFT,
  INFO_KEY_MASK, INFO_KIND_SHIFT, PAYLOAD_BYTES_MAX, Status,
} from '../generated/abi.ts';
import { FileWindow } from '../io/file-window.ts';
import type { StoredFile } from '../io/storage.ts';
import type { SegmentFacts } from './inspect.ts';

/** One thing that stands behind a segment's header. */
export type FramePiece =
  | {
    readonly type: 'frame'; readonly offset: number; readonly lsn: number; readonly kind: number;
    readonly flags: number; readonly keyBytes: number; readonly payloadBytes: number;
    /** Bytes with padding. */
    readonly stride: number;
    /** Header, key and payload. */
    readonly bytes: Uint8Array;
  }
  | {
    readonly type: 'damage'; readonly offset: number; readonly lsn: number; readonly status: number;
    /** Bytes up to the next valid frame, or up to the last byte that is not zero. */
    readonly length: number;
    /** LSN of the next valid frame, where there is one. */
    readonly nextLsn: number | undefined;
    /** The first bytes of it. */
    readonly bytes: Uint8Array;
  };

const EXCERPT_BYTES = 64;
const SEARCH_BYTES = 1 << 20;

class Walk {
  private readonly window: FileWindow;
  private readonly salt: number;
  private readonly baseLsn: number;
  private readonly limit: number;

  constructor(file: StoredFile, segment: SegmentFacts, limit: number) {
    this.window = new FileWindow(file);
    this.salt = segment.header!.salt;
    this.baseLsn = segment.baseLsn;
    this.limit = limit;
  }

  /** Size of the frame at `offset` if it is valid, else a `Status`; LSNs from `lsn` to `lsnMax` are accepted. */
  check(offset: number, lsn: number, lsnMax: number): number {
    const room = this.limit - offset;
    const header = this.window.at(offset, Math.min(FRAME_HEADER_BYTES, room));
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    if (header.length < FRAME_HEADER_BYTES) return header.some((byte) => byte !== 0) ? Status.Truncated : Status.Absent;
    if (view.getBigUint64(0, true) === 0n) return Status.Absent;
    const size = view.getUint32(Frame.size, true);
    if (size < FRAME_HEADER_BYTES || size > FRAME_SIZE_MAX) return Status.BadSize;
    const stride = strideOf(size);
    if (stride > room) return Status.Truncated;
    const info = view.getUint32(Frame.info, true);
    const body = size - FRAME_HEADER_BYTES;
    const flags = (info >>> INFO_FLAGS_SHIFT) & INFO_FLAGS_MASK;
    const key = info & INFO_KEY_MASK;
    if (key > body || body - key > PAYLOAD_BYTES_MAX || (flags & ~Flag.More) !== 0) return Status.BadSize;
    const found = this.baseLsn + ((view.getUint32(Frame.lsn, true) - this.baseLsn) >>> 0);
    const crc = view.getUint32(Frame.crc, true);
    // A search looks at many offsets: what the LSN rules out costs no checksum.
    if (lsnMax !== lsn && (found < lsn || found > lsnMax)) return Status.BadLsn;
    const frame = this.window.at(offset, stride);
    if (frame.length < stride) return Status.Truncated;
    if (frame.subarray(size).some((byte) => byte !== 0)) return Status.BadCrc;
    if (crc32c(frame.subarray(FRAME_CRC_FROM, size), this.salt) !== crc) return Status.BadCrc;
    return found < lsn || found > lsnMax ? Status.BadLsn : size;
  }

  frame(offset: number, lsn: number, size: number): FramePiece {
    const bytes = this.window.at(offset, size);
    const info = new DataView(bytes.buffer, bytes.byteOffset).getUint32(Frame.info, true);
    const keyBytes = info & INFO_KEY_MASK;
    return {
      type: 'frame', offset, lsn, kind: info >>> INFO_KIND_SHIFT,
      flags: (info >>> INFO_FLAGS_SHIFT) & INFO_FLAGS_MASK, keyBytes,
      payloadBytes: size - FRAME_HEADER_BYTES - keyBytes, stride: strideOf(size), bytes,
    };
  }

  /** The next valid frame behind `offset`, and where the last byte that is not zero ends. */
  next(offset: number, lsn: number): { readonly at: number; readonly lsn: number } | { readonly end: number } {
    let end = offset;
    const lsnMax = lsn + Math.ceil((this.limit - offset) / FRAME_HEADER_BYTES);
    for (let base = offset; base < this.limit; base += SEARCH_BYTES) {
      // A copy, because words must be aligned.
      const chunk = this.window.at(base, Math.min(SEARCH_BYTES, this.limit - base)).slice();
      const words = new Uint32Array(chunk.buffer, 0, chunk.length >> 2);
      for (let word = 0; word < words.length; word += 2) {
        if (words[word] === 0 && (words[word + 1] ?? 0) === 0) continue;
        const at = base + word * 4;
        end = Math.min(at + 8, this.limit);
        if (at === offset || words[word + 1]! < FRAME_HEADER_BYTES || words[word + 1]! > FRAME_SIZE_MAX) continue;
        const size = this.check(at, lsn, lsnMax);
        if (size > 0) return { at, lsn: this.lsnAt(at) };
      }
    }
    return { end };
  }

  private lsnAt(offset: number): number {
    const bytes = this.window.at(offset, FRAME_HEADER_BYTES);
    const low = new DataView(bytes.buffer, bytes.byteOffset).getUint32(Frame.lsn, true);
    return this.baseLsn + ((low - this.baseLsn) >>> 0);
  }

  excerpt(offset: number, length: number): Uint8Array {
    return this.window.at(offset, Math.min(EXCERPT_BYTES, length)).slice();
  }
}

function strideOf(size: number): number {
  return (size + 7) & ~7;
}

/**
 * Every frame of a segment and every damage between them, in order.
 *
 * @param lsnMax where the segment is being written to: the last committed LSN, behind which nothing is looked at
 */
export function* framesOf(file: StoredFile, segment: SegmentFacts, lsnMax = Infinity): Generator<FramePiece, void> {
  if (segment.header === undefined) return;
  const limit = segment.footer?.dataEnd ?? file.size();
  const walk = new Walk(file, segment, limit);
  let offset: number = FRAMES_OFFSET;
  let lsn = segment.baseLsn;
  while (offset < limit && lsn <= lsnMax) {
    const size = walk.check(offset, lsn, lsn);
    if (size > 0) {
      yield walk.frame(offset, lsn, size);
      offset += strideOf(size);
      lsn++;
      continue;
    }
    const next = walk.next(offset, lsn);
    const length = 'at' in next ? next.at - offset : next.end - offset;
    const missing = segment.footer !== undefined && 'end' in next;
    if (length === 0 && !missing) return;
    const nextLsn = 'at' in next ? next.lsn : undefined;
    const bytes = walk.excerpt(offset, length);
    yield { type: 'damage', offset, lsn, status: size, length: missing ? limit - offset : length, nextLsn, bytes };
    if (!('at' in next)) return;
    offset = next.at;
    lsn = next.lsn;
  }
}
