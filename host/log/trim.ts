/**
 * The trimming of a sealed segment's file to its logical end, which may wait for the file system's journal: so it is
 * done off the event loop, behind the sealing.
 *
 * Until then the footer is not at the end of the file. Whoever recovers the log takes such a segment for one without a
 * footer, and scans its frames; whoever reads beside the writer finds the footer by the segment that follows. While a
 * trim is owed nobody may make the file longer: the call that is under way could cut it off again.
 */
import type { StoredFile } from '../io/storage.ts';

export class Trim {
  /** Where the file is going to end, while it is not known to end there. */
  to: number | undefined;
  private running: Promise<void> | undefined;

  /** Trims the file where that is owed, whether or not it is under way. */
  now(file: StoredFile): void {
    if (this.to === undefined) return;
    file.truncate(this.to);
    if (this.running === undefined) this.to = undefined;
  }

  /** The same, off the event loop; where it fails it stays owed. */
  later(file: StoredFile): Promise<void> {
    const { to } = this;
    if (to === undefined) return Promise.resolve();
    return this.running ??= file.truncateLater(to).then(() => { this.to = undefined; })
      .finally(() => { this.running = undefined; });
  }
}
