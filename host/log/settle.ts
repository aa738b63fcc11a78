/**
 * Making durable what recovery has found: bytes of the writer before, which may be in the page cache alone.
 *
 * They are written once more before they are synced. Where a sync has failed, pages can be in the cache alone and count
 * as clean: a sync would pass them over, and they would be gone when the cache is.
 *
 * A log in which recovery had nothing to change need not wait for that. What was durable is, by CONTROL; the rest is
 * what any writer has appended and not synced yet, and is treated as such: a power cut may take it, from its end, and
 * neither the marks nor the frames that are appended meanwhile say that it cannot. The first sync, which the log begins
 * by itself, covers it. What recovery has cut is another matter: its zeros must be on disk before a frame is written to
 * their place.
 */
import type { SegmentPool } from './pool.ts';
import type { LogContext, Segment } from './segment.ts';

const PAGE_BYTES = 4096;
/** What is written again before the event loop has its turn: half a millisecond's worth. */
const STEP_BYTES = 2 << 20;

/** Seals the segments before the last one that are not, each in a file of its final length. */
export function sealBefore(
  context: LogContext, pool: SegmentPool, last: Segment | undefined, segments: readonly Segment[],
): void {
  for (const segment of segments) {
    if (segment === last || segment.footer !== undefined) continue;
    segment.seal(pool, context.storage.now());
    segment.trimNow();
  }
}

/** Makes all that recovery has read or changed durable, and seals what should have been sealed. */
export function settle(context: LogContext, pool: SegmentPool, segments: readonly Segment[], durableLsn: number): void {
  const last = segments.at(-1);
  sealBefore(context, pool, last, segments);
  for (const segment of segments) {
    if (segment.synced) continue;
    const { from, end } = unsureBytes(pool, segment, durableLsn);
    if (from < end) writeAgain(context, pool, segment, from, end);
    segment.stored.syncNow();
    if (segment.footer !== undefined && segment.footer.records === segment.records) segment.markSynced();
    if (segment !== last) pool.unmount(segment);
  }
}

/** The bytes of a segment that no sync is known to have covered. */
function unsureBytes(
  pool: SegmentPool, segment: Segment, durableLsn: number,
): { readonly from: number; readonly end: number } {
  const view = pool.view(segment);
  const ordinal = durableLsn + 1 - segment.baseLsn;
  const offset = ordinal <= 0 ? 0 : ordinal < view.records ? Math.max(0, view.locate(ordinal)) : view.dataEnd;
  // Never beyond the end of a sealed file, which its mapping may go beyond, and which may just be being trimmed.
  const end = segment.sealedBytes ?? view.dataEnd;
  return { from: offset - offset % PAGE_BYTES, end };
}

function writeAgain({ core }: LogContext, pool: SegmentPool, segment: Segment, from: number, end: number): void {
  const { base } = pool.view(segment);
  segment.stored.write(core.memory.bytes.subarray(base + from, base + end), from);
}

/** The writer, who syncs what is left. */
interface LeftoverOwner {
  readonly isOpen: boolean;
  /** Writes again what is left, and syncs. */
  syncUnasked(): void;
}

/** What a writer has to write again before its first sync. */
export class Leftovers {
  private readonly context: LogContext;
  private readonly pool: SegmentPool;
  private readonly held: readonly Segment[];
  private readonly waiting: Segment[];
  private readonly durableLsn: number;
  /** Up to where the first of them is written. */
  private written = 0;

  /**
   * @param held the segments of the log, now and later: what it holds no more is passed over
   * @param waiting those of them that are to be synced
   */
  constructor(
    context: LogContext, pool: SegmentPool, held: readonly Segment[], waiting: readonly Segment[], durableLsn: number,
  ) {
    this.context = context;
    this.pool = pool;
    this.held = held;
    this.waiting = [...waiting];
    this.durableLsn = durableLsn;
  }

  /** Whether nothing is left. */
  get isEmpty(): boolean { return this.waiting.length === 0; }

  /** The segments that are left. */
  get segments(): readonly Segment[] { return this.waiting; }

  /** Writes up to so many bytes again. Errors: ERR_VARVE_IO, ERR_VARVE_DISK_FULL */
  private step(bytesMax: number): void {
    const [segment] = this.waiting;
    if (segment !== undefined && this.held.includes(segment)) {
      const { from, end } = unsureBytes(this.pool, segment, this.durableLsn);
      const begin = Math.max(from, this.written);
      this.written = Math.min(end, begin + bytesMax);
      if (begin < this.written) writeAgain(this.context, this.pool, segment, begin, this.written);
      if (this.written < end) return;
    }
    this.waiting.shift();
    this.written = 0;
  }

  /** Writes again all that is left, blocking. Errors: ERR_VARVE_IO, ERR_VARVE_DISK_FULL */
  finish(): void {
    while (!this.isEmpty) this.step(Infinity);
  }

  /** Writes it again step by step and has it synced, while the log is used. */
  syncLater(owner: LeftoverOwner): void {
    if (this.isEmpty) return;
    setImmediate(() => {
      if (!owner.isOpen) return;
      if (this.tryStep() && !this.isEmpty) this.syncLater(owner);
      else owner.syncUnasked();
    });
  }

  /** One step; where that fails, the sync tries the rest, and tells of it. */
  private tryStep(): boolean {
    try {
      this.step(STEP_BYTES);
      return true;
    } catch {
      return false;
    }
  }
}
