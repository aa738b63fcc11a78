/**
 * The writer of a log: what makes it durable, cuts it and closes it. Appending is host/log/appender.ts and
 * host/log/batches.ts.
 *
 * Invariants: the durable mark never passes what was committed when a sync was submitted; after a failed write or sync
 * nothing is written any more; CONTROL never promises more than the disk holds.
 */
import type { StoreIdentity } from '../core/control-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import type { Lock } from '../io/storage.ts';
import { BatchAppender } from './batches.ts';
import type { SegmentPool } from './pool.ts';
import { takePlace, writeKept, type Recovered, type Replacement } from './recovery.ts';
import type { LogContext, Segment } from './segment.ts';
import { Syncer, type SyncTarget } from './syncer.ts';

/** Sealed segments that may wait for a sync before one is started without being asked for. */
const UNSYNCED_SEGMENTS_MAX = 16;

export class LogWriter extends BatchAppender {
  private readonly lock: Lock;
  private readonly syncer: Syncer;
  private durable: { lsn: number; position: number };
  /** Rises with each truncation, so that a sync that was under way does not mark what was cut. */
  private cuts = 0;
  private state: 'open' | 'poisoned' | 'closed' = 'open';
  private poison: unknown;
  /** Whether the log was poisoned by what nobody had asked for, so that nobody knows of it yet. */
  private untold = false;
  /** The last call of `dropBefore`, while it is under way. */
  private dropping: Promise<void> | undefined;

  constructor(context: LogContext, pool: SegmentPool, recovered: Recovered, lock: Lock, segmentBytes: number) {
    super(context, pool, recovered, segmentBytes);
    this.lock = lock;
    this.durable = recovered.durable;
    for (const segment of recovered.leftovers.segments) if (segment !== this.segments.last) this.unsynced.add(segment);
    this.syncer = new Syncer({
      isDurable: () => this.durable.lsn === this.lastLsn && this.unsynced.size === 0,
      durableLsn: () => this.durable.lsn,
      syncFiles: () => this.syncFiles(),
      failed: (error) => { this.poisonWith(error); },
    });
  }

  get durableLsn(): number { return this.durable.lsn; }
  get durablePosition(): number { return this.durable.position; }
  get identity(): StoreIdentity { return this.recovered.identity; }
  /** Syncs of the disk that group commit has made. */
  get syncs(): number { return this.syncer.count; }
  get poisoned(): boolean { return this.state === 'poisoned'; }
  get isOpen(): boolean { return this.state === 'open'; }

  /** Changes with each truncation. */
  get generation(): number { return this.cuts; }

  protected isDurable(lsn: number): boolean {
    return this.durable.lsn >= lsn;
  }

  protected segmentSealed(): void {
    if (this.unsynced.size > UNSYNCED_SEGMENTS_MAX) this.syncUnasked();
  }

  /** Syncs with nobody waiting. A failure poisons the log; whoever writes next is told, or whoever closes. */
  syncUnasked(): void { this.sync().catch(() => { this.untold = true; }); }

  /** Drops the whole segments whose records are all below `lsn`; the active one stays. */
  truncateBefore(lsn: number): void {
    this.requireOpen();
    const { list } = this.segments;
    const drop = list.filter((_, at) => (list[at + 1]?.baseLsn ?? Infinity) <= lsn);
    if (drop.length === 0) return;
    const first = list[drop.length]!;
    const firstLsn = first.baseLsn;
    this.guard(() => {
      this.recovered.leftovers.finish();
      // The segment that the log will begin with must be there after a crash, under its name and with its header.
      if (!first.synced) first.stored.syncNow();
      this.context.storage.syncDirectoryNow(this.context.directory);
      // CONTROL first: a crash in between leaves segments that the next opening drops.
      if (this.durable.lsn < firstLsn - 1) {
        this.durable = { lsn: firstLsn - 1, position: first.header.basePosition };
      }
      this.writeMarks(this.durable.lsn, firstLsn, undefined);
      this.recovered.control.sync();
      for (const segment of drop) this.removeSegment(segment);
      this.context.storage.syncDirectoryNow(this.context.directory);
    });
    this.waker.later();
  }

  /**
   * Does what `truncateBefore` does without blocking: it syncs and removes files off the event loop, one at a time.
   * Everything that is committed when it is called becomes durable on the way. The records are gone for everybody as
   * soon as CONTROL says so in memory; files that a crash, an error or `closeNow` leaves the next opening removes.
   *
   * Errors: ERR_VARVE_POISONED, ERR_VARVE_IO (the log is poisoned then), ERR_VARVE_CLOSED (nothing was dropped)
   */
  dropBefore(lsn: number): Promise<void> {
    const earlier = this.dropping?.catch(() => undefined);
    const run = (earlier === undefined ? this.drop(lsn) : earlier.then(() => this.drop(lsn))).finally(() => {
      if (this.dropping === run) this.dropping = undefined;
    });
    return this.dropping = run;
  }

  private async drop(lsn: number): Promise<void> {
    const kept = await this.keptOnDisk(lsn);
    if (kept === undefined) return;
    const { storage, directory } = this.context;
    // No await between the two: whoever writes the marks next must begin where they do.
    this.writeMarks(this.durable.lsn, kept.baseLsn, undefined);
    const dropped = this.segments.takeBefore(kept);
    for (const segment of dropped) this.unsynced.delete(segment);
    this.waker.later();
    try {
      // CONTROL first: a crash in between leaves segments that the next opening drops.
      await this.recovered.control.syncLater();
      for (let segment = dropped.shift(); segment !== undefined; segment = dropped.shift()) {
        this.segments.letGo(segment);
        if (this.state === 'closed') return;
        this.requireOpen();
        // The last one to have the file pays for its blocks, so it is closed before.
        await storage.removeLater(segment.path);
      }
      if (this.state !== 'closed') await storage.syncDirectory(directory);
    } catch (error) {
      this.poisonWith(error);
      throw error;
    } finally {
      for (const segment of dropped) this.segments.letGo(segment);
    }
  }

  /** The segment that the log begins with when all below `lsn` are gone, once it is on disk; none where none goes. */
  private async keptOnDisk(lsn: number): Promise<Segment | undefined> {
    let synced: { readonly kept: Segment; readonly cuts: number } | undefined;
    for (;;) {
      if (this.state === 'closed') {
        throw new VarveError('ERR_VARVE_CLOSED', `${this.context.directory} was closed before its oldest records were `
          + 'dropped; open it again', { path: this.context.directory });
      }
      this.requireOpen();
      const kept = this.segments.list.findLast(({ baseLsn }) => baseLsn <= lsn);
      if (kept === undefined || kept === this.segments.first) return undefined;
      // While the sync ran it may have been dropped itself, or cut, and another file be in its place.
      if (synced?.kept === kept && synced.cuts === this.cuts) return kept;
      synced = { kept, cuts: this.cuts };
      CANARY: if (globalThis.varveCanary === 'drop') return kept;
      // A sync of its own would be told of a failure in the place of one that somebody waits for.
      await this.sync();
    }
  }

  private removeSegment(segment: Segment): void {
    this.unsynced.delete(segment);
    this.segments.drop(segment);
    this.context.storage.remove(segment.path);
  }

  /** Cuts every record behind `lsn`. */
  truncateAfter(lsn: number): void {
    this.requireOpen();
    if (lsn >= this.lastLsn) return;
    const kept = this.segments.find(lsn) ?? this.segments.first!;
    this.spare.drop();
    // A disk without room for what stays is found out before anything is cut.
    const replacement = writeKept(this.context, this.pool, kept, lsn);
    try {
      this.cutDown(lsn, replacement);
    } catch (error) {
      // Where it has not taken its place, nobody else will close it.
      if (kept.dataEnd !== replacement.dataEnd) replacement.file.close();
      throw error;
    }
  }

  private cutDown(lsn: number, replacement: Replacement): void {
    const { storage, directory } = this.context;
    this.guard(() => {
      this.recovered.leftovers.finish();
      this.cuts++;
      this.segments.cuts.push(lsn);
      this.page.generation += 1;
      this.epoch += 1;
      this.page.writeWriter(
        { epoch: this.epoch, open: true, pid: storage.pid, segmentBytes: this.segmentBytes }, storage.now());
      const durableLsn = Math.min(this.durable.lsn, lsn);
      this.writeMarks(durableLsn, this.firstLsn, lsn);
      this.recovered.control.sync();
      // Each step leaves a log that can be read, in case that the next one fails.
      this.segments.last!.noteEnd();
      this.nextLsn = this.lastLsn + 1;
      this.nextPosition = this.position;
      this.view = undefined;
      this.softEnd = 0;
      this.pool.pinned = undefined;
      for (const segment of [...this.segments.list].reverse()) {
        if (segment.baseLsn <= lsn || segment === this.segments.first) break;
        this.nextLsn = segment.baseLsn;
        this.nextPosition = segment.header.basePosition;
        this.removeSegment(segment);
      }
      storage.syncDirectoryNow(directory);
      const last = this.segments.last!;
      try {
        takePlace(this.context, this.pool, last, replacement);
      } finally {
        this.nextLsn = last.lastLsn + 1;
        this.nextPosition = last.endPosition;
      }
      this.unsynced.delete(last);
      this.page.publish(lsn, this.nextPosition, last.baseLsn, this.page.generation + 1);
      // Segments before may still wait for a sync; what is durable has not grown.
      if (durableLsn === lsn) this.durable = { lsn, position: this.nextPosition };
      this.writeMarks(durableLsn, this.firstLsn, undefined);
      this.recovered.control.sync();
    });
    this.waker.later();
  }

  /** The LSN from which on records stay, where the oldest segments go until the rest is small and young enough. */
  retainedFrom(bytesMax: number, ageMax: number): number {
    const oldest = this.context.storage.now() - ageMax;
    return this.segments.retainedFrom(this.position - bytesMax, oldest) ?? this.firstLsn;
  }

  /** Drops every record; the numbering goes on. */
  reset(): void {
    this.rotate();
    this.truncateBefore(this.lastLsn + 1);
  }

  private writeMarks(durableLsn: number, firstLsn: number, truncateLsn: number | undefined): void {
    this.page.writeMarks({ durableLsn, durablePosition: this.durable.position, firstLsn, truncateLsn });
  }

  /** Resolves with the durable LSN when all that is committed now is on disk. */
  async sync(): Promise<number> {
    this.requireOpen();
    return this.syncer.sync();
  }

  /** Blocks until all that is committed now is on disk. */
  syncNow(): number {
    this.requireOpen();
    this.guard(() => {
      const target = this.capture();
      for (const segment of target.sealed) segment.syncNow();
      target.active?.stored.syncNow();
      if (target.names > 0) this.context.storage.syncDirectoryNow(this.context.directory);
      this.markDurable(target);
    });
    return this.durable.lsn;
  }

  /** What a sync that is submitted now covers. */
  private capture(): SyncTarget {
    const { last } = this.segments;
    this.recovered.leftovers.finish();
    this.pages.syncAsked();
    return {
      lsn: this.lastLsn,
      position: this.position,
      cuts: this.cuts,
      sealed: [...this.unsynced],
      active: this.view !== undefined || last?.synced === false ? last : undefined,
      end: this.view === undefined ? 0 : this.tail,
      names: this.namesMade > this.namesSynced ? this.namesMade : 0,
    };
  }

  private async syncFiles(): Promise<void> {
    for (;;) {
      this.requireOpen();
      const target = this.capture();
      await this.syncTarget(target);
      CANARY: if (globalThis.varveCanary === 'mark') Object.assign(target, this.capture());
      // Closing has synced by itself. After a truncation, which wrote its own marks, everything is looked at again.
      if (this.state === 'closed') return;
      if (target.cuts === this.cuts) {
        this.markDurable(target);
        return;
      }
    }
  }

  private async syncTarget(target: SyncTarget): Promise<void> {
    CANARY: if (globalThis.varveCanary === 'sync') return;
    const { active } = target;
    if (target.sealed.length > 0 || target.names > 0) {
      const syncs = target.sealed.map((segment) => this.syncSealed(segment));
      if (active !== undefined) syncs.push(active.stored.sync());
      if (target.names > 0) syncs.push(this.context.storage.syncDirectory(this.context.directory));
      await Promise.all(syncs);
    } else if (active !== undefined) {
      await active.stored.sync();
    }
  }

  private async syncSealed(segment: Segment): Promise<void> {
    if (segment.untrimmed) await segment.trimLater();
    // Meanwhile it may have been dropped or cut, or all been synced and closed: then its file is no matter of ours.
    if (this.unsynced.has(segment) && this.state !== 'closed') await segment.stored.sync();
  }

  private markDurable(target: SyncTarget): void {
    for (const segment of target.sealed) {
      if (this.unsynced.delete(segment)) segment.markSynced();
    }
    this.namesSynced = Math.max(this.namesSynced, target.names);
    // A blocking sync or a truncation that came in between may have gone further.
    if (target.lsn < this.durable.lsn) return;
    this.durable = { lsn: target.lsn, position: target.position };
    if (this.view !== undefined && target.active === this.segments.last) this.view.durable = target.end;
    this.writeMarks(target.lsn, this.firstLsn, undefined);
    // Some follow what is durable.
    this.waker.later();
  }

  protected poisonWith(cause: unknown): void {
    if (this.state !== 'open') return;
    this.state = 'poisoned';
    this.poison = cause;
    this.softEnd = 0;
    this.spare.drop();
  }

  /** Runs what must not stop half-way: an error poisons the log. */
  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.poisonWith(error);
      throw error;
    }
  }

  /** What has failed was told to nobody: where it has poisoned the log, closing is to tell. */
  leaveUntold(): void { this.untold = this.state === 'poisoned'; }

  /** Refuses a write to a poisoned or closed log. */
  requireOpen(): void {
    const { state, context: { directory: path } } = this;
    if (state === 'open') return;
    if (state === 'closed') throw new VarveError('ERR_VARVE_CLOSED', `${path} was closed meanwhile; open it again`, { path });
    this.untold = false;
    const reason = this.poison instanceof Error ? this.poison.message : String(this.poison);
    throw new VarveError('ERR_VARVE_POISONED',
      `${path}: an earlier write or sync failed (${reason}), so nothing is written any more; close the log and open it `
      + 'again', { path }, this.poison);
  }

  /** Syncs and closes, blocking; whatever fails, the lock is released and nothing stays mapped. */
  closeNow(): void {
    if (this.state === 'closed') return;
    try {
      if (this.state === 'open') this.closeCleanly();
      else if (this.untold) this.requireOpen();
    } finally {
      this.state = 'closed';
      this.waker.close();
      this.softEnd = 0;
      this.view = undefined;
      this.spare.drop();
      this.pool.unmountAll();
      for (const segment of this.segments.list) segment.closeFile();
      this.recovered.control.close();
      this.lock.release();
    }
  }

  private closeCleanly(): void {
    this.sealActive();
    for (const segment of this.segments.list) segment.trimNow();
    const named = this.namesMade === this.namesSynced;
    if (!named || this.unsynced.size > 0 || this.durable.lsn !== this.lastLsn) this.syncNow();
    const { storage } = this.context;
    this.page.writeWriter(
      { epoch: this.epoch, open: false, pid: storage.pid, segmentBytes: this.segmentBytes }, storage.now());
    this.waker.now();
    this.recovered.control.sync();
  }

  /** Waits for what is under way, then closes. */
  async close(): Promise<void> {
    while (this.dropping !== undefined) await this.dropping.catch(() => undefined);
    await this.syncer.idle();
    await this.spare.end();
    this.closeNow();
  }
}
