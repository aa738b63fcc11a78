/**
 * Mapped ranges and views of the simulated disk: how plain linear memory is made to look like shared pages.
 *
 * Memory cannot alias, so each mapping is a copy of the file and `exchange` makes all copies of one file equal again:
 * bytes stored into writable mappings since the last exchange go into the visible image, and from there into every
 * other mapping and view. It runs to its end within one call, so nobody ever sees half of an exchange.
 *
 * A private mapping is a copy that takes no part in that: it shows the file as it was when it was made.
 *
 * What would have killed the process is found here: a store into a read-only mapping, past the end of the file, or
 * into a page without a block. So is what this scheme cannot do: two mappings that store different values into one
 * byte between two exchanges.
 */
import type { CoreMemory } from '../../host/core/memory.ts';
import type { MappingAccess } from '../../host/io/storage.ts';
import { type Inode, PAGE_BYTES, pagesFor } from './simulated-inode.ts';

/** What mapped pages that a truncation took away are filled with: reading them would have been a bus error. */
export const GONE_BYTE = 0xa5;
const GONE_PAGE = Buffer.alloc(PAGE_BYTES, GONE_BYTE);

/** A file in the core's memory, from the disk's side. */
export class MappedRange {
  readonly inode: Inode;
  readonly memory: CoreMemory;
  readonly address: number;
  readonly length: number;
  readonly access: MappingAccess;
  readonly path: string;
  /** Who mapped it. */
  readonly owner: object;
  /** The mapped pages: whole ones, so up to 4095 bytes more than asked for. */
  readonly bytes: Buffer;
  /** Page of the file that the mapping begins with, and the one behind its last. */
  readonly firstPage: number;
  readonly endPage: number;
  state: 'live' | 'replaced' | 'unmapped' = 'live';

  constructor(
    inode: Inode, memory: CoreMemory, address: number, length: number, access: MappingAccess, path: string,
    owner: object, offset = 0,
  ) {
    this.inode = inode;
    this.memory = memory;
    this.address = address;
    this.length = length;
    this.access = access;
    this.path = path;
    this.owner = owner;
    this.bytes = Buffer.from(memory.memory.buffer, address, pagesFor(length) * PAGE_BYTES);
    this.firstPage = offset / PAGE_BYTES;
    this.endPage = this.firstPage + pagesFor(length);
    this.show(this.firstPage, this.endPage);
    this.holders.push(this);
  }

  /** Whether a byte of `memory` lies in the mapped pages. */
  covers(memory: CoreMemory, address: number): boolean {
    return this.memory === memory && address >= this.address && address < this.address + this.bytes.length;
  }

  /** The bytes of one page of the file, aliasing the memory; empty where it is not mapped. */
  page(page: number): Buffer {
    if (page < this.firstPage || page >= this.endPage) return this.bytes.subarray(0, 0);
    return this.bytes.subarray((page - this.firstPage) * PAGE_BYTES, (page - this.firstPage + 1) * PAGE_BYTES);
  }

  /** Copies the file's pages [from, to) into the memory. */
  show(from: number, to: number): void {
    const { visible } = this.inode;
    const start = Math.max(from, this.firstPage);
    const end = Math.min(to, this.endPage);
    const live = Math.min(end, pagesFor(visible.size));
    const at = (page: number): number => (page - this.firstPage) * PAGE_BYTES;
    if (start < live) visible.bytes.copy(this.bytes, at(start), start * PAGE_BYTES, live * PAGE_BYTES);
    if (Math.max(start, live) < end) this.bytes.fill(GONE_BYTE, at(Math.max(start, live)), at(end));
  }

  /** Takes the mapping off the file; the memory keeps its bytes. */
  detach(state: 'replaced' | 'unmapped'): void {
    this.state = state;
    const at = this.holders.indexOf(this);
    if (at >= 0) this.holders.splice(at, 1);
  }

  /** Those that share the file, or those that have copies of it. */
  private get holders(): MappedRange[] {
    return this.access === 'private' ? this.inode.copies : this.inode.mappings;
  }
}

/** A private (copy-on-write) view: shows the file until its holder writes, and then, page by page, what was written. */
export class PrivateView {
  /** The memory, not the array: whoever holds a part of the view holds the memory. */
  private readonly held: WeakRef<ArrayBuffer>;
  /** What was shown last, to tell the holder's pages. */
  private readonly shown: Buffer;
  private readonly own = new Set<number>();

  constructor(inode: Inode, memory: ArrayBuffer) {
    this.held = new WeakRef(memory);
    this.shown = Buffer.alloc(pagesFor(memory.byteLength) * PAGE_BYTES);
    this.show(inode, 0, this.shown.length / PAGE_BYTES);
  }

  /** Shows the file's pages [from, to) but for those the holder wrote; false when nobody holds the view any more. */
  show(inode: Inode, from: number, to: number): boolean {
    const memory = this.held.deref();
    if (memory === undefined) return false;
    const bytes = Buffer.from(memory);
    const live = pagesFor(inode.visible.size);
    for (let page = from; page < Math.min(to, this.shown.length / PAGE_BYTES); page++) {
      const at = page * PAGE_BYTES;
      const end = Math.min(at + PAGE_BYTES, bytes.length);
      if (!this.own.has(page) && bytes.compare(this.shown, at, end, at, end) !== 0) this.own.add(page);
      if (this.own.has(page)) continue;
      (page < live ? inode.visible.page(page) : GONE_PAGE).copy(this.shown, at);
      this.shown.copy(bytes, at, at, end);
    }
    return true;
  }
}

/** Shows pages [from, to) of the visible image in every mapping and view. */
export function show(inode: Inode, from: number, to: number): void {
  for (const mapping of inode.mappings) mapping.show(from, to);
  if (inode.views.length > 0) inode.views = inode.views.filter((view) => view.show(inode, from, to));
}

/** Pages of `mapping` that are not what the last exchange left there; `before` has those that it left otherwise. */
function storedPages(mapping: MappedRange, before: ReadonlyMap<number, Buffer>): number[] {
  const { visible } = mapping.inode;
  const { firstPage, endPage } = mapping;
  const live = Math.max(firstPage, Math.min(endPage, pagesFor(visible.size)));
  const stored: number[] = [];
  const from = firstPage * PAGE_BYTES;
  const length = live * PAGE_BYTES - from;
  if (before.size > 0 || mapping.bytes.compare(visible.bytes, from, from + length, 0, length) !== 0) {
    for (let page = firstPage; page < live; page++) {
      if (mapping.page(page).compare(before.get(page) ?? visible.page(page)) !== 0) stored.push(page);
    }
  }
  for (let page = live; page < endPage; page++) if (mapping.page(page).compare(GONE_PAGE) !== 0) stored.push(page);
  return stored;
}

/** Takes what one mapping stored into a page over into the visible image; returns the first byte in conflict, or -1. */
function merge(mapping: MappedRange, page: number, before: Map<number, Buffer>): number {
  const target = mapping.inode.visible.page(page);
  const stored = mapping.page(page);
  const base = before.get(page);
  if (base === undefined) {
    before.set(page, Buffer.from(target));
    stored.copy(target);
    return -1;
  }
  let conflict = -1;
  for (let at = 0; at < PAGE_BYTES; at++) {
    if (stored[at] === base[at]) continue;
    if (conflict < 0 && target[at] !== base[at] && target[at] !== stored[at]) conflict = page * PAGE_BYTES + at;
    target[at] = stored[at] as number;
  }
  return conflict;
}

/** Where the first store of a page is, for the message. */
function firstStore(mapping: MappedRange, page: number, base: Buffer): number {
  const bytes = mapping.page(page);
  let at = 0;
  while (at < PAGE_BYTES - 1 && bytes[at] === base[at]) at += 1;
  return page * PAGE_BYTES + at;
}

/** Those of the pages `before` that a read-only mapping does not show as they were. */
function spoiltPages(mapping: MappedRange, before: ReadonlyMap<number, Buffer>): number[] {
  return [...before].filter(([page, base]) => {
    const bytes = mapping.page(page);
    return bytes.length > 0 && bytes.compare(base) !== 0;
  }).map(([page]) => page);
}

/**
 * Makes all mappings and views of a file equal, and the visible image with them. Every breach is described in
 * `breaches` and undone, but for stores into pages without a block: `claim` is asked to give each one. Where not
 * `thorough`, read-only mappings are looked at only where they are about to change.
 */
export function exchange(
  inode: Inode, claim: (page: number) => string | undefined, breaches: string[], thorough: boolean,
): void {
  const { visible } = inode;
  const live = pagesFor(visible.size);
  const before = new Map<number, Buffer>();
  const writableFirst = [...inode.mappings].sort((a, b) => Number(b.access === 'write') - Number(a.access === 'write'));
  for (const mapping of writableFirst) {
    const all = mapping.access === 'write' || thorough;
    for (const page of all ? storedPages(mapping, before) : spoiltPages(mapping, before)) {
      if (page >= live) {
        breaches.push(`a store beyond the end of ${mapping.path} (${visible.size} bytes) at offset `
          + `${firstStore(mapping, page, GONE_PAGE)} would have killed the process`);
        mapping.show(page, page + 1);
      } else if (mapping.access !== 'write') {
        const at = firstStore(mapping, page, before.get(page) ?? visible.page(page));
        breaches.push(`a store to a read-only mapping of ${mapping.path} at offset ${at} would have killed the `
          + 'process');
        mapping.show(page, page + 1);
      } else {
        const conflict = merge(mapping, page, before);
        if (conflict >= 0) {
          breaches.push(`two mappings of ${mapping.path} stored different values at offset ${conflict} without a `
            + 'refresh in between');
        }
      }
    }
  }
  if (before.size === 0) return;
  const path = inode.mappings[0]?.path ?? '';
  if (visible.size % PAGE_BYTES !== 0 && before.has(live - 1)) {
    const tail = visible.page(live - 1).subarray(visible.size % PAGE_BYTES);
    const at = tail.findIndex((byte) => byte !== 0);
    if (at >= 0) {
      breaches.push(`a store beyond the end of ${path} (${visible.size} bytes) at offset ${visible.size + at} is lost`);
      tail.fill(0);
    }
  }
  for (const page of before.keys()) {
    if (!inode.blocks.has(page)) {
      const breach = claim(page);
      if (breach !== undefined) breaches.push(`a store into ${path} at offset ${page * PAGE_BYTES}${breach}`);
    }
    show(inode, page, page + 1);
  }
}
