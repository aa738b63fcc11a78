/**
 * What users of a write-ahead log group give and get, as types.
 */
import type { LogOptions } from '../log/options.ts';
import type { CheckpointState } from './checkpoint-state.ts';
import type { CommitOffsets } from './commit.ts';
import type { RecoveryEnd } from './recover.ts';

/** When a writer syncs by itself, besides when it is told to. */
export type SyncPolicy =
  /** Never. */
  | 'explicit'
  /** Every entry, before the call that appends it returns: it blocks for as long as the disk takes. */
  | 'entry'
  /**
   * Off the event loop, when so many entries, from 1, wait for a sync, or so many milliseconds, from 1 to 2^31 - 1,
   * after the first of them. A failure poisons the writer: the next call is told.
   */
  | { readonly entries?: number; readonly ms?: number };

/** Options of whatever appends. */
export interface WalWriterOptions extends Pick<LogOptions, 'segmentBytes' | 'mappedBytesMax' | 'core' | 'storage'> {
  /** Default `explicit`. */
  readonly sync?: SyncPolicy;
  /**
   * The time that entries are marked with, in milliseconds since 1970; fractions count. For people: no order depends on
   * it. Asked once for each turn of the event loop, and every 64 entries. Default: the system's clock.
   */
  readonly now?: () => number;
}

/** Options of `WalGroup.open`. */
export interface WalGroupOptions extends WalWriterOptions {
  /** Opens for reading only: takes no lock, writes nothing. Default false. */
  readonly readOnly?: boolean;
  /** Checkpoints that are kept, from 1; the logs keep what follows the oldest of them. Default 2. */
  readonly checkpointsKept?: number;
}

/** Options of `WalGroup.create`. */
export interface WalCreateOptions extends WalGroupOptions {
  /** Writers of the group, from 1 to 1,024; it cannot be changed. */
  readonly cores: number;
}

/** Options of what asks every core for something. */
export interface AskOptions {
  /**
   * Milliseconds until whoever has a core attached must have answered, from 1 to 2^31 - 1. A writer answers at its next
   * entry, or when its thread's event loop has its turn. Default 10,000.
   */
  readonly timeoutMs?: number;
}

/** Where an epoch ends, on every core. */
export interface EpochCut {
  readonly epoch: number;
  readonly cores: readonly CorePosition[];
}

/** A place in the log of a core. */
export interface CorePosition {
  readonly core: number;
  /** Sequence of the entry, 0 before the first one. */
  readonly sequence: number;
  /** Position just past it, in bytes. */
  readonly position: number;
}

/** Options of `checkpoint`. */
export interface CheckpointOptions extends AskOptions {
  /**
   * What the entries up to the cut have made: bytes, text, or pieces of bytes, which are streamed; or a function that
   * gives one of these, called with the cut once it is durable. Default: nothing.
   */
  readonly state?: CheckpointState | ((cut: EpochCut) => CheckpointState | Promise<CheckpointState>);
  /** Up to where each source was taken in, as for `commit`; of sources that are not named, what commits have said. */
  readonly offsets?: CommitOffsets;
  /** As for `commit`; the greatest that commits have said, where that is greater. */
  readonly watermark?: number | bigint;
}

/** Options of `recover`. */
export interface RecoverOptions {
  /** Where it ends. Default `end`. */
  readonly upTo?: RecoveryEnd;
}

/** Options of `merge`. */
export interface WalMergeOptions {
  /** Where it ends: with all, with the last epoch that every core has ended, or with this epoch. Default `end`. */
  readonly upTo?: RecoveryEnd | number;
  /** The entries of this core alone. Default: those of all. */
  readonly core?: number;
  /** With `core`: its first sequence. Default: the first that is there. */
  readonly from?: number;
}
