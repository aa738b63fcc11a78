import { GROUP_CORES_MAX } from '../abi/limits';
import { WakeGroup } from './wake';

/*
 * GROUP: what the writers of a write-ahead log group share, mapped by all of them. docs/format.md, "GROUP".
 *
 *     0     identity   written once, checksummed
 *   128     state      the epoch, and what all were asked for; atomic
 *   192     wake       what those who have a core attached wait for
 *   256     answers    what those wait for who have asked them for something
 *  2048     identity   once more, for when the first one is damaged
 *  4096     cores      for each a line that its writer alone stores to, and a line that it is told by
 *
 * An append stores to nothing here. Only the identity and the epoch of the last cut are of any use after a crash of the
 * machine: epochs are restored from the logs.
 */
@unmanaged
export class GroupIdentity {
  /** "VARVEGRP". */
  magic: u64;
  /** CRC-32C of bytes [12, 64). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** Features a writer must know to write. */
  readOnlyCompatible: u32;
  /** Features that may be ignored. */
  compatible: u32;
  /** Writers of the group, 1 to 1,024. */
  cores: u32;
  /** The group's random id, first half; that of the log of core i is the same. */
  idLow: u64;
  /** The group's random id, second half; that of the log of core i is higher by i + 1. */
  idHigh: u64;
  /** When the group was made, milliseconds since 1970. */
  createdAt: u64;
  /** Zero. */
  reserved0: u64;
}

/** The state, at 128. */
@unmanaged
export class GroupState {
  /** The epoch that new entries belong to. */
  epoch: u64;
  /** How often all were asked for a sync. */
  syncs: u64;
  /** The last epoch that all were asked to end. */
  barrier: u64;
  /** The last epoch that a recovery has cut the logs at; its complement in the upper half. Synced before the cut. */
  complete: u64;
  /** 1 while a checkpoint is being made: no writer cuts what it may cover. */
  cutting: u64;
}

/** One core, at 4096 and on, every 128 bytes. */
@unmanaged
export class GroupCore {
  /** The last epoch that was ended on this core. 0 while the next two change. */
  ended: u64;
  /** LSN of the barrier that has ended it; 0 where it was an entry of a later epoch. */
  barrierLsn: u64;
  /** Position just past it. */
  barrierPosition: u64;
  /** The last epoch whose barrier is known to be on disk. */
  durable: u64;
  /** The last asking for a sync that was answered: all of then is on disk. */
  synced: u64;
  /** 0: nobody has it; 1: attached; 2: attached, and poisoned. */
  state: u32;
  /** Process id of the writer. */
  pid: u32;
  /** Commits that were appended to this core, as far as it is known: it only tells whether there were some since. */
  commits: u64;
  /** Zero. */
  reserved0: u64;
  /** The other line. Records below this LSN are covered by checkpoints; the writer may drop them. */
  dropLsn: u64;
}

/** Where each part begins. */
export const GROUP_STATE_OFFSET: u32 = 128;
export const GROUP_WAKE_OFFSET: u32 = 192;
export const GROUP_ANSWERS_OFFSET: u32 = 256;
export const GROUP_COPY_OFFSET: u32 = 2048;
export const GROUP_CORES_OFFSET: u32 = 4096;
export const GROUP_CORE_STRIDE: u32 = 128;
/** Little-endian ASCII "VARVEGRP". */
export const GROUP_MAGIC: u64 = 0x5052474556524156;

if (offsetof<GroupIdentity>() != 64) ERROR('the identity has 64 bytes');
if (offsetof<GroupIdentity>('version') != 12) ERROR('the checksum covers everything behind it');
if (<usize>GROUP_STATE_OFFSET + offsetof<GroupState>() > <usize>GROUP_WAKE_OFFSET) ERROR('the state has a line of its own');
if (<usize>GROUP_WAKE_OFFSET + offsetof<WakeGroup>() > <usize>GROUP_ANSWERS_OFFSET) ERROR('the wake has a line of its own');
if (offsetof<GroupCore>('dropLsn') != 64) ERROR('what a writer is told stands on another line than what it says');
if (GROUP_CORES_MAX > 65535) ERROR('the number of a core fits into 16 bits');
