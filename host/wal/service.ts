/**
 * What a writer does for its group: it ends the epochs that the group has left, syncs when it is asked to, drops what
 * checkpoints cover, and says so in its own line of GROUP.
 *
 * - It looks when it appends (the epoch alone), and when it is woken.
 * - Epochs never fall along the log, and no writer is ahead of the group: where opening, a truncation or a barrier
 *   raises the log's epoch, the group's is raised first.
 * - What GROUP says of this core is true: an epoch is ended there after its barrier is committed, and durable after a
 *   sync of it has succeeded.
 */
import { CORE_STATE, type GroupPage } from '../core/group-page.ts';
import { Kind } from '../generated/abi.ts';
import type { LogWriter } from '../log/writer.ts';
import type { EntryClock } from './clock.ts';
import type { GroupFile } from './group-file.ts';
import { lastBarrier } from './plan.ts';

/** How long a writer sleeps at most before it looks by itself whether something is asked of it. */
const LOOK_MS = 1000;
const NO_KEY = new Uint8Array(0);

export class CoreService {
  private readonly group: GroupFile;
  private readonly page: GroupPage;
  private readonly core: number;
  private readonly log: LogWriter;
  private readonly clock: EntryClock;
  private readonly sync: () => Promise<unknown>;
  private readonly number = new DataView(new ArrayBuffer(8));
  private readonly numberBytes = new Uint8Array(this.number.buffer);
  /** Epochs that were ended here and whose barriers are not known to be on disk, oldest first. */
  private readonly unsynced: { readonly ended: number; readonly lsn: number }[] = [];
  /** The askings for a sync that is being answered, and that was; and the LSN up to which a drop was begun. */
  private answering: number;
  private synced: number;
  private dropLsn = 0;
  private dropping: Promise<void> = Promise.resolve();
  private isOver = false;

  /** `sync` makes all that is appended durable, and calls `noteDurable`. */
  constructor(group: GroupFile, core: number, log: LogWriter, clock: EntryClock, sync: () => Promise<unknown>) {
    const { page } = group;
    this.group = group;
    this.page = page;
    this.core = core;
    this.log = log;
    this.clock = clock;
    this.sync = sync;
    this.afterCut();
    // After a crash of the machine, GROUP may say that more was answered than was asked for.
    this.answering = log.durableLsn >= log.lastLsn ? page.syncs : Math.min(page.synced(core), page.syncs);
    this.synced = this.answering;
    page.setSynced(core, this.synced);
    page.setCoreState(core, CORE_STATE.attached, group.context.storage.pid);
    // Where waiting fails, this core answers when it appends, and otherwise not in time, which whoever asks is told.
    this.listen().catch(() => undefined);
  }

  /** Answers what is asked, for as long as the core is attached. Keeps no process alive. */
  private async listen(): Promise<void> {
    while (!this.isOver) {
      const seen = this.group.asked;
      this.serve();
      await this.group.waitAsked(seen, LOOK_MS);
    }
  }

  /** Answers what is asked now. A failure poisons the log, and whoever has asked is told. */
  serve(): void {
    if (this.isOver) return;
    const { page, core, log } = this;
    try {
      this.clock.read();
      this.follow();
      // The group may have left it before the core was attached.
      if (page.ended(core) < page.barrier) this.endEpoch(log.epoch - 1);
      this.answerSync(page.syncs);
      this.drop(page.dropLsn(core));
    } catch {
      this.refuse();
    }
  }

  /** Ends the epochs that the group has left. Errors: as appending */
  follow(): void {
    const { epoch } = this.page;
    if (epoch > this.log.epoch) this.endEpoch(epoch - 1);
  }

  /** Appends the barrier of an epoch, with which all before it end, and goes on in the group's. Errors: as appending */
  endEpoch(ended: number): void {
    const { log, page, core, clock } = this;
    this.number.setBigUint64(0, BigInt(ended), true);
    const lsn = log.appendStamped(Kind.Barrier, NO_KEY, clock.low, clock.high, this.numberBytes);
    page.raiseEpoch(ended + 1);
    log.raiseEpoch(page.epoch);
    page.setEnded(core, ended, lsn, log.position);
    this.unsynced.push({ ended, lsn });
    this.group.answer();
  }

  /** Lets others end their epochs too. */
  tellOthers(): void {
    this.group.ring();
  }

  private answerSync(asked: number): void {
    if (asked <= this.answering) return;
    this.answering = asked;
    this.sync().catch(() => { this.refuse(); });
  }

  /** The last asking for a sync. */
  get asked(): number { return this.page.syncs; }

  /** Told when a sync has succeeded that was begun after an asking, which it answers, whoever has begun it. */
  noteSynced(asked: number): void {
    // One that was begun later, and found nothing to do, may have ended before.
    if (this.isOver || asked <= this.synced) return;
    this.synced = asked;
    this.page.setSynced(this.core, asked);
    this.group.answer();
  }

  /** Drops the whole segments whose entries checkpoints cover. */
  private drop(lsn: number): void {
    const { log } = this;
    if (lsn <= this.dropLsn || lsn > log.lastLsn + 1) return;
    this.dropLsn = lsn;
    this.dropping = log.dropBefore(lsn);
    this.dropping.catch(() => { this.refuse(); });
  }

  /** Resolves when what was to be dropped is. */
  async dropped(): Promise<void> {
    await this.dropping;
  }

  /** Tells those who have asked that there will be no answer. */
  private refuse(): void {
    if (this.isOver || !this.log.poisoned) return;
    this.page.setCoreState(this.core, CORE_STATE.poisoned, this.group.context.storage.pid);
    this.group.answer();
  }

  /** Told when the log will be cut: from now on, barriers that are known to be on disk may not be there any more. */
  beforeCut(): void {
    this.page.setDurable(this.core, 0);
  }

  /** Told when the log was opened or cut, which has raised its epoch. */
  afterCut(): void {
    const { log, page, core } = this;
    page.raiseEpoch(log.epoch);
    log.raiseEpoch(page.epoch);
    const { ended, sequence } = lastBarrier(log);
    page.setEnded(core, ended, sequence, log.position);
    page.setDurable(core, Math.min(page.durable(core), ended));
    this.unsynced.splice(0, Infinity, { ended, lsn: log.lastLsn });
    this.noteDurable();
  }

  /** Says which epochs have their barriers on disk. */
  noteDurable(): void {
    const { unsynced, log: { durableLsn } } = this;
    let durable = 0;
    while (unsynced.length > 0 && unsynced[0]!.lsn <= durableLsn) durable = unsynced.shift()!.ended;
    if (durable > 0) this.page.setDurable(this.core, durable);
  }

  /** Ends answering: the log is about to be closed. */
  end(): void {
    this.isOver = true;
  }

  /** Says that nobody has the core any more. */
  left(): void {
    this.noteDurable();
    this.page.setCoreState(this.core, CORE_STATE.detached, 0);
    this.group.answer();
  }
}
