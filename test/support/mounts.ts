/**
 * File systems that a test mounts where it may: small disks, and other places from which a directory can only be read.
 * Every call returns why it could not be done, for `cannot`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

export class Mounts {
  private readonly paths: string[] = [];

  private mount(path: string, ...args: string[]): string | undefined {
    const { status, stderr, error } = spawnSync('mount', [...args, path]);
    return status === 0 ? undefined : `nothing can be mounted: ${error?.message ?? String(stderr).trim()}`;
  }

  private add(path: string, ...args: string[]): string | undefined {
    mkdirSync(path);
    const reason = this.mount(path, ...args);
    if (reason === undefined) this.paths.push(path);
    return reason;
  }

  /** A new disk of so many bytes, in memory. */
  disk(path: string, bytes: number): string | undefined {
    return this.add(path, '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs');
  }

  /** Makes a disk that was mounted here one that can only be read. */
  makeReadOnly(path: string): string | undefined {
    return this.mount(path, '-o', 'remount,ro');
  }

  /** Shows a directory at another place, where it can only be read. */
  readOnlyCopy(directory: string, path: string): string | undefined {
    return this.add(path, '--bind', directory) ?? this.mount(path, '-o', 'remount,ro,bind');
  }

  /** Takes all of them away, whoever still uses them. */
  remove(): void {
    for (const path of this.paths.splice(0).reverse()) spawnSync('umount', ['-l', path]);
  }
}
