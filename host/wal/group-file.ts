/**
 * The `GROUP` file: made once, mapped for as long as a group, or one of its cores, is open. docs/format.md, "GROUP".
 *
 * What a crash leaves, step by step: making it, a `GROUP.new` that the next making removes, or the whole file. Later
 * it is synced for the epoch that a recovery cuts at alone: whatever else changes in it is of no use to anybody after a
 * crash of the machine.
 */
import { dirname, join } from 'node:path';
import type { StoreIdentity } from '../core/control-page.ts';
import type { Core } from '../core/core.ts';
import { decodeGroup, encodeGroup, groupBytes, GroupPage, type GroupFacts } from '../core/group-page.ts';
import { rangeBytes } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';
import { GROUP_CORES_OFFSET, Status, STORE_KIND_GROUP_CORE } from '../generated/abi.ts';
import type { Mapping, StoredFile } from '../io/storage.ts';
import { Bell } from '../log/bell.ts';
import { holdsStore, newerVersion } from '../log/load.ts';
import { replacementPath } from '../log/names.ts';
import type { LogContext } from '../log/segment.ts';
import { statusName } from '../log/segments.ts';
import { GROUP_NAME } from './names.ts';

export class GroupFile {
  readonly facts: GroupFacts;
  readonly page: GroupPage;
  readonly context: LogContext;
  private readonly bell: Bell;
  private readonly file: StoredFile;
  private readonly mapping: Mapping;

  private constructor(context: LogContext, file: StoredFile, facts: GroupFacts) {
    const { core, storage, readOnly } = context;
    this.context = context;
    this.file = file;
    this.facts = facts;
    const length = groupBytes(facts.cores);
    const address = core.memory.reserve(rangeBytes(length));
    try {
      this.mapping = file.map(core.memory, address, length, readOnly ? 'read' : 'write');
    } catch (error) {
      core.memory.release(address, rangeBytes(length));
      throw error;
    }
    this.page = new GroupPage(core, address);
    this.bell = new Bell(this.page.wake, storage, file);
  }

  /** Whether there is a group in a directory. */
  static exists({ storage, directory }: LogContext): boolean {
    return storage.exists(join(directory, GROUP_NAME));
  }

  /** Makes the file, durably, where there is none. */
  static create(context: LogContext, cores: number): GroupFile {
    const { core, storage, directory } = context;
    const path = join(directory, GROUP_NAME);
    const id = new BigUint64Array(2);
    storage.random(new Uint8Array(id.buffer));
    const bytes = encodeGroup(core, { cores, idLow: id[0]!, idHigh: id[1]!, createdAt: storage.now() });
    storage.remove(replacementPath(path));
    const file = storage.create(replacementPath(path));
    try {
      file.allocate(bytes.length);
      file.write(bytes, 0);
      file.syncNow();
      storage.rename(file.path, path);
      storage.syncDirectoryNow(directory);
    } catch (error) {
      storage.remove(replacementPath(path));
      throw error;
    } finally {
      file.close();
    }
    return GroupFile.open(context);
  }

  /** Opens the file. Errors: ERR_VARVE_NOT_FOUND, ERR_VARVE_CORRUPT, ERR_VARVE_NEWER_VERSION, ERR_VARVE_IO */
  static open(context: LogContext): GroupFile {
    const { core, storage, directory, readOnly } = context;
    const path = join(directory, GROUP_NAME);
    if (!storage.exists(path)) {
      if (holdsStore(storage.list(directory) ?? [])) {
        throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
          `${directory} holds one log and no group; open it with the face that made it, or, where it is the log of a `
          + 'core, open the group in the directory above', { path: directory });
      }
      throw new VarveError('ERR_VARVE_NOT_FOUND',
        `there is no group in ${directory}; check the path, or make one with WalGroup.create`, { path: directory });
    }
    const file = storage.open(path, readOnly ? 'read' : 'write');
    try {
      const facts = readFacts(core, file);
      if (file.size() < groupBytes(facts.cores)) {
        if (readOnly) throw damaged(path, Status.Truncated);
        file.allocate(groupBytes(facts.cores));
      }
      return new GroupFile(context, file, facts);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Makes both copies of the identity valid, durably; whether one was not. */
  restoreCopies(): boolean {
    const changed = this.page.restoreCopies();
    if (changed) this.file.syncNow();
    return changed;
  }

  /** Says, durably, that every core has ended an epoch, which its log may not show any more when it is cut there. */
  noteComplete(epoch: number): void {
    if (this.page.complete >= epoch) return;
    this.page.complete = epoch;
    this.file.syncNow();
  }

  /** What the log of a core must be. */
  identityOf(core: number): StoreIdentity {
    const { idLow, idHigh } = this.facts;
    return { storeKind: STORE_KIND_GROUP_CORE, idLow, idHigh: BigInt.asUintN(64, idHigh + BigInt(core) + 1n) };
  }

  /** Tells those who have cores attached that something is asked of them. */
  ring(): void {
    this.bell.ring();
  }

  /** What has to be seen before what is asked is looked at. */
  get asked(): number { return this.page.wake.word; }

  /** Resolves when something was asked since, at the latest after so many milliseconds; keeps no process alive. */
  waitAsked(seen: number, milliseconds: number): Promise<void> {
    return this.bell.wait(seen, milliseconds, false);
  }

  /** Tells those who have asked that there is an answer. */
  answer(): void {
    const { answers, core: { memory } } = this.page;
    answers.bump();
    this.context.storage.wake(memory, answers.at);
  }

  /** What has to be seen before answers are looked at. */
  get answered(): number { return this.page.answers.word; }

  /** Resolves when there was an answer since, at the latest after so many milliseconds. */
  waitAnswered(seen: number, milliseconds: number): Promise<void> {
    const { answers, core: { memory } } = this.page;
    return this.context.storage.wait(memory, answers.at, seen, milliseconds);
  }

  close(): void {
    this.mapping.unmap();
    this.context.core.memory.release(this.mapping.address, rangeBytes(this.mapping.length));
    this.file.close();
  }
}

function readFacts(core: Core, file: StoredFile): GroupFacts {
  const page = new Uint8Array(GROUP_CORES_OFFSET);
  const facts = decodeGroup(core, page.subarray(0, file.read(page, 0)));
  if (facts === Status.NewerVersion) throw newerVersion(file.path);
  if (typeof facts === 'number') throw damaged(file.path, facts);
  return facts;
}

function damaged(path: string, status: number): VarveError {
  return new VarveError('ERR_VARVE_CORRUPT',
    `${path} is damaged (${statusName(status)}): restore a copy. The logs in ${dirname(path)} are not touched by it`,
    { path, status: statusName(status) });
}
