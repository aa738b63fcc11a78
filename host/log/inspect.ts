/**
 * Looking at a store's files as they are, for people and tools: CONTROL's groups, the table of segments, every frame.
 *
 * It takes no lock, creates and writes nothing, and reads instead of mapping, so that a file which its writer shortens
 * meanwhile does no harm. It judges single structures only; what a damage means for the log is examine.ts's.
 */
import { join } from 'node:path';
import { ControlPage } from '../core/control-page.ts';
import { crc32c } from '../core/crc32c.ts';
import type { Core } from '../core/core.ts';
import { RANGE_ALIGNMENT } from '../core/memory.ts';
import {
  FOOTER_BYTES, parseFooter, parseHeader, type FooterFields, type HeaderFields,
} from '../core/segment-file.ts';
import { VarveError } from '../errors/varve-error.ts';
import {
  CONTROL_BYTES, CONTROL_COMMITTED_OFFSET, CONTROL_MARKS_OFFSET, CONTROL_MARKS_STRIDE, CONTROL_WAKE_OFFSET,
  CONTROL_WRITER_OFFSET, Control, ControlCommitted, ControlMarks, ControlWriter, SegmentHeader, Status,
  WakeGroup,
} from '../generated/abi.ts';
import type { Storage, StoredFile } from '../io/storage.ts';
import { holdsStore, refuseForeign } from './load.ts';
import { baseLsnOf, CONTROL_NAME, segmentName } from './names.ts';

/** Names of fields and their offsets, as the core's layout has them. */
export type Layout = Readonly<Record<string, number>>;

/** One structure as it stands in a file. */
export interface Structure {
  readonly name: string;
  /** Offset in the file. */
  readonly offset: number;
  readonly layout: Layout;
  readonly bytes: Uint8Array;
  /** `blank` where it is all zeros and may be. */
  readonly state: 'valid' | 'damaged' | 'blank' | 'unchecked';
}

/** CONTROL, as far as it is valid. */
export interface ControlFacts {
  readonly path: string;
  readonly structures: readonly Structure[];
  /** Whether the identity is valid; without it nothing else of CONTROL counts. */
  readonly valid: boolean;
  readonly storeId: string;
  readonly storeKind: number;
  readonly createdAt: number;
  /** The last writer; `live` while it has the store open and its process exists. */
  readonly writer: {
    readonly pid: number; readonly epoch: number; readonly open: boolean; readonly live: boolean;
    readonly segmentBytes: number;
  } | undefined;
  readonly durableLsn: number | undefined;
  readonly firstLsn: number | undefined;
  readonly committedLsn: number;
}

/** One segment file. */
export interface SegmentFacts {
  readonly path: string;
  readonly baseLsn: number;
  readonly fileBytes: number;
  /** The header, where it is valid. */
  readonly header: HeaderFields | undefined;
  readonly headerBytes: Uint8Array;
  readonly headerStatus: number;
  /** The footer, where there is a valid one. */
  readonly footer: FooterFields | undefined;
  readonly footerBytes: Uint8Array | undefined;
  /** `Ok`, `BadMagic` where there is none, `BadFooter` where it is damaged. */
  readonly footerStatus: number;
}

export class StoreInspector {
  readonly directory: string;
  private readonly storage: Storage;
  private readonly core: Core;

  /** Errors: ERR_VARVE_NOT_FOUND, ERR_VARVE_FOREIGN_DIRECTORY */
  constructor(directory: string, storage: Storage, core: Core) {
    this.directory = directory;
    this.storage = storage;
    this.core = core;
    const names = this.names();
    if (holdsStore(names ?? [])) return;
    if (names !== undefined) refuseForeign(directory, names);
    throw new VarveError('ERR_VARVE_NOT_FOUND', `there is no store in ${directory}; check the path`,
      { path: directory });
  }

  private names(): string[] | undefined {
    return this.storage.list(this.directory);
  }

  /** CONTROL; `undefined` where the file is missing. */
  control(): ControlFacts | undefined {
    const path = join(this.directory, CONTROL_NAME);
    if (!this.storage.exists(path)) return undefined;
    const bytes = this.read(path, (file) => readUpTo(file, 0, CONTROL_BYTES));
    const page = new Uint8Array(CONTROL_BYTES);
    page.set(bytes);
    return this.withCopy(page, (copy) => this.controlFacts(path, page, copy));
  }

  private controlFacts(path: string, bytes: Uint8Array, page: ControlPage): ControlFacts {
    const { identity, writer, marks } = page;
    const { storeKind, idLow, idHigh } = identity;
    return {
      path,
      structures: controlStructures(bytes),
      valid: page.check() === Status.Ok,
      storeId: idText(idLow, idHigh),
      storeKind,
      createdAt: page.createdAt,
      writer: writer === undefined ? undefined : { ...writer, live: writer.open && this.storage.alive(writer.pid) },
      durableLsn: marks?.durableLsn,
      firstLsn: marks?.firstLsn,
      committedLsn: page.lsn,
    };
  }

  /** Runs on a copy of CONTROL in the core's memory, where its fields can be read and checked. */
  private withCopy<T>(bytes: Uint8Array, use: (page: ControlPage) => T): T {
    const { memory } = this.core;
    const at = memory.reserve(RANGE_ALIGNMENT);
    try {
      memory.bytes.set(bytes, at);
      return use(new ControlPage(this.core, at, CONTROL_BYTES));
    } finally {
      memory.bytes.fill(0, at, at + CONTROL_BYTES);
      memory.release(at, RANGE_ALIGNMENT);
    }
  }

  /** Every segment file, ascending by base LSN; one that disappears meanwhile is left out. */
  segments(): SegmentFacts[] {
    const facts: SegmentFacts[] = [];
    for (const baseLsn of (this.names() ?? []).map(baseLsnOf).filter((lsn) => lsn !== undefined)) {
      const path = join(this.directory, segmentName(baseLsn));
      try {
        facts.push(this.read(path, (file) => this.segmentFacts(file, baseLsn)));
      } catch (error) {
        if (!VarveError.is(error, 'ERR_VARVE_NOT_FOUND')) throw error;
      }
    }
    return facts.sort((a, b) => a.baseLsn - b.baseLsn);
  }

  private segmentFacts(file: StoredFile, baseLsn: number): SegmentFacts {
    const fileBytes = file.size();
    const headerBytes = readUpTo(file, 0, SegmentHeader.BYTES);
    const parsed = parseHeader(this.core, headerBytes);
    const header = typeof parsed === 'number' ? undefined : parsed;
    const headerStatus = typeof parsed === 'number' ? parsed
      : parsed.baseLsn === baseLsn ? Status.Ok : Status.ForeignStore;
    const footerAt = fileBytes - FOOTER_BYTES;
    const footerBytes = footerAt < SegmentHeader.BYTES ? undefined : readUpTo(file, footerAt, FOOTER_BYTES);
    const footer = header === undefined || footerBytes === undefined
      ? Status.BadMagic : parseFooter(this.core, footerBytes, fileBytes, header);
    return {
      path: file.path, baseLsn, fileBytes, header, headerBytes, headerStatus,
      footer: typeof footer === 'number' ? undefined : footer,
      footerBytes: footer === Status.BadMagic ? undefined : footerBytes,
      footerStatus: typeof footer === 'number' ? footer : Status.Ok,
    };
  }

  /** Opens a segment's file for as long as `use` runs. */
  read<T>(path: string, use: (file: StoredFile) => T): T {
    const file = this.storage.open(path, 'read');
    try {
      return use(file);
    } finally {
      file.close();
    }
  }

  /** Opens a segment's file for reading; the caller closes it. */
  open(segment: SegmentFacts): StoredFile {
    return this.storage.open(segment.path, 'read');
  }
}

function readUpTo(file: StoredFile, offset: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  return bytes.subarray(0, file.read(bytes, offset));
}

/** A store's id as 32 hexadecimal digits. */
export function idText(low: bigint, high: bigint): string {
  return low.toString(16).padStart(16, '0') + high.toString(16).padStart(16, '0');
}

/** The groups of CONTROL; the checksums of those that have one are checked. */
function controlStructures(page: Uint8Array): Structure[] {
  const take = (name: string, offset: number, layout: Layout, crcFrom: number | undefined): Structure => {
    const bytes = page.slice(offset, offset + layout['BYTES']!);
    return { name, offset, layout, bytes, state: stateOf(bytes, layout, crcFrom) };
  };
  return [
    take('identity', 0, Control, Control.version),
    take('writer', CONTROL_WRITER_OFFSET, ControlWriter, ControlWriter.epoch),
    take('marks 0', CONTROL_MARKS_OFFSET, ControlMarks, ControlMarks.truncating),
    take('marks 1', CONTROL_MARKS_OFFSET + CONTROL_MARKS_STRIDE, ControlMarks, ControlMarks.truncating),
    take('committed', CONTROL_COMMITTED_OFFSET, ControlCommitted, undefined),
    take('wake', CONTROL_WAKE_OFFSET, WakeGroup, undefined),
  ];
}

function stateOf(bytes: Uint8Array, layout: Layout, crcFrom: number | undefined): Structure['state'] {
  if (crcFrom === undefined) return 'unchecked';
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(layout['crc']!, true);
  if (stored === crc32c(bytes.subarray(crcFrom))) return 'valid';
  return bytes.every((byte) => byte === 0) ? 'blank' : 'damaged';
}
