/**
 * Hint files: the keys' hashes and places of one sealed segment, so that a table is built without reading the values.
 * docs/format.md, "Hint file".
 *
 * A hint is written while the store works, in slices between which everything else runs, straight from where the core
 * lists the entries to the file. It takes its name when it is durable. It says nothing that its segment does not, so
 * that it is dropped with it, and passed over where the two disagree.
 */
import { join } from 'node:path';
import type { StoreIdentity } from '../core/control-page.ts';
import {
  decodeHintHeader, encodeHintHeader, rangeChecksum, type HintFields, type HintedSegment,
} from '../core/keydir-file.ts';
import type { Keydir } from '../core/keydir.ts';
import { rangeBytes } from '../core/memory.ts';
import { FRAMES_OFFSET, HintHeader, KEYDIR_HINT_BYTES, Status, VALUES_OFFSET } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { hintName } from '../log/names.ts';
import {
  abandonReplacement, attemptReading, createReplacement, isUnusable, unusableFor, type DerivedContext, type Unusable,
} from './derived-file.ts';

/** Bytes of frames that a slice looks at: far less than a millisecond's work, even of the smallest frames. */
const SLICE_BYTES = 1 << 18;

/** A store whose hints are written or read. */
export interface HintContext extends DerivedContext {
  readonly identity: StoreIdentity;
}

/** A sealed segment whose frames the core can list. */
export interface HintSource extends HintedSegment {
  /** Its number in the table. */
  readonly number: number;
  /** Maps it where it is not mapped, and tells the table where. */
  mount(): void;
}

/** How the writing of a hint ended: `damaged` where the frames do not add up to what the footer says. */
export type HintOutcome = 'written' | 'aborted' | 'damaged';

/** The path of the hint of a segment. */
export function hintPath(directory: string, baseLsn: number): string {
  return join(directory, hintName(baseLsn));
}

export class HintWriter {
  private readonly context: HintContext;
  private readonly keydir: Keydir;
  private readonly source: HintSource;
  private file: StoredFile | undefined;
  private aborted = false;
  private offset: number = FRAMES_OFFSET;
  private records = 0;
  private entries = 0;
  private crc = 0;

  constructor(context: HintContext, keydir: Keydir, source: HintSource) {
    this.context = context;
    this.keydir = keydir;
    this.source = source;
  }

  /**
   * Writes the hint, beginning in a later turn of the event loop. To be called once.
   *
   * @returns `written` where it is durable; else nothing is left of it
   * Errors, after which nothing is left of it either: ERR_VARVE_DISK_FULL, ERR_VARVE_IO, what `mount` throws
   */
  async run(): Promise<HintOutcome> {
    const { storage, directory } = this.context;
    const path = hintPath(directory, this.source.baseLsn);
    try {
      await turn();
      if (this.aborted) return 'aborted';
      const file = this.file = createReplacement(this.context, path);
      while (this.offset < this.source.dataEnd) {
        if (!this.slice(file)) return this.giveUp();
        await turn();
        if (this.aborted) return 'aborted';
      }
      if (this.records !== this.source.records) return this.giveUp();
      this.writeHeader(file);
      await file.sync();
      if (this.aborted) return 'aborted';
      storage.rename(file.path, path);
      this.file = undefined;
      file.close();
    } catch (error) {
      // An abort has closed the file under a call that was still under way.
      if (this.aborted) return 'aborted';
      this.abort();
      throw error;
    }
    await storage.syncDirectory(directory);
    return 'written';
  }

  /**
   * Ends the writing at once, for instance because the store closes or the segment goes. No file is left but one that
   * has its name already, which is whole. Idempotent.
   */
  abort(): void {
    this.aborted = true;
    if (this.file !== undefined) abandonReplacement(this.context, this.file);
    this.file = undefined;
  }

  private giveUp(): HintOutcome {
    this.abort();
    return 'damaged';
  }

  /** Lists and writes some entries; false where no frame follows although one should. */
  private slice(file: StoredFile): boolean {
    const { keydir, source } = this;
    source.mount();
    const from = this.offset;
    let count = 0;
    // A frame that reaches beyond the slice ends the list: one larger than a slice takes a larger one.
    for (let bytes = SLICE_BYTES; this.offset === from; bytes *= 2) {
      const end = Math.min(from + bytes, source.dataEnd);
      count = keydir.hints(source.number, from, end);
      this.offset = keydir.offset;
      if (this.offset === from && end === source.dataEnd) return false;
    }
    this.records += keydir.records;
    if (count === 0) return true;
    const bytes = count * KEYDIR_HINT_BYTES;
    const { core } = this.context;
    this.crc = rangeChecksum(core, VALUES_OFFSET, bytes, this.crc);
    file.write(core.memory.bytes.subarray(VALUES_OFFSET, VALUES_OFFSET + bytes),
      HintHeader.BYTES + this.entries * KEYDIR_HINT_BYTES);
    this.entries += count;
    return true;
  }

  private writeHeader(file: StoredFile): void {
    const { core, identity } = this.context;
    const header = { identity, segment: this.source, entries: this.entries, entriesCrc: this.crc };
    file.write(encodeHintHeader(core, header), 0);
  }
}

/** The next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The entries of a hint, in a range of the core's memory until `release`. */
export interface Hints {
  /** Address of the first one, for `Keydir.applyHints`. */
  readonly address: number;
  readonly count: number;
  /** Gives the range back. To be called once. */
  release(): void;
}

/**
 * Reads the hint of a sealed segment into the core's memory. Blocks for reading and one pass for the checksum.
 *
 * Entries are taken a part at a time by `Keydir.applyHints(number, address + taken * KEYDIR_HINT_BYTES, at most so
 * many)`, where `taken` grows by `Keydir.records` at each call, whatever status it ends with.
 *
 * @returns the entries, or why the hint is not used
 */
export function readHintFile(context: HintContext, segment: HintedSegment): Hints | Unusable {
  const { storage, directory } = context;
  const path = hintPath(directory, segment.baseLsn);
  return attemptReading(path, () => {
    const file = storage.open(path, 'read');
    try {
      const header = readHeader(context, file, segment);
      return isUnusable(header) ? header : readEntries(context, file, header.entries, header.entriesCrc);
    } finally {
      file.close();
    }
  });
}

const FACTS = ['baseLsn', 'salt', 'sealedAt', 'records', 'dataEnd'] as const;

function readHeader({ core, identity }: HintContext, file: StoredFile, segment: HintedSegment): HintFields | Unusable {
  const { path } = file;
  const bytes = new Uint8Array(HintHeader.BYTES);
  const header = decodeHintHeader(core, bytes.subarray(0, file.read(bytes, 0)), file.size(), identity.storeKind);
  if (typeof header === 'number') return unusableFor(path, header);
  if (header.identity.idLow !== identity.idLow || header.identity.idHigh !== identity.idHigh) {
    return { reason: 'another-store', path, because: 'it belongs to another store' };
  }
  const name = FACTS.find((each) => header.segment[each] !== segment[each]);
  if (name === undefined) return header;
  const because = `it is of another state of the segment: ${name} ${header.segment[name]}, now ${segment[name]}`;
  return { reason: 'outdated', path, because };
}

function readEntries({ core, storage }: HintContext, file: StoredFile, count: number, crc: number): Hints | Unusable {
  const { memory } = core;
  const bytes = count * KEYDIR_HINT_BYTES;
  const length = rangeBytes(Math.max(1, bytes));
  const address = memory.reserve(length);
  const release = () => {
    storage.discard(memory, address, length);
    memory.release(address, length);
  };
  try {
    const there = file.read(memory.bytes.subarray(address, address + bytes), HintHeader.BYTES);
    if (there === bytes && rangeChecksum(core, address, bytes) === crc) return { address, count, release };
  } catch (error) {
    release();
    throw error;
  }
  release();
  return unusableFor(file.path, Status.BadIndex);
}
