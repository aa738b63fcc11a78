/**
 * The typed handle of a mapped wake group (assembly/layout/wake.ts): the word that readers in all processes sleep on.
 */
import { WakeGroup as Layout } from '../generated/abi.ts';
import type { Core } from './core.ts';

export class WakeGroup {
  readonly core: Core;
  /** Address of the futex word that rises when readers should look again. */
  readonly at: number;
  /** Offset in the file of 4 bytes that mean nothing, to be written at each wake. */
  readonly noticeOffset: number;

  /** The group at `offset` of a file whose first page is mapped at `page`. */
  constructor(core: Core, page: number, offset: number) {
    this.core = core;
    this.at = page + offset + Layout.word;
    this.noticeOffset = offset + Layout.notice;
  }

  /** The futex word now. */
  get word(): number { return Atomics.load(this.core.memory.words, this.at / 4); }

  /** Raises the futex word; waking is the storage's. */
  bump(): void {
    this.core.exports.bump(this.at);
  }
}
