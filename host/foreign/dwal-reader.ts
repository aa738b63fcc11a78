/**
 * Reading a DWAL directory: every record in order, in bounded memory (the largest frame, at least 1 MiB).
 *
 * In the last segment a truncated frame or one with a wrong checksum ends the valid prefix, as datawal has it; it is
 * reported, with what lies behind it, and never silent. Anywhere else, and for every other fault, reading ends with an
 * error that names file, offset and reason. Nothing is ever written.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { VarveError } from '../errors/varve-error.ts';
import { attempt } from '../io/errors.ts';
import { FileWindow } from '../io/file-window.ts';
import { realStorage } from '../io/real-storage.ts';
import {
  checkDwalCrc, checkDwalHeader, DWAL_HEADER_BYTES, isDwalSegment, type DwalFault, type DwalProblem, type DwalRecord,
} from './dwal.ts';

/** Where the valid prefix of the last segment ends before the file does. */
export interface DwalTorn {
  readonly path: string;
  readonly offset: number;
  /** Bytes from there to the end of the file. */
  readonly bytes: number;
  readonly fault: DwalFault;
  readonly message: string;
  /** An intact frame behind the break, where there is one: then records were lost that are no torn tail. */
  readonly intactAt: number | undefined;
}

/** What was read; complete when the iteration has ended. */
export interface DwalSource {
  readonly segments: number;
  readonly totalBytes: number;
  /** Bytes of frames read so far. */
  readonly bytes: number;
  readonly records: number;
  /** 0 where there is no record. */
  readonly firstTxid: number;
  readonly lastTxid: number;
  readonly torn: DwalTorn | undefined;
}

const MAGIC_BYTES = Buffer.from('DWAL');
const NO_BYTES = new Uint8Array(0);
const SEARCH_BYTES = 1 << 20;

/** The records of a directory. To be iterated once. */
export class DwalReader implements DwalSource, Iterable<DwalRecord> {
  readonly directory: string;
  readonly segments: number;
  readonly totalBytes: number;
  bytes = 0;
  records = 0;
  firstTxid = 0;
  lastTxid = 0;
  torn: DwalTorn | undefined;
  private readonly paths: readonly string[];

  /** Lists the segments. Errors: ERR_VARVE_NOT_FOUND where there is no directory or no segment, ERR_VARVE_IO */
  constructor(directory: string) {
    this.directory = resolve(directory);
    const names = attempt(this.directory, () => readdirSync(this.directory)).filter(isDwalSegment).sort();
    const files = names.map((name) => join(this.directory, name))
      .map((path) => ({ path, stats: attempt(path, () => statSync(path)) }))
      .filter(({ stats }) => stats.isFile());
    this.paths = files.map(({ path }) => path);
    this.segments = files.length;
    this.totalBytes = files.reduce((sum, { stats }) => sum + stats.size, 0);
    if (files.length > 0) return;
    throw new VarveError('ERR_VARVE_NOT_FOUND', `${this.directory} holds no DWAL segment (00000001.dwal …)`,
      { path: this.directory });
  }

  /**
   * Gives each record. Its bytes never change; they share a buffer of 1 MiB with those of its neighbours.
   *
   * Errors while iterating: ERR_VARVE_FORMAT with details {path, offset, fault}, ERR_VARVE_IO
   */
  * [Symbol.iterator](): Generator<DwalRecord, void> {
    for (const [at, path] of this.paths.entries()) yield* this.segment(path, at === this.paths.length - 1);
  }

  private* segment(path: string, last: boolean): Generator<DwalRecord, void> {
    const file = realStorage().open(path, 'read');
    try {
      const window = new FileWindow(file);
      const size = file.size();
      let offset = 0;
      while (offset < size) {
        const found = this.frame(window, offset, size);
        if ('fault' in found) {
          this.end(window, path, offset, size, found, last);
          return;
        }
        offset += found.frameBytes;
        this.bytes += found.frameBytes;
        this.records++;
        yield found.record;
      }
    } finally {
      file.close();
    }
  }

  private frame(window: FileWindow, offset: number, size: number) {
    const header = checkDwalHeader(window.at(offset, DWAL_HEADER_BYTES), size - offset);
    if ('fault' in header) return header;
    const frame = window.at(offset, header.bytes);
    // The file may have become shorter since its size was taken.
    if (frame.length < header.bytes) return checkDwalHeader(frame, frame.length) as DwalProblem;
    const wrong = checkDwalCrc(frame) ?? this.checkTxid(header.txid);
    if (wrong !== undefined) return wrong;
    if (this.records === 0) this.firstTxid = header.txid;
    this.lastTxid = header.txid;
    const payloadAt = DWAL_HEADER_BYTES + header.keyBytes;
    const record: DwalRecord = {
      txid: header.txid,
      kind: header.kind,
      key: header.keyBytes === 0 ? NO_BYTES : frame.subarray(DWAL_HEADER_BYTES, payloadAt),
      payload: frame.subarray(payloadAt, payloadAt + header.payloadBytes),
    };
    return { record, frameBytes: header.bytes };
  }

  /** Records follow on one another without a gap; the first may have any txid, as the oldest segments may be gone. */
  private checkTxid(txid: number): DwalProblem | undefined {
    if (this.records === 0) {
      if (Number.isSafeInteger(txid) && txid >= 1) return undefined;
      return { fault: 'txid', message: `the first txid is ${txid} instead of 1 or more` };
    }
    if (txid === this.lastTxid + 1) return undefined;
    return { fault: 'txid', message: `txid ${txid} follows on ${this.lastTxid}; every record adds one` };
  }

  /** Reading cannot go on at `offset`: the end of the valid prefix, or an error. */
  private end(
    window: FileWindow, path: string, offset: number, size: number, { fault, message }: DwalProblem, last: boolean,
  ): void {
    if (last && (fault === 'truncated' || fault === 'crc')) {
      const intactAt = this.findIntact(window, offset + 1, size);
      this.torn = { path, offset, bytes: size - offset, fault, message, intactAt };
      return;
    }
    const why = last ? '' : '; only the last segment may end in a torn frame';
    throw new VarveError('ERR_VARVE_FORMAT',
      `${path} at offset ${offset}: ${message}${fault === 'truncated' || fault === 'crc' ? why : ''}`,
      { path, offset, fault });
  }

  /** Offset of the next whole frame with a later txid, or `undefined`. */
  private findIntact(window: FileWindow, from: number, size: number): number | undefined {
    for (let base = from; base < size;) {
      const found = Buffer.from(window.at(base, SEARCH_BYTES)).indexOf(MAGIC_BYTES);
      if (found < 0) {
        // The last bytes may be the first ones of a magic.
        base += SEARCH_BYTES - MAGIC_BYTES.length + 1;
        continue;
      }
      const offset = base + found;
      const header = checkDwalHeader(window.at(offset, DWAL_HEADER_BYTES), size - offset);
      if (!('fault' in header) && header.txid > this.lastTxid
        && checkDwalCrc(window.at(offset, header.bytes)) === undefined) return offset;
      base = offset + 1;
    }
    return undefined;
  }
}
