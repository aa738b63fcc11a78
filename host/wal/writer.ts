/**
 * The writer of one core of a group, as its users see it: entries into its own log, and making them durable. What it
 * does for the group is host/wal/service.ts.
 *
 * An append stores to nothing that another core's writer loads or stores: it looks at the group's epoch, a word that
 * changes once an epoch, and writes to its own log.
 */
import { VarveError } from '../errors/varve-error.ts';
import { Kind } from '../generated/abi.ts';
import type { RecoveryReport } from '../log/report.ts';
import type { LogWriter } from '../log/writer.ts';
import { Checkpoints } from './checkpoints.ts';
import { isUnusable } from './checkpoint-file.ts';
import { EntryClock } from './clock.ts';
import { commitBytes, encodeCommit, type CommitOffsets } from './commit.ts';
import type { GroupFile } from './group-file.ts';
import { checkData, checkUserKind, checkWhole, type CheckedSync, type CheckedWalOptions } from './options.ts';
import { CoreService } from './service.ts';

/** Entries within one turn of the event loop that share a look at the clock. */
const CLOCK_ENTRIES = 64;
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
  private readonly log: LogWriter;
  private readonly service: CoreService;
  private readonly words: Uint32Array;
  private readonly bytes: Uint8Array;
  private readonly epochWord: number;
  private readonly policy: CheckedSync;
  private readonly told: (writer: WalWriter) => void;
  private readonly clock: EntryClock;
  /** Entries until the clock is read again. */
  private clockIn = 0;
  /** Whether it syncs by itself, and how many entries there are until then. */
  private readonly hasPolicy: boolean;
  private syncIn: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly number = new DataView(new ArrayBuffer(8));
  private readonly numberBytes = new Uint8Array(this.number.buffer);
  private lastSync: number | undefined;
  private isClosed = false;

  /** @internal */
  constructor({ group, core, log, report, options, closed }: AttachedCore) {
    const { memory } = group.context.core;
    this.group = group;
    this.core = core;
    this.log = log;
    this.recovery = report;
    this.policy = options.sync;
    this.told = closed;
    this.words = memory.unsigned;
    this.bytes = memory.bytes;
    this.epochWord = group.page.epochWord;
    this.hasPolicy = options.sync.entries > 0 || options.sync.ms > 0;
    this.syncIn = options.sync.entries;
    this.clock = new EntryClock(options.now);
    this.service = new CoreService(group, core, log, this.clock, () => this.sync());
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
    // First, so that none that is there was not counted, even where this process is killed.
    this.group.page.noteCommit(this.core);
    const { log } = this;
    const at = log.begin(bytes);
    const target = this.bytes.subarray(at, at + bytes);
    log.end(Kind.Commit, encodeCommit(target, 0, this.clock.low, this.clock.high, offsets, watermark));
    return this.after();
  }

  /**
   * Ends the epoch of this core: appends a barrier; what follows belongs to a later epoch. The group's epoch becomes at
   * least that one, so that the other writers end theirs too, at their next entry or when they are woken. The epoch is
   * complete when every core has ended it and synced its barrier. Returns where the barrier begins. Errors: as `put`
   */
  epochBarrier(): number {
    this.before();
    this.service.endEpoch(this.log.epoch);
    this.service.tellOthers();
    return this.after();
  }

  private add(kind: number, key: Uint8Array | string, value: Uint8Array | string): number {
    this.before();
    this.log.appendStamped(kind, key, this.clock.low, this.clock.high, value);
    return this.after();
  }

  /** Before each entry: refuses a closed writer, reads the clock when it is time, and follows the group's epoch. */
  private before(): void {
    if (--this.clockIn < 0 || this.log.isFirstOfTurn) this.readClock();
    if (this.words[this.epochWord] !== this.log.epoch) this.service.follow();
  }

  private after(): number {
    if (this.hasPolicy) this.syncByPolicy();
    return this.log.lastPosition;
  }

  private readClock(): void {
    this.requireOpen();
    this.clock.read();
    this.clockIn = CLOCK_ENTRIES;
  }

  private syncByPolicy(): void {
    const { blocking, entries, ms } = this.policy;
    if (blocking) {
      this.syncNow();
      return;
    }
    if (entries > 0 && --this.syncIn <= 0) {
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
    const { asked } = this.service;
    await this.log.sync();
    this.noteSync(asked);
    return this.log.durablePosition;
  }

  /** The same as `sync`, but blocks the thread until it is done. */
  syncNow(): number {
    this.requireOpen();
    const { asked } = this.service;
    this.log.syncNow();
    this.noteSync(asked);
    return this.log.durablePosition;
  }

  private noteSync(asked: number): void {
    if (this.isClosed) return;
    this.lastSync = this.clock.now();
    this.service.noteDurable();
    this.service.noteSynced(asked);
  }

  /** Answers what the group asks of its writers now. For the group. */
  serve(): void {
    this.service.serve();
  }

  /** Resolves when what the group has let go of is dropped. For the group. */
  async dropped(): Promise<void> {
    await this.service.dropped();
  }

  /**
   * Cuts this core's log: every entry from the one that begins at `position` on is gone, durably. What was cut is in no
   * later recovery; the numbers of its sequence are used again, in a later epoch. Blocks.
   *
   * @param position what an append has returned, or the end of the log
   * @throws ERR_VARVE_INVALID_ARGUMENT, ERR_VARVE_OUT_OF_RANGE (no entry begins there, or a checkpoint covers it),
   *   ERR_VARVE_CONTENTION (a checkpoint is being made), ERR_VARVE_CLOSED, ERR_VARVE_POISONED, ERR_VARVE_DISK_FULL
   *   (nothing was cut), ERR_VARVE_IO
   */
  truncate(position: number): void {
    checkWhole('position', position);
    this.requireOpen();
    const { log } = this;
    if (position === log.position) return;
    const sequence = log.segments.lsnAtPosition(position);
    const covered = this.covered();
    if (sequence === undefined || sequence <= covered) {
      const why = sequence === undefined ? 'no entry begins there' : `a checkpoint covers the entries up to ${covered}`;
      throw new VarveError('ERR_VARVE_OUT_OF_RANGE',
        `core ${this.core} cannot be cut at position ${position}: ${why}; its log ends at ${log.position}`,
        { core: this.core, position, end: log.position });
    }
    this.cutBehind(sequence - 1);
  }

  /**
   * Cuts every entry of this core that no checkpoint covers. Blocks.
   *
   * @throws ERR_VARVE_CONTENTION (a checkpoint is being made), ERR_VARVE_CLOSED, ERR_VARVE_POISONED,
   *   ERR_VARVE_DISK_FULL (nothing was cut), ERR_VARVE_IO
   */
  reset(): void {
    this.requireOpen();
    const { log } = this;
    this.cutBehind(Math.max(this.covered(), log.firstLsn - 1));
  }

  private cutBehind(sequence: number): void {
    const { log, service, group } = this;
    if (group.page.isCutting) {
      throw new VarveError('ERR_VARVE_CONTENTION',
        `core ${this.core} was not cut: a checkpoint of ${group.context.directory} is being made, which may cover it; try `
        + 'again. Where its process has died, open the group first', { path: group.context.directory, core: this.core });
    }
    service.beforeCut();
    try {
      log.truncateAfter(sequence);
    } finally {
      // Of one that failed half-way nobody knows where the log ends, until it is opened again.
      if (!log.poisoned) service.afterCut();
    }
  }

  /** Sequence of this core's last entry that a checkpoint covers; 0 where none does. Errors: ERR_VARVE_IO */
  private covered(): number {
    const { context, facts } = this.group;
    let covered = 0;
    for (const checkpoint of new Checkpoints(context, facts).list()) {
      if (!isUnusable(checkpoint)) covered = Math.max(covered, checkpoint.cores[this.core]!.sequence);
      else if (checkpoint.reason === 'unreadable') {
        throw new VarveError('ERR_VARVE_IO',
          `core ${this.core} was not cut, because nobody knows what ${checkpoint.path} covers: ${checkpoint.because}`,
          { path: checkpoint.path, core: this.core });
      }
    }
    return covered;
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
    this.service.end();
    return true;
  }

  private left(): void {
    this.service.left();
    this.told(this);
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
