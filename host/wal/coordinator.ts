/**
 * What a group's coordinator does beneath its face: it brings GROUP up to date with the logs, attaches cores, and asks
 * all writers for barriers, syncs and drops.
 */
import { join } from 'node:path';
import { CORE_STATE } from '../core/group-page.ts';
import { VarveError } from '../errors/varve-error.ts';
import { LOCK_NAME } from '../log/names.ts';
import { askAll, type Attacher } from './asking.ts';
import { attachCore, hasLog } from './attach.ts';
import type { Checkpoint } from './checkpoint-file.ts';
import type { GroupFile } from './group-file.ts';
import { corePath } from './names.ts';
import type { CheckedWalOptions } from './options.ts';
import { cutOf, lastBarrier, planRecovery, type RecoveryPlan } from './plan.ts';
import { readCore, type ReplaySource } from './replay.ts';
import type { CorePosition, EpochCut } from './types.ts';
import type { WalWriter } from './writer.ts';

const NO_POLICY = { blocking: false, entries: 0, ms: 0 } as const;

export class Coordinator implements Attacher {
  readonly file: GroupFile;
  readonly options: CheckedWalOptions;
  /** How the logs are read. */
  readonly source: ReplaySource;
  /** Writers of cores that this thread has attached. */
  readonly writers = new Map<number, WalWriter>();
  private readonly mustBeOpen: () => void;

  /** `mustBeOpen` throws where the group was closed. */
  constructor(file: GroupFile, options: CheckedWalOptions, source: ReplaySource, mustBeOpen: () => void) {
    this.file = file;
    this.options = options;
    this.source = source;
    this.mustBeOpen = mustBeOpen;
  }

  private get cores(): number[] {
    return Array.from({ length: this.file.facts.cores }, (_, core) => core);
  }

  /** Brings GROUP, of which nothing was ever synced, up to date with the logs of all cores that nobody has. */
  restoreAll(): void {
    this.file.page.forgetAsked();
    for (const core of this.cores) this.restore(core);
  }

  private restore(core: number): void {
    const { page, context: { directory } } = this.file;
    if (!hasLog(this.file, core)) {
      page.setEnded(core, 0, 0, 0);
      page.setDurable(core, 0);
      return;
    }
    if (!this.isFree(corePath(directory, core))) return;
    page.setCoreState(core, CORE_STATE.detached, 0);
    const reader = readCore(this.source, core);
    try {
      const { lastLsn, position } = reader;
      const { ended, sequence } = lastBarrier(reader);
      page.setEnded(core, ended, sequence, position);
      page.setDurable(core, reader.durableLsn >= lastLsn ? ended : 0);
      page.raiseEpoch((reader.epochOf(lastLsn) ?? 0) + 1);
    } finally {
      reader.close();
    }
  }

  /** Whether nobody has the core whose log is in a directory. */
  private isFree(path: string): boolean {
    try {
      this.file.context.storage.lock(join(path, LOCK_NAME)).release();
      return true;
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_LOCKED')) return false;
      throw error;
    }
  }

  /** Attaches a core for as long as the group is open. */
  attach(core: number): WalWriter {
    const known = this.writers.get(core);
    if (known !== undefined) return known;
    const writer = attachCore(this.file, core, this.options, () => { this.writers.delete(core); });
    this.writers.set(core, writer);
    return writer;
  }

  own(core: number): WalWriter | undefined {
    return this.writers.get(core);
  }

  tryAttach(core: number): WalWriter | undefined {
    try {
      return attachCore(this.file, core, { ...this.options, sync: NO_POLICY }, () => undefined);
    } catch (error) {
      if (VarveError.is(error, 'ERR_VARVE_LOCKED')) return undefined;
      throw error;
    }
  }

  /** Ends the epoch on every core. */
  async endEpoch(until: number): Promise<EpochCut> {
    const { page } = this.file;
    const { epoch } = page;
    page.raiseEpoch(epoch + 1);
    page.askBarrier(epoch);
    await this.ask((core) => page.ended(core) >= epoch, until);
    return { epoch, cores: this.cores.map((core) => this.cutOf(core, epoch)) };
  }

  /** Syncs every core. */
  async sync(until: number): Promise<void> {
    const { page } = this.file;
    const asked = page.askSync();
    await this.ask((core) => page.synced(core) >= asked, until);
  }

  private async ask(answered: (core: number) => boolean, until: number): Promise<void> {
    await askAll(this.file, this, (core) => {
      this.mustBeOpen();
      return answered(core);
    }, until);
  }

  /** Where an epoch ends on a core that has ended it. */
  private cutOf(core: number, epoch: number): CorePosition {
    const barrier = this.file.page.barrierOf(core, epoch);
    if (barrier !== undefined) return { core, ...barrier };
    // It has ended a later one since, or passed over this one.
    const reader = readCore(this.source, core);
    try {
      const sequence = cutOf(reader, epoch);
      const position = sequence >= reader.firstLsn ? reader.segments.endPositionOf(sequence)
        : reader.segments.first?.header.basePosition ?? 0;
      return { core, sequence, position };
    } finally {
      reader.close();
    }
  }

  /** Commits of all cores that were counted so far. */
  commits(): number {
    return this.cores.reduce((sum, core) => sum + this.file.page.commits(core), 0);
  }

  /**
   * What commits say up to the end of an epoch, over what a checkpoint says. Looks at the headers of all entries since.
   * Errors: as `planRecovery`
   */
  commitsUpTo(epoch: number, checkpoint: Checkpoint | undefined): Pick<RecoveryPlan, 'offsets' | 'watermark'> {
    const readers = this.cores.map((core) => (hasLog(this.file, core) ? readCore(this.source, core) : undefined));
    try {
      return planRecovery({ cores: readers, checkpoint, upTo: epoch });
    } finally {
      for (const reader of readers) reader?.close();
    }
  }

  /** Lets the writers drop what the oldest checkpoint that is kept covers; those of other threads in their own time. */
  async drop(oldest: Pick<Checkpoint, 'cores'> | Pick<EpochCut, 'cores'>): Promise<void> {
    const { page } = this.file;
    for (const { core, sequence } of oldest.cores) page.setDropLsn(core, sequence + 1);
    this.file.ring();
    for (const writer of this.writers.values()) writer.serve();
    await Promise.all([...this.writers.values()].map((writer) => writer.dropped()));
  }
}
