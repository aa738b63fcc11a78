/**
 * One segment of a log: its file, what is known of it, and its mapping while it has one.
 *
 * A segment is *mounted* while it is mapped into the core: then `view` reads it. Where the file holds an LSN index that
 * nobody will change any more, the view uses it in place; else the index lies in a private range and is built as frames
 * become known. Unmounting gives back everything but the numbers.
 */
import type { Core } from '../core/core.ts';
import { FOOTER_BYTES, SYNCED_WORD, indexBytesFor, indexCrc, writeFooter, type FooterFields, type HeaderFields } from '../core/segment-file.ts';
import { SegmentView } from '../core/segment-view.ts';
import { VarveError } from '../errors/varve-error.ts';
import { FRAMES_OFFSET, FRAME_HEADER_BYTES, Frame, INDEX_SHIFT } from '../generated/abi.ts';
import type { Mapping, Storage, StoredFile } from '../io/storage.ts';
import { rebuildIndex } from './rebuilt-index.ts';
import { bytesOf, type Bytes } from './record.ts';
import { Trim } from './trim.ts';

/** What all parts of a log share. */
export interface LogContext {
  readonly core: Core;
  readonly storage: Storage;
  readonly directory: string;
  /** Whether files are opened for reading only: then nothing is ever written, not even through a mapping. */
  readonly readOnly: boolean;
  /** Reader: whether no truncation was finished since what is known of the segments was found out. */
  readonly current?: () => boolean;
}

/** Who keeps account of what is mapped: the log's pool. */
interface Mounter {
  view(segment: Segment): SegmentView;
  unmount(segment: Segment): void;
}

/** Bytes of an index that could hold every frame of a segment of `capacity` bytes. */
function indexRangeBytes(capacity: number): number {
  return Math.ceil(capacity / FRAME_HEADER_BYTES / (1 << INDEX_SHIFT)) * 4 + 8;
}

/** Length of the file of a sealed segment. */
function sealedBytes({ dataEnd, indexBytes }: FooterFields): number {
  return dataEnd + indexBytes + FOOTER_BYTES;
}

/** The bytes of a file in anonymous memory, in the place of a mapping. */
function copyOf(core: Core, file: StoredFile, address: number, length: number): Mapping {
  const count = file.read(core.memory.bytes.subarray(address, address + length), 0);
  core.memory.bytes.fill(0, address + count, address + length);
  const nothing = () => undefined;
  return { address, length, populate: nothing, advise: nothing, unmap: nothing };
}

/**
 * Whether a file could not be mapped because it was shorter than a moment before: the writer beside a reader has
 * trimmed it, and may have made it longer again since. The reader's records end before that.
 */
function wasTrimmed(error: unknown): boolean {
  const { length, size } = VarveError.is(error) ? error.details : {};
  return typeof length === 'number' && typeof size === 'number' && size < length;
}

export class Segment {
  readonly path: string;
  readonly header: HeaderFields;
  /** The footer, while the segment is sealed. */
  footer: FooterFields | undefined;
  /** Known records and the end of their frames; while mounted, the view's are newer. */
  records = 0;
  dataEnd: number = FRAMES_OFFSET;
  epoch: number;
  /** Whether every byte is known to be on disk. */
  synced = false;
  /** Whether every known frame was checked since the log was opened, or was appended since. */
  checked = false;
  /** Whether frames may still be added to or cut from the file, by this process or by another one. */
  mayChange = true;
  /** Reader: whether mounting copies the file instead of mapping it, because no watermark vouches for its bytes. */
  still = false;
  /** The trimming that its sealing has left to do. */
  private trim = new Trim();
  /** When the pool saw it last. */
  lastUsed = 0;
  view: SegmentView | undefined;
  mapping: Mapping | undefined;
  private file: StoredFile | undefined;
  private indexRange: { readonly address: number; readonly length: number } | undefined;
  private userView: Bytes | undefined;
  /** The view of before, while anyone still holds a part of it: a mapping for each mount would exhaust the system's. */
  private formerView: WeakRef<ArrayBuffer> | undefined;
  private readonly context: LogContext;

  constructor(context: LogContext, path: string, header: HeaderFields, footer: FooterFields | undefined) {
    this.context = context;
    this.path = path;
    this.header = header;
    this.epoch = header.epoch;
    if (footer !== undefined) this.adopt(footer);
  }

  /** Takes what the footer says as known. */
  private adopt(footer: FooterFields): void {
    this.footer = footer;
    this.records = footer.records;
    this.dataEnd = footer.dataEnd;
    this.epoch = footer.epoch;
    this.synced = footer.synced;
    this.mayChange = !footer.synced;
  }

  get baseLsn(): number { return this.header.baseLsn; }
  get lastLsn(): number { return this.header.baseLsn + this.records - 1; }
  get sealed(): boolean { return this.footer !== undefined; }
  /** Bytes of its file once that is trimmed, where it is sealed. */
  get sealedBytes(): number | undefined { return this.footer === undefined ? undefined : sealedBytes(this.footer); }
  /** Position just past the last known record. */
  get endPosition(): number { return this.header.basePosition + this.dataEnd - FRAMES_OFFSET; }
  /** Whether the file is longer than it will be. */
  get untrimmed(): boolean { return this.trim.to !== undefined; }
  /** Bytes of address space that mounting takes. */
  get mountedBytes(): number { return this.mapping?.length ?? 0; }

  /** The open file, opened at need. */
  get stored(): StoredFile {
    this.file ??= this.context.storage.open(this.path, this.context.readOnly ? 'read' : 'write');
    return this.file;
  }

  /** Uses an open file instead of opening one at need. */
  attach(file: StoredFile): void {
    this.file = file;
  }

  /**
   * Maps the file, writable where a writer may still have to change it. Where the file holds an intact index and cannot
   * change any more, the index is used in place.
   *
   * Errors: ERR_VARVE_MEMORY_FULL, ERR_VARVE_CORRUPT, ERR_VARVE_IO
   */
  mount(): SegmentView {
    if (this.view !== undefined) return this.view;
    const { core } = this.context;
    const file = this.stored;
    const length = (this.trim.to ?? file.size()) & ~7;
    const address = core.memory.reserve(length);
    try {
      this.mapping = this.still ? copyOf(core, file, address, length)
        : file.map(core.memory, address, length, !this.context.readOnly && this.mayChange ? 'write' : 'read');
      this.requireCurrent(length);
      const view = new SegmentView(core, {
        base: address,
        mapped: length,
        baseLsn: this.baseLsn,
        basePosition: this.header.basePosition,
        salt: this.header.salt,
        index: 0,
        epoch: this.header.epoch,
      });
      view.setEnd(0, FRAMES_OFFSET, this.header.epoch);
      this.view = view;
      this.placeIndex(view);
      return view;
    } catch (error) {
      if (this.mapping === undefined) core.memory.release(address, length);
      this.unmount();
      if (this.context.readOnly && wasTrimmed(error)) return this.mount();
      throw error;
    }
  }

  /**
   * Refuses a file that has taken the place of the one that this reader knows. Its writer may trim it below what is
   * known of the old one at any moment, and touching it there kills the process; a file of the current generation never
   * shrinks below its committed records, and one that was replaced never changes again.
   */
  private requireCurrent(length: number): void {
    // What a truncation that is under way has put here is shorter than what is known: beyond it other files are mapped.
    if (this.context.current?.() === undefined || (this.context.current() && this.dataEnd <= length)) return;
    throw new VarveError('ERR_VARVE_TRUNCATED', `${this.path} was cut while it was being opened; read again`,
      { path: this.path, segment: this.baseLsn });
  }

  private placeIndex(view: SegmentView): void {
    const { core } = this.context;
    const { footer } = this;
    const fits = footer !== undefined && footer.indexBytes <= view.mapped - footer.dataEnd;
    const from = view.base + (footer?.dataEnd ?? 0);
    if (fits && !this.mayChange && indexCrc(core, from, footer.indexBytes) === footer.indexCrc) {
      view.setIndex(from);
      view.setEnd(footer.records, footer.dataEnd, footer.epoch);
      return;
    }
    const length = indexRangeBytes(Math.max(view.mapped, this.header.capacity));
    this.indexRange = { address: core.memory.reserve(length), length };
    view.setIndex(this.indexRange.address);
    // The copy is what is checked: a writer in another process may just be overwriting the index with frames.
    if (fits) core.memory.bytes.copyWithin(this.indexRange.address, from, from + footer.indexBytes);
    if (fits && indexCrc(core, this.indexRange.address, footer.indexBytes) === footer.indexCrc) {
      view.setEnd(footer.records, footer.dataEnd, footer.epoch);
    } else if (footer !== undefined && this.synced) {
      rebuildIndex(view, this.indexRange.address, footer);
    } else if (this.records > 0) {
      // What was known before the segment was unmapped: its frames are checked again on the way.
      view.recover(this.dataEnd, this.records);
    }
  }

  /** Takes over what the view has come to know. */
  noteEnd(): void {
    const { view } = this;
    if (view === undefined) return;
    this.records = view.records;
    this.dataEnd = view.dataEnd;
    this.epoch = view.epoch;
  }

  /** Gives back mapping, index and slot, and the file too unless it still has to be synced. */
  unmount(): void {
    const { core } = this.context;
    this.noteEnd();
    this.view?.release();
    this.view = undefined;
    if (this.mapping !== undefined) {
      const { address, length } = this.mapping;
      this.mapping.unmap();
      this.mapping = undefined;
      core.memory.release(address, length);
    }
    this.dropPrivateIndex();
    if (this.userView !== undefined) this.formerView = new WeakRef(this.userView.buffer);
    this.userView = undefined;
    if (this.synced) this.closeFile();
  }

  private dropPrivateIndex(): void {
    if (this.indexRange === undefined) return;
    this.context.core.memory.release(this.indexRange.address, this.indexRange.length);
    this.indexRange = undefined;
  }

  /** Views of the file as it was stay with those who hold them. */
  private forgetViews(): void {
    this.userView = undefined;
    this.formerView = undefined;
  }

  closeFile(): void {
    this.file?.close();
    this.file = undefined;
  }

  /**
   * A private view of the whole file, made at the first call and shared by all records that are read as views. It stays
   * valid after the segment is unmounted, for as long as anyone holds a part of it.
   */
  privateView(): Bytes {
    const dataEnd = this.view?.dataEnd ?? this.dataEnd;
    const former = this.userView === undefined ? this.formerView?.deref() : undefined;
    if (former !== undefined) this.userView = bytesOf(former, 0, former.byteLength);
    if (this.userView === undefined || this.userView.words.length * 4 < dataEnd) this.userView = this.viewFile();
    if (this.userView.words.length * 4 >= dataEnd) return this.userView;
    this.forgetViews();
    throw new VarveError('ERR_VARVE_CORRUPT',
      `${this.path} is shorter than its records; run \`varve check\``,
      { path: this.path, segment: this.baseLsn, offset: dataEnd });
  }

  private viewFile(): Bytes {
    const file = this.stored;
    for (;;) {
      const size = this.trim.to ?? file.size();
      try {
        const view = file.view(size);
        return bytesOf(view.buffer as ArrayBuffer, view.byteOffset, view.length);
      } catch (error) {
        if (!this.context.readOnly || !wasTrimmed(error)) throw error;
      }
    }
  }

  /**
   * Writes index and footer behind the last frame. The file must be trimmed to its logical end then.
   *
   * What a crash leaves: an unfinished footer, or one that is not at the end of the file and so is none: recovery scans
   * the frames, which are untouched.
   */
  seal(pool: Mounter, now: number): void {
    const { core } = this.context;
    let view = pool.view(this);
    this.noteEnd();
    const indexBytes = indexBytesFor(this.records);
    if (this.mapping!.length < this.dataEnd + indexBytes + FOOTER_BYTES) {
      view = this.remount(pool, this.dataEnd + indexBytes + FOOTER_BYTES);
    }
    const at = view.base + this.dataEnd;
    const { bytes } = core.memory;
    const entries = Math.ceil(this.records / (1 << INDEX_SHIFT)) * 4;
    bytes.copyWithin(at, this.indexRange!.address, this.indexRange!.address + entries);
    bytes.fill(0, at + entries, at + indexBytes);
    const footer: FooterFields = {
      salt: this.header.salt,
      baseLsn: this.baseLsn,
      records: this.records,
      dataEnd: this.dataEnd,
      indexCrc: indexCrc(core, at, indexBytes),
      indexBytes,
      epoch: this.epoch,
      sealedAt: now,
      synced: false,
    };
    writeFooter(core, at + indexBytes, footer);
    this.trim.to = sealedBytes(footer);
    view.setIndex(at);
    this.dropPrivateIndex();
    this.forgetViews();
    this.adopt(footer);
  }

  /** Trims the file where its sealing has left that to do. */
  trimNow(): void {
    if (this.untrimmed) this.trim.now(this.stored);
  }

  /** Makes all of the file durable, in its final length. */
  syncNow(): void {
    this.trimNow();
    this.stored.syncNow();
  }

  /** Trims off the event loop; where that fails, it is still to be done. */
  async trimLater(): Promise<void> {
    if (this.untrimmed) await this.trim.later(this.stored);
  }

  /** Whether it can be appended to as it is: unsealed, mapped, with its whole capacity on disk. */
  get appendable(): boolean {
    return this.footer === undefined && this.mapping !== undefined && this.mapping.length >= this.header.capacity;
  }

  /**
   * Makes the segment appendable: allocates its capacity again, maps it writable, and clears index and footer.
   *
   * What a crash leaves: the sealed segment, or one without a footer whose frames recovery scans.
   * Errors: ERR_VARVE_DISK_FULL, with the segment as it was
   */
  thaw(pool: Mounter): SegmentView {
    if (this.appendable) return pool.view(this);
    const size = this.stored.size();
    const view = this.remount(pool, Math.max(size, this.header.capacity));
    if (this.footer !== undefined) {
      this.context.core.memory.bytes.fill(0, view.base + this.dataEnd, view.base + size);
      this.footer = undefined;
    }
    return view;
  }

  /** Maps the file anew, writable, after making it `length` bytes long; what is known of its frames stays known. */
  private remount(pool: Mounter, length: number): SegmentView {
    this.stored.allocate(length);
    this.mayChange = true;
    this.synced = false;
    pool.unmount(this);
    const { records, dataEnd, epoch } = this;
    const view = pool.view(this);
    view.setEnd(records, dataEnd, epoch);
    return view;
  }

  /** Goes on with another file in the place of the segment's own, which holds its first `records` records only. */
  replaceFile(pool: Mounter, file: StoredFile, records: number, dataEnd: number, epoch: number): void {
    pool.unmount(this);
    this.forgetViews();
    this.closeFile();
    this.attach(file);
    this.trim = new Trim();
    this.footer = undefined;
    this.synced = false;
    this.mayChange = true;
    this.records = records;
    this.dataEnd = dataEnd;
    this.epoch = epoch;
  }

  /** Epoch of the segment when only its first `records` records stay. */
  epochAt(records: number): number {
    if (records === 0 || this.view === undefined) return this.header.epoch;
    const offset = this.view.locate(records - 1);
    return this.context.core.memory.unsigned[(this.view.base + offset + Frame.epoch) / 4]!;
  }

  /** Notes in the footer that all before it is on disk; recovery then trusts it. */
  markSynced(): void {
    this.synced = true;
    this.mayChange = false;
    if (this.footer === undefined || this.footer.synced) return;
    this.footer = { ...this.footer, synced: true };
    this.stored.write(SYNCED_WORD, sealedBytes(this.footer) - SYNCED_WORD.length);
    // It was kept open for the sync alone.
    if (this.view === undefined) this.closeFile();
  }
}
