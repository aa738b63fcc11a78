/**
 * The CONTROL file of a store: made once, mapped for as long as the log is open.
 */
import { join } from 'node:path';
import { ControlPage, type StoreIdentity } from '../core/control-page.ts';
import { RANGE_ALIGNMENT } from '../core/memory.ts';
import { WakeGroup } from '../core/wake-group.ts';
import { VarveError } from '../errors/varve-error.ts';
import { CONTROL_BYTES, CONTROL_WAKE_OFFSET, Status } from '../generated/abi.ts';
import type { Mapping, StoredFile } from '../io/storage.ts';
import { Bell } from './bell.ts';
import { newerVersion } from './load.ts';
import { CONTROL_NAME } from './names.ts';
import type { LogContext } from './segment.ts';

export class ControlFile {
  readonly page: ControlPage;
  readonly bell: Bell;
  readonly path: string;
  private readonly context: LogContext;
  private readonly file: StoredFile;
  private readonly mapping: Mapping;

  private constructor(context: LogContext, file: StoredFile) {
    this.context = context;
    this.file = file;
    this.path = file.path;
    const { memory } = context.core;
    const address = memory.reserve(RANGE_ALIGNMENT);
    try {
      this.mapping = file.map(memory, address, CONTROL_BYTES, context.readOnly ? 'read' : 'write');
    } catch (error) {
      memory.release(address, RANGE_ALIGNMENT);
      throw error;
    }
    this.page = new ControlPage(context.core, address, CONTROL_BYTES);
    this.bell = new Bell(new WakeGroup(context.core, address, CONTROL_WAKE_OFFSET), context.storage, file);
  }

  /** Opens the file, or makes an empty one; `undefined` where there is none and none may be made. */
  static open(context: LogContext): ControlFile | undefined {
    const path = join(context.directory, CONTROL_NAME);
    const exists = context.storage.exists(path);
    if (!exists && context.readOnly) return undefined;
    const file = exists
      ? context.storage.open(path, context.readOnly ? 'read' : 'write') : context.storage.create(path);
    try {
      if (file.size() < CONTROL_BYTES) {
        // A file cut short has lost its page; it counts as one whose checksums fail.
        if (context.readOnly) {
          file.close();
          return undefined;
        }
        file.allocate(CONTROL_BYTES);
      }
      return new ControlFile(context, file);
    } catch (error) {
      file.close();
      // An empty file would pass for a store whose page is damaged.
      if (!exists) context.storage.remove(path);
      throw error;
    }
  }

  /** The store's identity, or `undefined` where the page is damaged or blank. Errors: ERR_VARVE_NEWER_VERSION */
  identity(): StoreIdentity | undefined {
    const status = this.page.check();
    if (status === Status.NewerVersion) throw newerVersion(this.path);
    return status === Status.Ok ? this.page.identity : undefined;
  }

  /** Blanks the page, so that nothing of a damaged one is taken for evidence. */
  blank(): void {
    this.context.core.memory.bytes.fill(0, this.page.at, this.page.at + CONTROL_BYTES);
  }

  sync(): void {
    this.file.syncNow();
  }

  /**
   * The same, off the event loop. It has a descriptor of its own, because the system tells of pages that it could not
   * write once for each: a blocking sync meanwhile is told too, and none passes over what the other one was told.
   */
  async syncLater(): Promise<void> {
    const file = this.context.storage.open(this.path, 'write');
    try {
      await file.sync();
    } finally {
      file.close();
    }
  }

  close(): void {
    this.mapping.unmap();
    this.context.core.memory.release(this.page.at, RANGE_ALIGNMENT);
    this.file.close();
  }
}

/** Refuses a store of another face. Errors: ERR_VARVE_FOREIGN_DIRECTORY */
export function requireKind(directory: string, identity: StoreIdentity, storeKind: number): void {
  if (identity.storeKind === storeKind) return;
  throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
    `${directory} holds a store of kind ${identity.storeKind}, not ${storeKind}; open it with the face that made it`,
    { path: directory, expected: storeKind, actual: identity.storeKind });
}

/** Refuses a store that is another one of the same face. Errors: ERR_VARVE_FOREIGN_DIRECTORY */
export function requireIdentity(directory: string, identity: StoreIdentity, expected: StoreIdentity): void {
  if (identity.idLow === expected.idLow && identity.idHigh === expected.idHigh) return;
  throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
    `${directory} holds the log of another group, or of another core of this one; put the right directory back`,
    { path: directory });
}
