/**
 * The writer of one core of a group: entries into its own log, and answers to what the group asks of all writers.
 *
 * - An append stores to nothing that another core's writer loads or stores: it looks at the group's epoch, a word that
 *   changes once an epoch, and writes to its own log.
 * - What is asked stands in GROUP: a higher epoch, a sync, records that may be dropped. The writer looks when it
 *   appends (the epoch alone) and when it is woken, and answers in its own line of GROUP.
 * - Epochs never fall along the log, and no writer is ahead of the group: where opening, a truncation or a barrier
 *   raises the log's epoch, the group's is raised first.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Kind } from '../generated/abi.ts';
import { CORE_STATE, type GroupPage } from '../core/group-page.ts';
import type { RecoveryReport } from '../log/report.ts';
import type { LogWriter } from '../log/writer.ts';
import { commitBytes, encodeCommit, type CommitOffsets } from './commit.ts';
import { endedEpoch } from './epochs.ts';
import type { GroupFile } from './group-file.ts';
import { checkData, checkUserKind, checkWhole, type CheckedWalOptions } from './options.ts';

/** Entries within one turn of the event loop that share a look at the clock. */
const CLOCK_ENTRIES = 64;
/** How long a writer sleeps at most before it looks by itself whether something is asked of it. */
const LOOK_MS = 1000;
const TWO_TO_32 = 2 ** 32;
const NS_PER_MS = 1e6;
const NO_KEY = new Uint8Array(0);

/** A core's log, opened for writing, and what belongs to it. */
export interface AttachedCore {
  readonly group: GroupFile;
  readonly core: number;
  readonly log: LogWriter;
  readonly report: RecoveryReport;
  readonly options: CheckedWalOptions;
  /** Told when the writer has closed. */
  readonly closed: (writer: WalWriter) => void;
}

/**
 * The one writer of a core. An entry is *committed* when the call that appends it returns: it survives the death of the
 * process. It is *durable*, and survives the death of the machine, when a `sync` that was called afterwards has
 * resolved. Positions are bytes of the core's log since it began; sequences count its entries, from 1, without gaps.
 *
 * @example
 * const writer = await WalGroup.attach('./wal', 2);
 * writer.put('balance/17', '250');
 * writer.commit({ 'payments-2': 1841 }, Date.now());
 * await writer.sync();
 */
export class WalWriter {
  /** Which core of the group it is, from 0. */
  readonly core: number;
  /** What opening the core's log found and did. */
  readonly recovery: RecoveryReport;
  private readonly group: GroupFile;
  private readonly page: GroupPage;
  private readonly log: LogWriter;
  private readonly words: Uint32Array;
  private readonly bytes: Uint8Array;
  private readonly epochWord: number;
  private readonly options: CheckedWalOptions;
  private readonly now: () => number;
  private readonly told: (writer: WalWriter) => void;
  /** The time of the next entries, in nanoseconds since 1970, and for how many it holds. */
  private timeLow = 0;
  private timeHigh = 0;
  private clockIn = 0;
  /** Entries until the policy asks for a sync. */
  private syncIn: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly number = new DataView(new ArrayBuffer(8));
  private readonly numberBytes = new Uint8Array(this.number.buffer);
  private lastSync: number | undefined;
  /** Epochs that were ended here and whose barriers are not known to be on disk, oldest first. */
  private readonly unsynced: { readonly ended: number; readonly lsn: number }[] = [];
  /** The asking for a sync that is being answered, and the LSN up to which a drop was begun. */
  private answering: number;
  private dropping = 0;
  private isClosed = false;

  constructor({ group, core, log, report, options, closed }: AttachedCore) {
    const { memory } = group.context.core;
    this.group = group;
    this.page = group.page;
    this.core = core;
    this.log = log;
    this.recovery = report;
    this.options = options;
    this.told = closed;
    this.words = memory.unsigned;
    this.bytes = memory.bytes;
    this.epochWord = group.page.epochWord;
    this.now = options.now ?? (() => performance.timeOrigin + performance.now());
    this.syncIn = options.sync.entries === 0 ? Infinity : options.sync.entries;
    this.page.raiseEpoch(log.epoch);
    log.raiseEpoch(this.page.epoch);
    this.noteEnded();
    this.answering = log.durableLsn >= log.lastLsn ? this.page.syncs : this.page.synced(core);
    this.page.setSynced(core, this.answering);
    this.page.setCoreState(core, CORE_STATE.attached, group.context.storage.pid);
    void this.listen();
  }

  /** Answers what is asked, for as long as the core is attached. Keeps no process alive. */
  private async listen(): Promise<void> {
    while (!this.isClosed) {
      const seen = this.group.asked;
      this.serve();
      await this.group.waitAsked(seen, LOOK_MS);
    }
  }

  /**
   * Appends a key with its value. Returns where the entry begins.
   *
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_RECORD_TOO_LARGE (key above 64 KiB, value above 64 MiB - 8),
   *   ERR_VARVE_DISK_FULL (nothing was appended), ERR_VARVE_POISONED, ERR_VARVE_CLOSED, ERR_VARVE_MEMORY_FULL,
   *   ERR_VARVE_IO
   */
  put(key: Uint8Array | string, value: Uint8Array | string): number {
    checkData('key', key);
    checkData('value', value);
    return this.add(Kind.Put, key, value);
  }

  /** Appends that a key is gone. Returns where the entry begins. Errors: as `put` */
  delete(key: Uint8Array | string): number {
    return this.add(Kind.Delete, checkData('key', key), NO_KEY);
  }

  /** Appends an entry of a kind of your own: 0, or 3 to 127. Returns where it begins. Errors: as `put` */
  append(kind: number, key: Uint8Array | string, value: Uint8Array | string): number {
    checkUserKind(kind);
    checkData('key', key);
    checkData('value', value);
    return this.add(kind, key, value);
  }

  /** Appends a mark with a number of your own, from 0 to 2^53 - 1. Returns where it begins. Errors: as `put` */
  checkpoint(id: number): number {
    this.number.setBigUint64(0, BigInt(checkWhole('id', id)), true);
    return this.add(Kind.Checkpoint, NO_KEY, this.numberBytes);
  }

  /**
   * Appends up to where sources were taken in, and a watermark. After a crash, `recover` gives for each source the
   * offset of the latest commit, and the highest watermark of all.
   *
   * @param offsets by the name of the source, 1 to 1,024 bytes of UTF-8: 0 to 2^64 - 1, as number or bigint
   * @param watermark -2^63 to 2^63 - 1, in a unit of your own: all up to then was taken in
   * @returns where the entry begins
   * @throws as `put`
   */
  commit(offsets: CommitOffsets, watermark?: number | bigint): number {
    const bytes = commitBytes(offsets, watermark);
    this.before();
    const { log } = this;
    const at = log.begin(bytes);
    const target = this.bytes.subarray(at, at + bytes);
    log.end(Kind.Commit, encodeCommit(target, 0, this.timeLow, this.timeHigh, offsets, watermark));
    return this.after();
  }

  /**
   * Ends the epoch of this core: appends a barrier; what follows belongs to a later epoch. The group's epoch becomes at
   * least that one, so that the other writers end theirs too, at their next entry or when they are woken. The epoch is
   * complete when every core has ended it and synced its barrier. Returns where the barrier begins. Errors: as `put`
   */
  epochBarrier(): number {
    this.before();
    const { epoch } = this.log;
    this.endEpoch(epoch);
    this.group.ring();
    return this.after();
  }

  /** Appends the barrier of an epoch, with which all before it end, and goes on in the group's. */
  private endEpoch(ended: number): void {
    const { log, page, core } = this;
    this.number.setBigUint64(0, BigInt(ended), true);
    const lsn = log.appendStamped(Kind.Barrier, NO_KEY, this.timeLow, this.timeHigh, this.numberBytes);
    page.raiseEpoch(ended + 1);
    log.raiseEpoch(page.epoch);
    page.setEnded(core, ended, lsn, log.position);
    this.unsynced.push({ ended, lsn });
    this.group.answer();
  }

  private add(kind: number, key: Uint8Array | string, value: Uint8Array | string): number {
    this.before();
    this.log.appendStamped(kind, key, this.timeLow, this.timeHigh, value);
    return this.after();
  }

  /** Before each entry: refuses a closed writer, reads the clock when it is time, and follows the group's epoch. */
  private before(): void {
    if (--this.clockIn < 0 || this.log.isFirstOfTurn) this.readClock();
    if (Atomics.load(this.words, this.epochWord) !== this.log.epoch) this.follow();
  }

  private after(): number {
    if (--this.syncIn <= 0 || this.options.sync.ms > 0) this.syncByPolicy();
    return this.log.lastPosition;
  }

  /** Where the clock is read, which is not at each entry, whatever is rare is looked at too. */
  private readClock(): void {
    this.requireOpen();
    const time = Math.max(0, this.now() * NS_PER_MS);
    this.timeHigh = time / TWO_TO_32;
    this.timeLow = time % TWO_TO_32;
    this.clockIn = CLOCK_ENTRIES;
  }

  /** Ends the epochs that the group has left. */
  private follow(): void {
    const { epoch } = this.page;
    if (epoch > this.log.epoch) this.endEpoch(epoch - 1);
  }

  private syncByPolicy(): void {
    const { blocking, entries, ms } = this.options.sync;
    if (blocking) {
      this.syncNow();
      return;
    }
    if (entries > 0 && this.syncIn <= 0) {
      this.syncIn = entries;
      this.syncUnasked();
    } else if (ms > 0 && this.timer === undefined) {
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.syncUnasked();
      }, ms);
      this.timer.unref();
    }
  }

  /** Nobody waits for it: the log is poisoned where it fails, and says so to whoever appends next. */
  private syncUnasked(): void {
    if (!this.isClosed) this.sync().catch(() => undefined);
  }

  /**
   * Resolves with the synced position once every entry that is committed now is on disk. Concurrent callers share one
   * sync of the disk, which runs off the event loop.
   *
   * @throws (rejects with) ERR_VARVE_CLOSED, ERR_VARVE_POISONED, ERR_VARVE_IO (the writer is poisoned)
   */
  async sync(): Promise<number> {
    this.requireOpen();
    await this.log.sync();
    this.noteSync();
    return this.log.durablePosition;
  }

  /** The same as `sync`, but blocks the thread until it is done. */
  syncNow(): number {
    this.requireOpen();
    this.log.syncNow();
    this.noteSync();
    return this.log.durablePosition;
  }

  private noteSync(): void {
    if (this.isClosed) return;
    this.lastSync = this.now();
    this.noteDurable();
  }

  /** Says which epochs have their barriers on disk. */
  private noteDurable(): void {
    const { unsynced, log: { durableLsn } } = this;
    let durable = 0;
    while (unsynced.length > 0 && unsynced[0]!.lsn <= durableLsn) durable = unsynced.shift()!.ended;
    if (durable > 0) this.page.setDurable(this.core, durable);
  }

  /**
   * Answers what the group asks of its writers: ends the epochs that it has left, syncs, drops what checkpoints cover.
   * A failure poisons the writer, and the group is told.
   */
  serve(): void {
    if (this.isClosed) return;
    const { page, core, log } = this;
    try {
      this.readClock();
      this.follow();
      // The group may have left it before the core was attached.
      if (page.ended(core) < page.barrier) this.endEpoch(log.epoch - 1);
      this.answerSync(page.syncs);
      const dropLsn = page.dropLsn(core);
      if (dropLsn > this.dropping && dropLsn <= log.lastLsn + 1) {
        this.dropping = dropLsn;
        log.dropBefore(dropLsn).catch(() => { this.refuse(); });
      }
    } catch {
      this.refuse();
    }
  }

  private answerSync(asked: number): void {
    if (asked <= this.answering) return;
    this.answering = asked;
    this.sync().then(
      () => {
        if (this.isClosed) return;
        this.page.setSynced(this.core, asked);
        this.group.answer();
      },
      () => { this.refuse(); });
  }

  /** Tells those who have asked that there will be no answer. */
  private refuse(): void {
    if (this.isClosed || !this.log.poisoned) return;
    this.page.setCoreState(this.core, CORE_STATE.poisoned, this.group.context.storage.pid);
    this.group.answer();
  }

  /**
   * Cuts this core's log: every entry from the one that begins at `position` on is gone, durably. What was cut is in no
   * later recovery; the numbers of its sequence are used again, in a later epoch. Blocks.
   *
   * @param position what an append has returned, or the end of the log
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE (no entry begins there), ERR_VARVE_CLOSED,
   *   ERR_VARVE_POISONED, ERR_VARVE_DISK_FULL (nothing was cut), ERR_VARVE_IO
   */
  truncate(position: number): void {
    checkWhole('position', position);
    this.requireOpen();
    const { log } = this;
    if (position === log.position) return;
    const lsn = log.segments.lsnAtPosition(position);
    if (lsn === undefined) {
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `no entry of core ${this.core} begins at position ${position}; its log ends at ${log.position}`,
        { core: this.core, position, end: log.position });
    }
    log.truncateAfter(lsn - 1);
    this.afterCut();
  }

  /** Drops every entry of this core; sequence and position go on. Blocks. Errors: as `truncate` */
  reset(): void {
    this.requireOpen();
    this.log.reset();
    this.afterCut();
  }

  /** A cut has raised the log's epoch. */
  private afterCut(): void {
    const { log, page } = this;
    page.raiseEpoch(log.epoch);
    log.raiseEpoch(page.epoch);
    this.noteEnded();
  }

  /** Says which epoch was ended last, as the log shows it. */
  private noteEnded(): void {
    const { log, page, core, unsynced } = this;
    const ended = endedEpoch(log);
    page.setEnded(core, ended, log.lastLsn, log.position);
    page.setDurable(core, Math.min(page.durable(core), ended));
    unsynced.splice(0, Infinity, { ended, lsn: log.lastLsn });
    this.noteDurable();
  }

  /** The epoch that the next entry belongs to, unless the group's rises before. */
  get epoch(): number { return this.log.epoch; }
  /** Sequence of the last entry; one less than that of the first where there is none. */
  get sequence(): number { return this.log.lastLsn; }
  /** Where the next entry begins, in bytes. */
  get position(): number { return this.log.position; }
  /** Up to where everything is known to be on disk, in bytes. */
  get syncedPosition(): number { return this.log.durablePosition; }
  /** Entries that are not known to be on disk. */
  get entriesSinceSync(): number { return this.log.lastLsn - this.log.durableLsn; }
  /** When a sync of this writer has last succeeded, in milliseconds since 1970. */
  get lastSyncAt(): number | undefined { return this.lastSync; }
  /** Whether it was closed. */
  get closed(): boolean { return this.isClosed; }
  /** Whether a failed write or sync has stopped all writing. */
  get poisoned(): boolean { return this.log.poisoned; }

  private requireOpen(): void {
    if (!this.isClosed) return;
    throw new VarveError('ERR_VARVE_CLOSED', `the writer of core ${this.core} is closed; attach the core again`,
      { core: this.core });
  }

  /**
   * Syncs and closes the core's log; others may attach it then. Idempotent.
   *
   * @throws (rejects with) ERR_VARVE_IO, ERR_VARVE_DISK_FULL; the core is free all the same
   */
  async close(): Promise<void> {
    if (!this.leave()) return;
    try {
      await this.log.close();
    } finally {
      this.left();
    }
  }

  /** The same as `close`, but blocks the thread until it is done. */
  closeSync(): void {
    if (!this.leave()) return;
    try {
      this.log.closeNow();
    } finally {
      this.left();
    }
  }

  private leave(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    // The next entry looks at the clock, and finds the writer closed.
    this.clockIn = 0;
    clearTimeout(this.timer);
    return true;
  }

  private left(): void {
    const { page, core } = this;
    this.noteDurable();
    page.setCoreState(core, CORE_STATE.detached, 0);
    this.group.answer();
    this.told(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
