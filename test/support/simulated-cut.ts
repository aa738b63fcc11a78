/**
 * What a power cut leaves of one file: the choice, page by page and sector by sector, between what was durable and
 * what was only visible.
 *
 * The model is a page cache over a file system that journals metadata: sectors of 512 bytes are written whole or not
 * at all; the pages of a file reach the disk in any order; the size is an old or a new one, whatever the pages did;
 * a page that never reached the disk shows its old bytes, or zeros where there were none. A completed sync leaves
 * nothing to choose.
 */
import { type Inode, PAGE_BYTES, SECTOR_BYTES, differingPages, pagesFor } from './simulated-inode.ts';
import type { Random } from './random.ts';

/** How a power cut chooses. Everything is random where nothing is said. */
export interface CutPolicy {
  /** Unsynced pages. */
  readonly pages?: 'random' | 'kept' | 'lost';
  /** Probability that a random page is kept whole; one is drawn for each file where not given. */
  readonly keep?: number;
  /** Probability that a random page that is not kept is torn by sectors instead of lost; 0.3 where not given. */
  readonly tear?: number;
  /** Unsynced file sizes. */
  readonly sizes?: 'random' | 'old' | 'new';
  /** Unsynced creations, renames and removals. */
  readonly names?: 'random' | 'kept' | 'lost';
  /**
   * Which of them can be kept: 'ordered' (a journal: any first part of them in the order in which they were made), or
   * 'any' (each by itself; what POSIX promises). One is drawn where not given.
   */
  readonly metadata?: 'ordered' | 'any';
}

/** What a power cut did. */
export interface CutTally {
  pagesKept: number;
  pagesLost: number;
  pagesTorn: number;
  /** Files whose size went back to the durable one, or stopped in between. */
  sizesLost: number;
  namesKept: number;
  namesLost: number;
}

export function emptyTally(): CutTally {
  return { pagesKept: 0, pagesLost: 0, pagesTorn: 0, sizesLost: 0, namesKept: 0, namesLost: 0 };
}

/** Chooses the size: 'old' keeps the durable one with what lay above the smallest size since. */
function chooseSize(inode: Inode, random: Random, policy: CutPolicy): number | 'old' {
  const { durable, visible, lowWater } = inode;
  const kind = policy.sizes ?? 'random';
  const unchanged = durable.size === visible.size && lowWater >= visible.size;
  if (kind === 'new' || unchanged) return visible.size;
  if (kind === 'old') return 'old';
  const between = [lowWater, ...inode.inFlight.map((snapshot) => snapshot.size)].filter((size) => size >= lowWater);
  return random.pick<number | 'old'>(['old', visible.size, random.pick([visible.size, ...between])]);
}

/** The pages that one page on disk may be made of: what was visible, or what a sync under way had taken down. */
function versionsOf(inode: Inode, page: number): Buffer[] {
  const versions = [inode.visible.page(page)];
  for (const snapshot of inode.inFlight) {
    const bytes = snapshot.pages.get(page);
    if (bytes !== undefined) versions.push(bytes);
  }
  return versions;
}

/** Puts the new sectors that arrived over the old ones; returns how many did. */
function tear(target: Buffer, versions: readonly Buffer[], random: Random): number {
  let written = 0;
  for (let from = 0; from < PAGE_BYTES; from += SECTOR_BYTES) {
    if (random.chance(0.5)) continue;
    random.pick(versions).copy(target, from, from, from + SECTOR_BYTES);
    written += 1;
  }
  return written;
}

/**
 * Moves the durable image of a file to one of the states that the disk may be in at this moment. The visible image
 * stays: what is between the two is still unsynced.
 */
export function settle(inode: Inode, random: Random, policy: CutPolicy, tally: CutTally): void {
  const { durable, visible, lowWater } = inode;
  const size = chooseSize(inode, random, policy);
  const reach = size === 'old' ? Math.min(lowWater, durable.size) : size;
  const blocks = new Set(size === 'old' ? inode.durableBlocks : inode.blocks);
  const keep = policy.keep ?? random.pick([0, 0.1, 0.5, 0.9, 1]);
  if (size !== 'old') {
    durable.resize(Math.min(lowWater, durable.size));
    durable.resize(size);
    inode.lowWater = Math.min(size, visible.size);
  }
  if (durable.size !== visible.size) tally.sizesLost += 1;
  const choice = policy.pages ?? 'random';
  for (const page of differingPages(visible, durable)) {
    if (page * PAGE_BYTES >= reach) continue;
    const versions = versionsOf(inode, page);
    if (choice === 'kept' || (choice === 'random' && random.chance(keep))) {
      (choice === 'kept' ? visible.page(page) : random.pick(versions)).copy(durable.page(page));
      tally.pagesKept += 1;
      blocks.add(page);
    } else if (choice === 'random' && random.chance(policy.tear ?? 0.3)) {
      tally[tear(durable.page(page), versions, random) > 0 ? 'pagesTorn' : 'pagesLost'] += 1;
      blocks.add(page);
    } else {
      tally.pagesLost += 1;
    }
  }
  durable.trimTail();
  for (const page of blocks) if (page >= pagesFor(durable.size)) blocks.delete(page);
  inode.durableBlocks = blocks;
}

/** Starts a file anew from its durable image, as the first process after the power cut finds it. */
export function restart(inode: Inode): void {
  inode.visible = inode.durable.copy();
  inode.blocks = new Set(inode.durableBlocks);
  inode.lowWater = inode.visible.size;
  inode.inFlight = [];
  inode.failed.clear();
  inode.handles = 0;
  inode.mappings.length = 0;
  inode.copies.length = 0;
  inode.views = [];
}
