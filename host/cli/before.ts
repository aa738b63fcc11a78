/**
 * What was there before a command made a store, so that it can be made as it was where the command fails.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

export class Before {
  private readonly directory: string;
  /** Directories that are missing, innermost first. */
  private readonly missing: string[] = [];
  /** What the directory held, where it holds no store. */
  private readonly names: ReadonlySet<string> | undefined;

  constructor(directory: string) {
    this.directory = directory;
    for (let at = directory; !existsSync(at); at = dirname(at)) this.missing.push(at);
    const names = this.missing.length > 0 ? [] : readdirSync(directory);
    this.names = names.includes('CONTROL') ? undefined : new Set(names);
  }

  /** Whether there was no store. */
  get isNew(): boolean { return this.names !== undefined; }

  /**
   * Removes the store that was made since, which must be closed, with the directories above it; only where it is new.
   */
  removeMade(): void {
    if (!existsSync(this.directory)) return;
    for (const name of readdirSync(this.directory)) {
      if (!this.names!.has(name)) rmSync(join(this.directory, name), { force: true });
    }
    for (const path of this.missing) {
      if (readdirSync(path).length === 0) rmdirSync(path);
    }
  }
}
