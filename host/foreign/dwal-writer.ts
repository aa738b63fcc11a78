/**
 * Writing a DWAL directory, all or nothing: the segments are written into a temporary directory beside the target,
 * synced, and renamed at the end. Whatever fails before leaves neither the target nor the temporary directory.
 */
import {
  closeSync, existsSync, fsync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { attempt, translated } from '../io/errors.ts';
import { removeLeftovers } from '../io/leftovers.ts';
import { realStorage } from '../io/real-storage.ts';
import { syncDirectory } from './atomic-file.ts';
import {
  DWAL_SEGMENT_ID_MAX, dwalFrameBytes, dwalSegmentName, encodeDwal, isDwalKind, type DwalRecord,
} from './dwal.ts';

/** A record as a log gives it. */
export interface ExportRecord {
  readonly lsn: number;
  readonly kind: number;
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
}

/** How segments are cut. */
export interface DwalWriterOptions {
  /** Bytes after which a segment is complete; a larger record gets a segment of its own. Default 64 MiB. */
  readonly segmentBytes?: number;
}

/** What was written. */
export interface DwalTarget {
  readonly segments: number;
  readonly records: number;
  readonly bytes: number;
  /** Txids, equal to the LSNs; 0 where there is no record. */
  readonly firstTxid: number;
  readonly lastTxid: number;
}

const SEGMENT_BYTES_DEFAULT = 64 << 20;
const BUFFER_BYTES = 1 << 20;

export class DwalWriter implements DwalTarget {
  /** The directory that is going to be. */
  readonly directory: string;
  segments = 0;
  records = 0;
  bytes = 0;
  firstTxid = 0;
  lastTxid = 0;
  private readonly temporary: string;
  private readonly segmentBytes: number;
  private buffer = new Uint8Array(BUFFER_BYTES);
  private buffered = 0;
  private segmentSize = 0;
  private descriptor: number | undefined;
  /** Syncs of complete segments under way, which close them too. */
  private readonly syncs: Promise<void>[] = [];

  /** Errors: ERR_VARVE_FOREIGN_DIRECTORY where `directory` is not empty, ERR_VARVE_NOT_FOUND, ERR_VARVE_IO */
  constructor(directory: string, options: DwalWriterOptions = {}) {
    this.directory = resolve(directory);
    this.segmentBytes = options.segmentBytes ?? SEGMENT_BYTES_DEFAULT;
    if (existsSync(this.directory) && attempt(this.directory, () => readdirSync(this.directory)).length > 0) {
      throw new VarveError('ERR_VARVE_FOREIGN_DIRECTORY',
        `${this.directory} is not empty; choose a directory that does not exist yet`, { path: this.directory });
    }
    this.temporary = join(dirname(this.directory), `.${basename(this.directory)}.${process.pid}.tmp`);
    removeLeftovers(realStorage(), this.directory);
    attempt(this.temporary, () => mkdirSync(this.temporary));
    try {
      this.startSegment();
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /**
   * Adds a record; its LSN becomes the txid.
   *
   * Errors: ERR_VARVE_FORMAT (DWAL has no type for its kind, or its LSN does not follow on the one before),
   * ERR_VARVE_DISK_FULL, ERR_VARVE_IO; `abandon` then.
   */
  write(record: ExportRecord): void {
    this.requireWritable(record);
    const dwal: DwalRecord = { txid: record.lsn, kind: record.kind, key: record.key, payload: record.payload };
    const size = dwalFrameBytes(dwal);
    if (this.segmentSize > 0 && this.segmentSize + size > this.segmentBytes) this.startSegment();
    if (this.buffered + size > this.buffer.length) this.flush();
    if (size > this.buffer.length) this.buffer = new Uint8Array(size);
    encodeDwal(dwal, this.buffer.subarray(this.buffered));
    this.buffered += size;
    this.segmentSize += size;
    this.bytes += size;
    if (this.records === 0) this.firstTxid = record.lsn;
    this.lastTxid = record.lsn;
    this.records++;
  }

  private requireWritable({ lsn, kind }: ExportRecord): void {
    if (!isDwalKind(kind)) {
      throw new VarveError('ERR_VARVE_FORMAT',
        `record ${lsn} is of kind ${kind}; DWAL knows 0 raw, 1 put and 2 delete only`, { lsn, kind });
    }
    if (this.records === 0 || lsn === this.lastTxid + 1) return;
    throw new VarveError('ERR_VARVE_FORMAT',
      `record ${lsn} follows on ${this.lastTxid}; DWAL allows no gap, and a record that was given up leaves one`,
      { lsn, expected: this.lastTxid + 1 });
  }

  private startSegment(): void {
    if (this.descriptor !== undefined) this.finishSegment();
    if (this.segments >= DWAL_SEGMENT_ID_MAX) {
      throw new VarveError('ERR_VARVE_FORMAT', 'DWAL has no more than 99,999,999 segments; choose larger ones');
    }
    const path = join(this.temporary, dwalSegmentName(this.segments + 1));
    this.descriptor = attempt(path, () => openSync(path, 'wx'));
    this.segments++;
    this.segmentSize = 0;
  }

  private flush(): void {
    const { descriptor, buffer, buffered } = this;
    attempt(this.temporary, () => {
      for (let done = 0; done < buffered;) done += writeSync(descriptor!, buffer, done, buffered - done);
    });
    this.buffered = 0;
  }

  private finishSegment(): void {
    this.flush();
    const sync = this.sync(this.descriptor!);
    this.descriptor = undefined;
    // Whoever finishes is told.
    sync.catch(() => undefined);
    this.syncs.push(sync);
  }

  private sync(descriptor: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fsync(descriptor, (error) => {
        closeSync(descriptor);
        if (error === null) resolve();
        else reject(translated(error, this.temporary));
      });
    });
  }

  /** Makes all of it durable, off the event loop, and gives it its name. On an error nothing is left behind. */
  async finish(): Promise<void> {
    try {
      this.finishSegment();
      await Promise.all(this.syncs);
      syncDirectory(this.temporary);
      attempt(this.directory, () => renameSync(this.temporary, this.directory));
      syncDirectory(dirname(this.directory));
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** Removes what was written; for use after an error. */
  abandon(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
    this.descriptor = undefined;
    rmSync(this.temporary, { recursive: true, force: true });
  }
}
