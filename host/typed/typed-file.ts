/**
 * The open file of a typed store: header, records and lock, growth, recovery, durability. What is in the records is
 * host/typed/typed-store.ts's business.
 *
 * - The header's first page is mapped at an address of its own, because the count is needed wherever the window is.
 * - Blocks and the length come first, durable, then the mapping, then the capacity in the header: whoever reads it may
 *   map, and no power cut leaves a header that promises more than the file holds.
 * - Where many write, growing takes turns and the capacity only ever rises: no one takes back what another added.
 * - After a failed sync nothing is written any more: the view is made read-only, so that writing costs no check.
 */
import type { Core } from '../core/core.ts';
import { RANGE_ALIGNMENT } from '../core/memory.ts';
import { RingView } from '../core/ring-view.ts';
import { LiveHeader, type TypedWriterGroup } from '../core/typed-header.ts';
import { TypedView } from '../core/typed-view.ts';
import { VarveError } from '../errors/varve-error.ts';
import { WriteMode } from '../generated/abi.ts';
import type { Lock, Mapping, SharedLock, StoredFile } from '../io/storage.ts';
import { Bell } from '../log/bell.ts';
import { Syncer } from '../log/syncer.ts';
import { capacityFor } from './create.ts';
import {
  checkLive, isRing, madeOtherwise, type FormatName, type StoredHeader, type TypedContext, type TypedFormat,
} from './header.ts';
import type { Layout } from './layout.ts';
import { recoverRecords, type TypedRecovery } from './recovery.ts';
import { RecordWindow } from './window.ts';

export interface TypedFileOptions {
  readonly format: FormatName;
  /** Whether the file is made where there is none; `'new'`: and there only. */
  readonly create: boolean | 'new';
  /** Whether one process writes, or several do. */
  readonly writers: 'one' | 'many';
  /** Whether each record ends with a checksum; format `varve` only. Where not given, as the file is. */
  readonly checksums?: boolean;
  /** Whether the oldest record makes room for the newest; format `varve` only. Where not given, as the file is. */
  readonly ring?: boolean;
  /** Records that a new file has room for, rounded up to 64, 128, 256 …; those of a ring, exactly. */
  readonly capacity?: number;
  /** What a new file keeps for its user; format `varve` only. */
  readonly metadata?: Uint8Array;
  /** Whether `noteWrite` is called before the first write to the view; else it is when the file is opened. */
  readonly notesWrites?: boolean;
  /** Bytes of the core's memory that the records are seen through; default 256 MiB, or what the file needs. */
  readonly reservedBytes?: number;
}

/** Bytes whose pages are made ready at a time. */
const READY_BYTES = 262144;
const WHOLE: TypedRecovery = { torn: [], damaged: [], clearedWords: 0 };

/** A lock on the store. */
export type StoreLock = Lock & Partial<SharedLock>;

export class TypedFile {
  readonly path: string;
  readonly readOnly: boolean;
  readonly layout: Layout;
  /** What readers of the file must know: a set of `TYPED_FEATURE_…`. */
  readonly features: number;
  /** Whether the oldest record makes room for the newest. An index is a sequence number then, and lies in a slot. */
  readonly isRing: boolean;
  readonly metadata: Uint8Array;
  /** The mapped records; the only way to them. */
  readonly view: TypedView;
  /** What opening found that a dead writer had left. */
  readonly recovery: TypedRecovery;
  /** Rung when records have changed; absent where the format has none. */
  readonly bell: Bell | undefined;
  private readonly context: TypedContext;
  private readonly file: StoredFile;
  private readonly recordsOffset: number;
  private readonly mode: WriteMode;
  private readonly lock: StoreLock | undefined;
  private readonly headerMapping: Mapping;
  private readonly live: LiveHeader;
  private readonly window: RecordWindow;
  private readonly syncer: Syncer;
  /** Records that are known to have room. */
  private known: number;
  /** Index of the first record whose page may not be ready to be stored to. */
  private ready = 0;
  /** Whether the disk knows that it is open for writing. */
  private isOpenDurable = false;
  /** Whether there may be something to sync when it is closed. */
  private mustSync = true;
  private state: 'open' | 'poisoned' | 'closed' = 'open';
  private poison: unknown;

  constructor(
    context: TypedContext, format: TypedFormat, file: StoredFile, header: StoredHeader, options: TypedFileOptions,
    lock: StoreLock | undefined,
  ) {
    const { core, path, readOnly } = context;
    this.context = context;
    this.path = path;
    this.readOnly = readOnly;
    this.layout = header.layout;
    this.features = header.features;
    this.isRing = isRing(header.features);
    this.metadata = header.metadata;
    this.recordsOffset = header.recordsOffset;
    this.file = file;
    this.lock = lock;
    this.mode = readOnly ? WriteMode.ReadOnly : options.writers === 'one' ? WriteMode.One : WriteMode.Many;
    const undo: (() => void)[] = [];
    try {
      const { memory } = core;
      const address = memory.reserve(RANGE_ALIGNMENT);
      undo.push(() => { memory.release(address, RANGE_ALIGNMENT); });
      this.headerMapping = file.map(memory, address, format.liveBytes, readOnly ? 'read' : 'write');
      undo.push(() => { this.headerMapping.unmap(); });
      this.live = new LiveHeader(core, address, format.live);
      const { wakeGroup } = this.live;
      this.bell = wakeGroup && new Bell(wakeGroup, context.storage, file);
      this.known = this.checkedCapacity();
      this.requireCapacity(options.capacity);
      this.window = new RecordWindow(memory, file, this.places, !readOnly, this.known, options.reservedBytes);
      undo.push(() => { this.window.release(); });
      this.recovery = lock !== undefined && lock.alone !== false ? this.recover() : WHOLE;
      this.view = this.newView(core);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    this.syncer = new Syncer({
      // Stores into a mapping leave no trace here: there may always be something to sync.
      isDurable: () => false,
      durableLsn: () => 0,
      syncFiles: () => this.file.sync(),
      failed: (error) => { this.poisonWith(error); },
    });
  }

  /** Records that are there, now; of a ring, all that ever were appended. */
  get count(): number { return this.live.count; }
  /** Index of the first record that is there, now. */
  get first(): number { return this.isRing ? Math.max(0, this.count - this.known) : 0; }
  /** Records that the file has room for, as far as is known; `refresh` looks again. */
  get capacity(): number { return this.known; }
  get poisoned(): boolean { return this.state === 'poisoned'; }
  get closed(): boolean { return this.state === 'closed'; }
  /** Syncs of the disk that group commit has made. */
  get syncs(): number { return this.syncer.count; }
  /** Indices of the records whose stamps a dead writer had left odd. */
  get recovered(): readonly number[] { return this.recovery.torn; }

  /** Who has or had it open to write, as its header says; `undefined` where it does not. */
  get writer(): TypedWriterGroup | undefined { return this.live.writer; }
  /** Whether a name leads to the file still. */
  isNamed(): boolean { return this.file.isNamed(); }

  private get places() { return { recordsOffset: this.recordsOffset, stride: this.layout.stride }; }

  /** The capacity in the header, checked against count and file. */
  private checkedCapacity(): number {
    // In this order: the count never passes the capacity, nor the capacity the file.
    const { count } = this.live;
    const { capacity } = this.live;
    checkLive(
      this.path, { count, capacity }, this.isRing, this.recordsOffset, this.layout.stride, this.file.size());
    return capacity;
  }

  /** Throws where a ring was asked for that holds another number of records. */
  private requireCapacity(expected: number | undefined): void {
    if (!this.isRing || expected === undefined || expected === this.known) return;
    throw madeOtherwise(this.path, [{ what: 'capacity', expected, actual: this.known }]);
  }

  /** Nobody else writes: cuts what a growth that was not finished has left, and mends the records. */
  private recover(): TypedRecovery {
    const { core, storage } = this.context;
    const { stride } = this.layout;
    const length = this.recordsOffset + this.known * stride;
    // What lies behind belongs to no record, so that nobody has ever looked at it.
    const isLonger = this.file.size() > length;
    if (isLonger) this.file.truncate(length);
    const { writer, count } = this.live;
    // Whoever closed it had synced it, and nobody has written since: `noteWrite` would have said so.
    const wasClosed = writer?.open === false;
    const recovery = wasClosed ? WHOLE : recoverRecords(core, this.window, {
      stride, count, capacity: this.known, ring: this.isRing, checksumAt: this.layout.checksumAt,
    });
    this.mustSync = !wasClosed || isLonger;
    const epoch = (writer?.epoch ?? 0) + 1;
    this.live.writeWriter({ epoch, open: true, pid: storage.pid, mode: this.mode }, storage.now());
    return recovery;
  }

  private newView(core: Core): TypedView {
    const View = this.isRing ? RingView : TypedView;
    return new View(core, {
      ...this.visible(), stride: this.layout.stride, countAt: this.live.countAt, mode: this.mode,
      checksumAt: this.layout.checksumAt, slots: this.isRing ? this.known : 0,
      // Only x86-64 keeps stores in their order.
      strict: process.arch !== 'x64',
    });
  }

  /** What the core may see. */
  private visible() {
    const { base, first, room } = this.window;
    if (this.isRing) return { base, first, room, limit: 0 };
    const within = (index: number) => Math.min(Math.max(index - first, 0), room);
    return { base, first, room, limit: within(this.live.count), ready: within(this.ready) };
  }

  /** Makes the pages of the next records ready, so that storing to them costs no fault each. */
  makeReady(): void {
    this.requireWritable();
    this.ready = this.window.makeReady(this.count, READY_BYTES);
    this.view.moveTo(this.visible());
  }

  /**
   * Told before records are written. The first time it syncs, so that a power cut never leaves changed records under a
   * header that says that the file was closed: then opening has nothing to look for, however large it is.
   */
  noteWrite(): void {
    this.mustSync = true;
    if (this.isOpenDurable || this.live.writer === undefined) return;
    this.syncNow();
    this.isOpenDurable = true;
  }

  /** Says that so many records were appended before, of a file that nobody else knows of yet. */
  startAt(count: number): void {
    this.live.count = count;
    this.view.moveTo(this.visible());
  }

  /** Where a record lies, counted in records from the first place. */
  placeOf(index: number): number { return this.isRing ? index % this.known : index; }

  /** Whether a record that is there can be reached through the view. */
  shows(index: number): boolean { return this.window.contains(this.placeOf(index)); }

  /** Takes notice of what other processes have appended, and of the room that they have made. */
  refresh(): void {
    this.requireNotClosed();
    if (!this.isRing && this.live.capacity > this.known) {
      const capacity = this.checkedCapacity();
      this.extend(capacity);
      this.known = capacity;
    }
    this.view.moveTo(this.visible());
  }

  /**
   * Makes room for at least so many records, and syncs. Where there is no room, everything is as it was. A ring is
   * left as it is.
   *
   * Errors: ERR_VARVE_DISK_FULL, ERR_VARVE_READ_ONLY, ERR_VARVE_POISONED, ERR_VARVE_CLOSED
   */
  grow(least: number): void {
    this.requireWritable();
    this.refresh();
    if (this.isRing || least <= this.known) return;
    const capacity = capacityFor(least, this.known);
    this.file.allocate(this.recordsOffset + capacity * this.layout.stride, this.mode === WriteMode.Many);
    // The new length is durable before the capacity can be: a power cut never leaves a header that promises too much.
    this.mustSync = true;
    this.syncNow();
    this.extend(capacity);
    this.known = capacity;
    this.live.raiseCapacity(capacity);
    this.view.moveTo(this.visible());
  }

  /** Shows more of the file. A new mapping has no pages that are ready. */
  private extend(capacity: number): void {
    this.window.extend(capacity);
    this.ready = 0;
  }

  /** Shows the records around `index`, for which there is room. */
  moveTo(index: number): void {
    this.requireNotClosed();
    const place = this.placeOf(index);
    if (!this.window.contains(place)) {
      this.window.moveTo(place, this.known);
      this.ready = 0;
    }
    this.view.moveTo(this.visible());
  }

  /** Throws where the live words of the header are damaged: ERR_VARVE_CORRUPT. */
  requireSane(): void {
    this.checkedCapacity();
  }

  /** Makes room for one more record and shows its place: what to do when an append finds the mapped part full. */
  makeRoom(): void {
    this.requireWritable();
    // A count that is damaged may never have room.
    this.requireSane();
    this.grow(this.count + 1);
    this.moveTo(this.count);
  }

  /** Resolves when everything that was written before is on disk; concurrent callers share one sync. */
  async sync(): Promise<void> {
    this.requireWritable();
    await this.syncer.sync();
  }

  /** The same, blocking. */
  syncNow(): void {
    this.requireWritable();
    try {
      this.file.syncNow();
    } catch (error) {
      this.poisonWith(error);
      throw error;
    }
  }

  /**
   * Syncs, where something may have been written, and gives everything back. Idempotent; what fails is thrown when all
   * is given back.
   */
  close(): void {
    if (this.state === 'closed') return;
    try {
      if (this.state === 'open' && !this.readOnly && this.mustSync) this.syncNow();
      // Of many writers nobody knows that he is the last.
      if (this.state === 'open' && this.mode === WriteMode.One) this.writeClosed();
    } finally {
      this.abandon();
      this.lock?.release();
    }
  }

  private writeClosed(): void {
    const { storage } = this.context;
    const epoch = this.live.writer?.epoch ?? 0;
    this.live.writeWriter({ epoch, open: false, pid: storage.pid, mode: this.mode }, storage.now());
  }

  /** Gives everything back but the lock, as it is. */
  abandon(): void {
    this.state = 'closed';
    this.view.release();
    this.window.release();
    this.headerMapping.unmap();
    this.context.core.memory.release(this.headerMapping.address, RANGE_ALIGNMENT);
    this.file.close();
  }

  private poisonWith(error: unknown): void {
    if (this.state !== 'open') return;
    this.state = 'poisoned';
    this.poison = error;
    this.view.mode = WriteMode.ReadOnly;
  }

  private requireNotClosed(): void {
    if (this.state === 'closed') {
      throw new VarveError('ERR_VARVE_CLOSED', `the typed store in ${this.path} is closed; open it again`, { path: this.path });
    }
  }

  /** Throws where nothing may be written. */
  requireWritable(): void {
    this.requireNotClosed();
    if (this.readOnly) {
      throw new VarveError('ERR_VARVE_READ_ONLY', `${this.path} is open read-only; open it for writing`, { path: this.path });
    }
    if (this.state === 'open') return;
    const reason = this.poison instanceof Error ? this.poison.message : String(this.poison);
    throw new VarveError('ERR_VARVE_POISONED',
      `an earlier sync of ${this.path} failed (${reason}), so nothing is written any more; close it and open it again`,
      { path: this.path }, this.poison);
  }
}
