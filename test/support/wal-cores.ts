/**
 * The logs of a group's cores, below the group itself: entries are appended as a writer of the group does, and each is
 * noted, so that a test can sort, cut and fold what was written in the plainest way.
 */
import { join } from 'node:path';
import { Kind, STORE_KIND_GROUP_CORE } from '../../host/generated/abi.ts';
import { realStorage } from '../../host/io/real-storage.ts';
import { openReader, openWriter } from '../../host/log/open.ts';
import type { LogReader } from '../../host/log/reader.ts';
import type { LogContext } from '../../host/log/segment.ts';
import type { LogWriter } from '../../host/log/writer.ts';
import { encodeCommit, commitBytes } from '../../host/wal/commit.ts';
import type { WalEntry } from '../../host/wal/entry.ts';
import type { LogFixture } from './log-fixture.ts';

/** What was appended. */
export interface Noted {
  readonly core: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly position: number;
  readonly kind: number;
  readonly key: string;
  readonly value: string;
  readonly timestamp: bigint;
  readonly ended: number | undefined;
  readonly id: number | bigint | undefined;
  readonly offsets: ReadonlyMap<string, number | bigint> | undefined;
  readonly watermark: number | bigint | undefined;
}

/** What an append is told. */
export interface Draft {
  readonly kind: number;
  readonly key?: string;
  readonly value?: string;
  readonly timestamp?: bigint;
  readonly ended?: number;
  readonly id?: number | bigint;
  readonly offsets?: ReadonlyMap<string, number | bigint>;
  readonly watermark?: number | bigint | undefined;
}

const STAMP_BYTES = 8;

function bodyOf({ kind, value = '', ended = 0, id = 0, offsets = new Map(), watermark }: Draft): Uint8Array {
  if (kind === Kind.Barrier) return new Uint8Array(BigUint64Array.of(BigInt(ended)).buffer);
  if (kind === Kind.Checkpoint) return new Uint8Array(BigUint64Array.of(BigInt(id)).buffer);
  if (kind !== Kind.Commit) return Buffer.from(value);
  const bytes = new Uint8Array(commitBytes(offsets, watermark));
  encodeCommit(bytes, 0, 0, 0, offsets, watermark);
  return bytes.subarray(STAMP_BYTES);
}

/** Appends one entry as a writer of a group does, and says what it is. */
export function appendEntry(writer: LogWriter, core: number, draft: Draft): Noted {
  const { kind, key = '', timestamp = 0n } = draft;
  const body = bodyOf(draft);
  const sequence = writer.appendStamped(kind, key, Number(timestamp & 0xffffffffn), Number(timestamp >> 32n), body);
  const isCommit = kind === Kind.Commit;
  return {
    core, epoch: writer.epoch, sequence: writer.lastLsn, position: writer.lastPosition, kind, key,
    value: sequence < 0 ? '' : Buffer.from(body).toString('latin1'), timestamp,
    ended: kind === Kind.Barrier ? draft.ended : undefined,
    id: kind === Kind.Checkpoint ? draft.id : undefined,
    offsets: isCommit ? draft.offsets : undefined,
    watermark: isCommit ? draft.watermark : undefined,
  };
}

/** All that can be asked of an entry. */
export function notedOf(entry: WalEntry): Noted {
  const { core, epoch, sequence, position, kind, key, value, timestamp, ended, id, offsets, watermark } = entry;
  return {
    core, epoch, sequence, position, kind, key: Buffer.from(key).toString(), value: Buffer.from(value).toString('latin1'),
    timestamp, ended, id, offsets, watermark,
  };
}

/** The order of a merge. */
export function inOrder(entries: readonly Noted[]): Noted[] {
  return [...entries].sort((a, b) => a.epoch - b.epoch || a.sequence - b.sequence || a.core - b.core);
}

/** The logs of the cores in a fixture's directory. Whoever opens one closes it, by `closeAll` at the latest. */
export class Cores {
  readonly fixture: LogFixture;
  private readonly opened: (() => void)[] = [];

  constructor(fixture: LogFixture) {
    this.fixture = fixture;
  }

  /** Where the log of a core is, in the fixture's directory. */
  name(core: number): string {
    return `core-${String(core).padStart(4, '0')}`;
  }

  context(core: number, readOnly: boolean): LogContext {
    const { fixture } = this;
    const storage = fixture.storage ?? realStorage();
    return { core: fixture.core, storage, directory: join(fixture.directory, this.name(core)), readOnly };
  }

  writer(core: number, segmentBytes = 65536, mappedBytesMax = Infinity): LogWriter {
    const { writer } = openWriter(this.context(core, false), {
      storeKind: STORE_KIND_GROUP_CORE, segmentBytes, mappedBytesMax, create: true,
    });
    this.opened.push(() => { writer.closeNow(); });
    return writer;
  }

  reader(core: number, mappedBytesMax = Infinity): LogReader {
    const { reader } = openReader(this.context(core, true), mappedBytesMax, STORE_KIND_GROUP_CORE);
    this.opened.push(() => { reader.close(); });
    return reader;
  }

  closeAll(): void {
    for (const close of this.opened.splice(0)) close();
  }
}

/** Runs a test with the logs of cores, and closes all that it opened. */
export function withCores<T>(fixture: LogFixture, run: (cores: Cores) => T): T {
  const cores = new Cores(fixture);
  try {
    return run(cores);
  } finally {
    cores.closeAll();
  }
}
