/**
 * Which segments are mapped. At most `bytesMax` bytes of sealed segments stay mapped; beyond that, or where the core's
 * memory has no room left, the least recently used one goes. The active segment is pinned by its writer.
 */
import { VarveError } from '../errors/varve-error.ts';
import type { SegmentView } from '../core/segment-view.ts';
import type { Segment } from './segment.ts';

/** Counters of a log's mapped window. */
export interface PoolCounters {
  /** Bytes of address space that mapped segments take now. */
  readonly mappedBytes: number;
  /** Mapped segments now. */
  readonly mappedSegments: number;
  /** How often a segment was mapped. */
  readonly mounts: number;
  /** How often one was unmapped to make room. */
  readonly evictions: number;
}

export class SegmentPool {
  private readonly mounted = new Set<Segment>();
  private readonly bytesMax: number;
  private clock = 0;
  private mounts = 0;
  private evictions = 0;
  /** The writer's segment, never evicted. */
  pinned: Segment | undefined;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Returns the segment's view, mapping it where it is not mapped. */
  view(segment: Segment): SegmentView {
    segment.lastUsed = ++this.clock;
    return segment.view ?? this.mount(segment);
  }

  private mount(segment: Segment): SegmentView {
    for (;;) {
      try {
        const view = segment.mount();
        this.mounted.add(segment);
        this.mounts++;
        this.trim(segment);
        return view;
      } catch (error) {
        if (!VarveError.is(error, 'ERR_VARVE_MEMORY_FULL') || !this.evict(segment)) throw error;
      }
    }
  }

  /** Unmaps a segment, for whatever reason. */
  unmount(segment: Segment): void {
    segment.unmount();
    this.mounted.delete(segment);
    if (this.pinned === segment) this.pinned = undefined;
  }

  unmountAll(): void {
    for (const segment of [...this.mounted]) this.unmount(segment);
  }

  private mappedBytes(): number {
    let bytes = 0;
    for (const segment of this.mounted) bytes += segment.mountedBytes;
    return bytes;
  }

  private trim(keep: Segment): void {
    while (this.mappedBytes() > this.bytesMax && this.evict(keep));
  }

  /** Unmaps the least recently used segment but for `keep` and the pinned one; whether there was one. */
  private evict(keep: Segment): boolean {
    let oldest: Segment | undefined;
    for (const segment of this.mounted) {
      if (segment === keep || segment === this.pinned) continue;
      if (oldest === undefined || segment.lastUsed < oldest.lastUsed) oldest = segment;
    }
    if (oldest === undefined) return false;
    this.unmount(oldest);
    this.evictions++;
    return true;
  }

  get counters(): PoolCounters {
    return {
      mappedBytes: this.mappedBytes(),
      mappedSegments: this.mounted.size,
      mounts: this.mounts,
      evictions: this.evictions,
    };
  }
}
