/**
 * `KEYDIR`: the table of a key-value store from one opening to the next. docs/format.md, "Key directory file".
 *
 * It is written when the store is closed, after the log is durable, and is taken only by who finds the log in the very
 * state that its header names. Opening looks at no key: one pass for the checksum, over the mapped bytes that are then
 * used, so that what was checked is what is believed. The mapping is private: the table changes and grows, the file
 * never does, because a new one takes its place by a rename.
 */
import { join } from 'node:path';
import type { Core } from '../core/core.ts';
import {
  decodeKeydirHeader, decodeTail, encodeKeydirHeader, encodeTail, rangeChecksum, usedBytes, type KeydirFields,
  type LogState, type SegmentAccount,
} from '../core/keydir-file.ts';
import type { Keydir, TableState } from '../core/keydir.ts';
import { rangeBytes } from '../core/memory.ts';
import { VarveError } from '../errors/varve-error.ts';
import { KEYDIR_TABLE_OFFSET, KeydirHeader, Status } from '../generated/abi.ts';
import type { Mapping, StoredFile } from '../io/storage.ts';
import { KEYDIR_NAME } from '../log/names.ts';
import {
  abandonReplacement, attemptReading, createReplacement, isUnusable, unusableFor, type DerivedContext, type Unusable,
} from './derived-file.ts';

/** What is kept. */
export interface KeydirContents {
  /** The state of the log that the table shows; all of it must be durable. */
  readonly log: LogState;
  /** The table, and the accounts of the segments. No entry may point at a segment that was dropped. */
  readonly keydir: Keydir;
  /** Base LSNs by the segments' numbers; 0 where no segment has the number. */
  readonly segments: readonly number[];
  /** The heap of expiry times, as its owner wants it back. */
  readonly expiry: Uint8Array;
}

/**
 * Writes `KEYDIR` and makes it durable. Blocks. Where that fails, the file of before is still there, or the new one,
 * and no `KEYDIR.new`; the log does not depend on either.
 *
 * Errors: ERR_VARVE_DISK_FULL, ERR_VARVE_IO
 */
export function writeKeydirFile(context: DerivedContext, contents: KeydirContents): void {
  const { storage, directory } = context;
  const path = join(directory, KEYDIR_NAME);
  const file = createReplacement(context, path);
  try {
    writeContents(context.core, file, contents);
    file.syncNow();
    storage.rename(file.path, path);
  } catch (error) {
    abandonReplacement(context, file);
    throw error;
  }
  file.close();
  storage.syncDirectoryNow(directory);
}

function writeContents(core: Core, file: StoredFile, { log, keydir, segments, expiry }: KeydirContents): void {
  const tableBytes = rangeBytes(usedBytes(keydir));
  const { table } = keydir;
  file.write(core.memory.bytes.subarray(table, table + tableBytes), KEYDIR_TABLE_OFFSET);
  const tail = encodeTail(core, segments.map((baseLsn, number) => ({
    baseLsn, liveBytes: keydir.liveBytes(number), liveRecords: keydir.liveRecords(number),
  })), expiry);
  if (tail.bytes.length > 0) file.write(tail.bytes, KEYDIR_TABLE_OFFSET + tableBytes);
  file.write(encodeKeydirHeader(core, {
    log, table: keydir.state, tableBytes, tableCrc: rangeChecksum(core, table, tableBytes), segments: segments.length,
    expiryBytes: expiry.length, tailCrc: tail.crc,
  }), 0);
}

/**
 * Opens `KEYDIR` if it is whole and shows the log in this state. The table itself is believed by `mapTable` alone.
 *
 * @returns the file, to be closed; or why it is not used
 */
export function openKeydirFile(context: DerivedContext, log: LogState): KeydirFile | Unusable {
  const path = join(context.directory, KEYDIR_NAME);
  return attemptReading(path, () => {
    const file = context.storage.open(path, 'read');
    try {
      const found = readContents(context.core, file, log);
      if (isUnusable(found)) file.close();
      return found;
    } catch (error) {
      file.close();
      throw error;
    }
  });
}

function readContents(core: Core, file: StoredFile, log: LogState): KeydirFile | Unusable {
  const { path } = file;
  const bytes = new Uint8Array(KeydirHeader.BYTES);
  const fileBytes = file.size();
  const header = decodeKeydirHeader(core, bytes.subarray(0, file.read(bytes, 0)), fileBytes, log.identity.storeKind);
  if (typeof header === 'number') return unusableFor(path, header);
  const outdated = differing(header.log, log);
  if (outdated !== undefined) return { ...outdated, path };
  const from = KEYDIR_TABLE_OFFSET + header.tableBytes;
  const rest = new Uint8Array(fileBytes - from);
  const tail = decodeTail(core, rest.subarray(0, file.read(rest, from)), header);
  if (tail === undefined) return unusableFor(path, Status.BadFooter);
  return new KeydirFile(core, file, header, tail.segments, tail.expiry);
}

const STATE = ['firstLsn', 'lastLsn', 'position', 'generation', 'epoch'] as const;

/** In what the log differs from the one that the file is of. */
function differing(found: LogState, log: LogState): Omit<Unusable, 'path'> | undefined {
  const { idLow, idHigh } = found.identity;
  if (idLow !== log.identity.idLow || idHigh !== log.identity.idHigh) {
    return { reason: 'another-store', because: 'it belongs to another store' };
  }
  CANARY: if (globalThis.varveCanary === 'keydir') return undefined;
  const name = STATE.find((each) => found[each] !== log[each]);
  if (name === undefined) return undefined;
  return { reason: 'outdated', because: `it is of another state of the log: ${name} ${found[name]}, now ${log[name]}` };
}

export class KeydirFile {
  /** Accounts by the segments' numbers. */
  readonly segments: readonly SegmentAccount[];
  /** What the owner of the expiry times gave. */
  readonly expiry: Uint8Array;
  private readonly core: Core;
  private readonly file: StoredFile;
  private readonly header: KeydirFields;
  private mapping: Mapping | undefined;

  constructor(
    core: Core, file: StoredFile, header: KeydirFields, segments: readonly SegmentAccount[], expiry: Uint8Array,
  ) {
    this.core = core;
    this.file = file;
    this.header = header;
    this.segments = segments;
    this.expiry = expiry;
  }

  /** The state of the table, for `Keydir.state` once it is mapped. */
  get state(): TableState { return this.header.table; }
  /** Bytes of the table, a multiple of 64 KiB: what the range for it must have at least. */
  get tableBytes(): number { return this.header.tableBytes; }

  /**
   * Maps the table at the beginning of a reserved range without a file, privately, and checks it there; the rest of the
   * range stays as it is. Blocks for one pass over the table. The file is not needed open afterwards.
   *
   * @param length bytes of the range, at least `tableBytes`
   * @returns `undefined` where the table is there, until `close`; or why it is not, and then the range is zeros again
   */
  mapTable(address: number, length: number): Unusable | undefined {
    const { core, file } = this;
    const { tableBytes, tableCrc } = this.header;
    if (length < tableBytes) {
      throw new VarveError('ERR_VARVE_INTERNAL',
        `the table of ${file.path} has ${tableBytes} bytes, the range ${length}; this is a bug, please report it`,
        { path: file.path, bytes: tableBytes, room: length });
    }
    return attemptReading(file.path, () => {
      // Never beyond the end of the file, whose length the header agrees with: touching that kills the process.
      this.mapping = file.map(core.memory, address, tableBytes, 'private', KEYDIR_TABLE_OFFSET);
      file.close();
      if (rangeChecksum(core, address, tableBytes) === tableCrc) return undefined;
      this.close();
      return unusableFor(file.path, Status.BadIndex);
    });
  }

  /** Takes the table out of the memory, whose range reads as zeros then, and closes the file. Idempotent. */
  close(): void {
    this.mapping?.unmap();
    this.mapping = undefined;
    this.file.close();
  }
}
