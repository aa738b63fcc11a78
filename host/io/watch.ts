/**
 * Waiting for a file to be written to, by the file system's own notices (inotify, kqueue) through `fs.watch`: these
 * arrive at the event loop without a thread of the pool in between, so that any number of waits costs no thread, and
 * whoever is woken runs sooner than behind a futex call. docs/decisions/0005.
 *
 * - Stores into a mapping raise no notice: whoever wakes also writes a few bytes.
 * - Notices come whether anybody waits or not. A watch that is told again and again for nothing is given up, and made
 *   anew at the next wait.
 * - Where the system gives none - inotify allows so many for each user - the caller waits in another way.
 */
import { watch, type FSWatcher } from 'node:fs';
import { Sleepers } from './sleepers.ts';

/** Notices in a row that nobody waited for, before the watch is given up. */
const IDLE_NOTICES_MAX = 16;

/** The way to a file that is open, whatever name it has by now. */
function pathOf(fd: number, path: string): string {
  return process.platform === 'linux' ? `/proc/self/fd/${fd}` : path;
}

export class FileWatch {
  private readonly path: string;
  private watcher: FSWatcher | undefined;
  private readonly sleepers = new Sleepers();
  private idleNotices = 0;

  /** Watches an open file, which must stay open. */
  constructor(fd: number, path: string) {
    this.path = pathOf(fd, path);
  }

  /**
   * Begins to listen, if that is not done yet: whatever is written from now on ends a wait that follows. False where
   * the system does not allow it.
   */
  listen(): boolean {
    if (this.watcher !== undefined) return true;
    try {
      const watcher = watch(this.path, { persistent: false }, () => { this.noticed(); });
      watcher.on('error', () => { this.close(); });
      this.watcher = watcher;
      this.idleNotices = 0;
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves at the next notice, at the latest after so many milliseconds; keeps the process alive, or does not. */
  wait(milliseconds: number, alive: boolean): Promise<void> {
    return this.sleepers.sleep(milliseconds, alive);
  }

  private noticed(): void {
    if (this.sleepers.count > 0) {
      this.idleNotices = 0;
      this.sleepers.wakeAll();
    } else if (++this.idleNotices > IDLE_NOTICES_MAX) {
      this.stop();
    }
  }

  private stop(): void {
    this.watcher?.close();
    this.watcher = undefined;
  }

  /** Stops listening and ends all waits. */
  close(): void {
    this.stop();
    this.sleepers.wakeAll();
  }
}
