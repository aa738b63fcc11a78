/**
 * A file that appears whole or not at all: it is written beside its name, synced, and renamed at the end. Whatever
 * fails before removes what was written; only the death of the process leaves a file `.<name>.<pid>.<random>.tmp`,
 * which the next one of that name removes.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { attempt, translated } from '../io/errors.ts';
import { removeLeftovers } from '../io/leftovers.ts';
import { realStorage } from '../io/real-storage.ts';

export class AtomicFile {
  /** The path that it is going to have; a file there is replaced. */
  readonly path: string;
  private readonly temporary: string;
  private handle: FileHandle | undefined;

  private constructor(path: string) {
    this.path = resolve(path);
    const random = randomBytes(6).toString('hex');
    this.temporary = join(dirname(this.path), `.${basename(this.path)}.${process.pid}.${random}.tmp`);
  }

  /** Errors: ERR_VARVE_NOT_FOUND where there is no such directory, ERR_VARVE_DISK_FULL, ERR_VARVE_IO */
  static async create(path: string): Promise<AtomicFile> {
    const file = new AtomicFile(path);
    removeLeftovers(realStorage(), file.path);
    file.handle = await attempted(file.temporary, open(file.temporary, 'wx'));
    return file;
  }

  /** Adds bytes, which must not change before it resolves. Errors: ERR_VARVE_DISK_FULL, ERR_VARVE_IO; `abandon` then */
  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await attempted(this.temporary, this.handle!.write(bytes, done));
      done += bytesWritten;
    }
  }

  /** Makes it durable and gives it its name. On an error nothing is left behind. */
  async finish(): Promise<void> {
    try {
      await attempted(this.temporary, this.handle!.sync());
      await this.close();
      await attempted(this.path, rename(this.temporary, this.path));
    } catch (error) {
      await this.abandon();
      throw error;
    }
    syncDirectory(dirname(this.path));
  }

  /** Removes what was written; for use after an error. */
  async abandon(): Promise<void> {
    await this.close().catch(() => undefined);
    await attempted(this.temporary, rm(this.temporary, { force: true }));
  }

  private async close(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    if (handle !== undefined) await attempted(this.temporary, handle.close());
  }
}

async function attempted<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    throw translated(error, path);
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  attempt(path, () => {
    const descriptor = openSync(path, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}
