/**
 * Which segments are mapped. At most `bytesMax` bytes of sealed segments stay mapped; beyond that, or where the core's
 * memory has no room left, the least recently used one goes. The active segment is pinned by its writer, and others are
 * held while somebody works on their bytes.
 *
 * Who keeps addresses of mapped segments is told when they come and go. He may read there without asking the pool, so
 * it asks him whether he did, before it takes a segment for the least recently used one.
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

/** Who keeps addresses of mapped segments. None of these calls may throw, or call the pool. */
export interface PoolListener {
  /** Told when a segment has been mapped: its `view` says where. */
  mounted(segment: Segment): void;
  /** Told when a segment is about to be unmapped: from the end of this call on, its bytes are not there. */
  unmounted(segment: Segment): void;
  /** Whether a mapped segment was used since the last time that this was asked of it. */
  used(segment: Segment): boolean;
}

export class SegmentPool {
  private readonly mounted = new Set<Segment>();
  private readonly bytesMax: number;
  /** How often each segment is held. */
  private readonly held = new Map<Segment, number>();
  private readonly listeners = new Set<PoolListener>();
  private clock = 0;
  private mounts = 0;
  private evictions = 0;
  /** The writer's segment, never evicted. */
  pinned: Segment | undefined;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Tells a listener from now on, first of the segments that are mapped already. */
  listen(listener: PoolListener): void {
    this.listeners.add(listener);
    for (const segment of this.mounted) listener.mounted(segment);
  }

  /** Tells a listener nothing any more. */
  ignore(listener: PoolListener): void {
    this.listeners.delete(listener);
  }

  /**
   * Returns the segment's view, and keeps it from being evicted until `release` was called as often. Whoever seals,
   * replaces or drops the segment meanwhile unmaps it all the same.
   */
  hold(segment: Segment): SegmentView {
    const view = this.view(segment);
    this.held.set(segment, (this.held.get(segment) ?? 0) + 1);
    return view;
  }

  /** Gives back one hold. */
  release(segment: Segment): void {
    const holds = this.held.get(segment) ?? 0;
    if (holds > 1) this.held.set(segment, holds - 1);
    else this.held.delete(segment);
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
        for (const listener of this.listeners) listener.mounted(segment);
        this.trim(segment);
        return view;
      } catch (error) {
        if (!VarveError.is(error, 'ERR_VARVE_MEMORY_FULL') || !this.evict(segment)) throw error;
      }
    }
  }

  /** Unmaps a segment, for whatever reason. */
  unmount(segment: Segment): void {
    if (this.mounted.delete(segment)) for (const listener of this.listeners) listener.unmounted(segment);
    segment.unmount();
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

  /** Unmaps a segment that nobody needs just now, for whoever else needs the room; whether there was one. */
  spare(): boolean {
    return this.evict(undefined);
  }

  /** Unmaps the least recently used segment but for those that must stay, and `keep`; whether there was one. */
  private evict(keep: Segment | undefined): boolean {
    let victim = this.leastRecent(keep);
    // Each may turn out to have been used once; where all were, the first one goes nevertheless.
    for (let asked = 0; victim !== undefined && asked < this.mounted.size; asked++) {
      if (!this.wasUsed(victim)) break;
      victim.lastUsed = ++this.clock;
      victim = this.leastRecent(keep);
    }
    if (victim === undefined) return false;
    this.unmount(victim);
    this.evictions++;
    return true;
  }

  /** Asks all, as each forgets what it has told. */
  private wasUsed(segment: Segment): boolean {
    let used = false;
    for (const listener of this.listeners) used = listener.used(segment) || used;
    return used;
  }

  private leastRecent(keep: Segment | undefined): Segment | undefined {
    let oldest: Segment | undefined;
    for (const segment of this.mounted) {
      if (segment === keep || segment === this.pinned || this.held.has(segment)) continue;
      if (oldest === undefined || segment.lastUsed < oldest.lastUsed) oldest = segment;
    }
    return oldest;
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
