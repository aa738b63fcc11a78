/**
 * What the file of a typed store is, as it stands: for tools that have nothing but a path. Takes no lock and writes
 * nothing.
 */
import { Core } from '../core/core.ts';
import { decodeIdentity } from '../core/typed-header.ts';
import { MMFG_MAGIC, TYPED_MAGIC, TYPED_RECORDS_OFFSET_MIN, WriteMode } from '../generated/abi.ts';
import { realStorage } from '../io/real-storage.ts';
import type { Storage } from '../io/storage.ts';
import { hasChecksums, type FormatName } from './header.ts';
import { layoutOf, orderedHash, sortedHash } from './layout.ts';
import type { Schema } from './schema.ts';
import { openTypedFile } from './open.ts';

const MAGIC_BYTES = 8;

/** What a file says of itself. */
export interface TypedFacts {
  /** Absolute. */
  readonly path: string;
  readonly format: FormatName;
  /** As it stands in the file; of format mmfg-1 the one that was given. */
  readonly schema: Schema;
  /** Bytes of a record, its stamp included. */
  readonly stride: number;
  /** SHA-256 of the fields, as hexadecimal digits. */
  readonly schemaHash: string;
  /** Index of the first record that is there, and of the one behind the last. */
  readonly first: number;
  readonly length: number;
  readonly capacity: number;
  readonly checksums: boolean;
  readonly ring: boolean;
  readonly fileBytes: number;
  readonly metadataBytes: number;
  /** Absent where the format keeps none. */
  readonly storeId?: string;
  /** Milliseconds since 1970. */
  readonly createdAt?: number;
  readonly writer?: {
    readonly epoch: number;
    /** Whether it has the file open, or has died with it open. */
    readonly open: boolean;
    readonly pid: number;
    /** Whether a process of that id is there. */
    readonly alive: boolean;
    readonly writers: 'one' | 'many';
  };
}

/** The format that a file's first bytes say it has; `undefined` where they are none's. */
export function formatOf(path: string, storage: Storage = realStorage()): FormatName | undefined {
  const file = storage.open(path, 'read');
  try {
    const magic = new DataView(new ArrayBuffer(MAGIC_BYTES));
    const length = file.read(new Uint8Array(magic.buffer), 0);
    if (length === MAGIC_BYTES && magic.getBigUint64(0, true) === BigInt(TYPED_MAGIC)) return 'varve';
    return magic.getUint32(0, true) === MMFG_MAGIC ? 'mmfg-1' : undefined;
  } finally {
    file.close();
  }
}

/**
 * Looks at a file.
 *
 * @param schema what a file of format mmfg-1 holds; one of the own format must have it, where it is given
 * Errors: as opening it read-only
 */
export function inspectTyped(
  path: string, format: FormatName, schema: Schema | undefined, core = Core.shared(), storage = realStorage(),
): TypedFacts {
  const context = { core, storage, path, readOnly: true };
  const layout = schema && layoutOf(core, schema);
  const file = openTypedFile(context, layout, { format, create: false, writers: 'one' });
  try {
    const { count, capacity, metadata, writer } = file;
    const hash = format === 'varve' ? orderedHash(file.layout) : sortedHash(file.layout);
    return {
      path, format, schema: file.layout.schema, stride: file.layout.stride,
      schemaHash: Buffer.from(hash).toString('hex'), first: file.first, length: count, capacity,
      checksums: hasChecksums(file.features), ring: file.isRing, metadataBytes: metadata.length,
      ...identityOf(path, format, storage),
      ...(writer === undefined ? {} : {
        writer: {
          epoch: writer.epoch, open: writer.open, pid: writer.pid, alive: storage.alive(writer.pid),
          writers: writer.mode === WriteMode.Many ? 'many' : 'one',
        },
      }),
    };
  } finally {
    file.close();
  }
}

function identityOf(path: string, format: FormatName, storage: Storage) {
  const file = storage.open(path, 'read');
  try {
    const fileBytes = file.size();
    if (format !== 'varve') return { fileBytes };
    const page = new Uint8Array(TYPED_RECORDS_OFFSET_MIN);
    file.read(page, 0);
    const { storeIdLow, storeIdHigh, createdAt } = decodeIdentity(page);
    const half = (word: bigint): string => word.toString(16).padStart(16, '0');
    return { fileBytes, storeId: half(storeIdLow) + half(storeIdHigh), createdAt };
  } finally {
    file.close();
  }
}
