/**
 * One file of the simulated disk, without its names: what every process sees (`visible`, the page cache), what would
 * be there after a power cut if nothing else were written back (`durable`), and the syncs under way in between.
 *
 * Invariants: an image's bytes at and past its size are zeros; `durable` changes only when a sync completes, by
 * write-back or by a power cut; a page of `visible` with data in it has a block. Mapped stores reach `visible` in
 * simulated-mapping.ts, before anything here is asked.
 */
import type { MappedRange, PrivateView } from './simulated-mapping.ts';

/** The unit of write-back, of blocks and of mapping. */
export const PAGE_BYTES = 4096;
/** The unit a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** How many pages hold `length` bytes. */
export function pagesFor(length: number): number {
  return Math.ceil(length / PAGE_BYTES);
}

/** Bytes and length of a file at one moment. */
export class Image {
  size = 0;
  private buffer: Buffer = Buffer.alloc(0);

  /** The bytes, whole pages, at least up to the size; valid until the next `reserve` or `resize`. */
  get bytes(): Buffer {
    return this.buffer;
  }

  /** Makes room for `pages` pages without changing the size. */
  reserve(pages: number): void {
    if (pages * PAGE_BYTES <= this.buffer.length) return;
    const grown = Buffer.alloc(pages * PAGE_BYTES);
    this.buffer.copy(grown);
    this.buffer = grown;
  }

  /** Sets the size; what is cut reads as zeros if the size grows again. */
  resize(size: number): void {
    this.reserve(pagesFor(size));
    if (size < this.size) this.buffer.fill(0, size, pagesFor(this.size) * PAGE_BYTES);
    this.size = size;
  }

  /** The bytes of one page, aliasing the image. */
  page(index: number): Buffer {
    this.reserve(index + 1);
    return this.buffer.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
  }

  /** Zeros what lies past the size in its last page. */
  trimTail(): void {
    this.buffer.fill(0, this.size, pagesFor(this.size) * PAGE_BYTES);
  }

  /** A copy of the bytes up to the size. */
  content(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.size));
  }

  copy(): Image {
    const copy = new Image();
    copy.buffer = Buffer.from(this.buffer);
    copy.size = this.size;
    return copy;
  }
}

/** The numbers of the pages in which two images differ, ascending. */
export function differingPages(a: Image, b: Image): number[] {
  const pages = pagesFor(Math.max(a.size, b.size));
  a.reserve(pages);
  b.reserve(pages);
  const end = pages * PAGE_BYTES;
  const differing: number[] = [];
  if (a.bytes.compare(b.bytes, 0, end, 0, end) === 0) return differing;
  for (let from = 0; from < end; from += PAGE_BYTES) {
    const to = from + PAGE_BYTES;
    if (a.bytes.compare(b.bytes, from, to, from, to) !== 0) differing.push(from / PAGE_BYTES);
  }
  return differing;
}

/** What a sync took down when it was submitted. */
export interface Snapshot {
  readonly size: number;
  readonly blocks: ReadonlySet<number>;
  /** The pages that were dirty, with their bytes. */
  readonly pages: ReadonlyMap<number, Buffer>;
  /** The smallest size since. */
  lowSince: number;
}

export class Inode {
  readonly kind = 'file';
  visible = new Image();
  durable = new Image();
  /** Pages with a block on the disk: a store into any other page of a mapping may have nowhere to go. */
  blocks = new Set<number>();
  durableBlocks: ReadonlySet<number> = new Set();
  /** The smallest size since the durable image: what lay above has been cut since, even if the size grew again. */
  lowWater = 0;
  /** Syncs submitted and not completed, oldest first. */
  inFlight: Snapshot[] = [];
  /** Pages that a failed sync marked clean, with their bytes then: no later sync writes them unless they change. */
  readonly failed = new Map<number, Buffer>();
  /** Syncs that have failed, and what the last one failed with. */
  failures = 0;
  errno = '';
  links = 0;
  handles = 0;
  readonly mappings: MappedRange[] = [];
  /** Private mappings, which share nothing with the file any more. */
  readonly copies: MappedRange[] = [];
  views: PrivateView[] = [];

  /** All mappings. */
  get mapped(): MappedRange[] {
    return [...this.mappings, ...this.copies];
  }

  /** Sets the visible size; blocks past it are freed. */
  resize(size: number): void {
    this.visible.resize(size);
    this.lowWater = Math.min(this.lowWater, size);
    for (const snapshot of this.inFlight) snapshot.lowSince = Math.min(snapshot.lowSince, size);
    for (const page of this.blocks) if (page >= pagesFor(size)) this.blocks.delete(page);
  }

  /** Pages that a sync would write now. */
  dirtyPages(): number[] {
    return differingPages(this.visible, this.durable).filter((page) => {
      const before = this.failed.get(page);
      return before === undefined || !before.equals(this.visible.page(page));
    });
  }

  /** Takes down what a sync that is submitted now will make durable. */
  beginSync(): Snapshot {
    const pages = new Map(this.dirtyPages().map((page) => [page, Buffer.from(this.visible.page(page))]));
    const { size } = this.visible;
    const snapshot = { size, blocks: new Set(this.blocks), pages, lowSince: size };
    this.inFlight.push(snapshot);
    return snapshot;
  }

  /** Makes durable what `snapshot` took down, unless a later sync has done so already. */
  completeSync(snapshot: Snapshot): void {
    const at = this.inFlight.indexOf(snapshot);
    if (at < 0) return;
    this.inFlight.splice(0, at + 1);
    this.durable.resize(snapshot.size);
    for (const [page, bytes] of snapshot.pages) {
      if (page >= pagesFor(snapshot.size)) continue;
      bytes.copy(this.durable.page(page));
      this.failed.delete(page);
    }
    this.durableBlocks = snapshot.blocks;
    this.lowWater = snapshot.lowSince;
  }

  /** Ends a sync that failed. Where `dropped`, its pages count as clean from now on, as on Linux. */
  failSync(snapshot: Snapshot, dropped: boolean): void {
    const at = this.inFlight.indexOf(snapshot);
    if (at < 0) return;
    this.inFlight.splice(at, 1);
    if (!dropped) return;
    for (const [page, bytes] of snapshot.pages) this.failed.set(page, bytes);
  }

  /** Everything of the file but who has it open. */
  copy(): Inode {
    const copy = new Inode();
    copy.visible = this.visible.copy();
    copy.durable = this.durable.copy();
    copy.blocks = new Set(this.blocks);
    copy.durableBlocks = this.durableBlocks;
    copy.lowWater = this.lowWater;
    copy.inFlight = this.inFlight.map((snapshot) => ({ ...snapshot }));
    for (const [page, bytes] of this.failed) copy.failed.set(page, bytes);
    copy.links = this.links;
    return copy;
  }
}
