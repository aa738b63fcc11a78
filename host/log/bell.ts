/**
 * The bell of a mapped file: its wake group, rung by those who write and waited for by those who read, in all processes
 * and threads. docs/decisions/0005.
 */
import type { WakeGroup } from '../core/wake-group.ts';
import type { Notice, Storage, StoredFile } from '../io/storage.ts';

export class Bell {
  private readonly group: WakeGroup;
  private readonly storage: Storage;
  private readonly notice: Notice;

  /** The file stays the caller's, and mapped for as long as the bell is used. */
  constructor(group: WakeGroup, storage: Storage, file: StoredFile) {
    this.group = group;
    this.storage = storage;
    this.notice = { file, position: group.noticeOffset };
  }

  /** Rises with each ring; to be looked at before what may have changed is. */
  get word(): number { return this.group.word; }

  /** Wakes everybody who waits for something new. */
  ring(): void {
    this.group.bump();
    this.storage.wake(this.group.core.memory, this.group.at, this.notice);
  }

  /**
   * Resolves when the word differs from `seen`, or earlier, at the latest after so many milliseconds. Keeps the process
   * alive, or does not.
   */
  wait(seen: number, milliseconds: number, alive = true): Promise<void> {
    return this.storage.wait(this.group.core.memory, this.group.at, seen, milliseconds, this.notice, alive);
  }
}
