/**
 * The header of format mmfg-1, mmapforge's: 64 bytes without a checksum, and of the schema no more than a hash, so that
 * a file of another schema can be told but not described. docs/format.md, "Typed store, mmfg-1".
 */
import { decodeMmfg, encodeMmfg, MMFG_LIVE } from '../core/typed-header.ts';
import { outOfRange } from '../errors/varve-error.ts';
import { MMFG_MAGIC, MmfgHeader } from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import { notThisFormat, readExactly, type NewFile, type StoredHeader, type TypedContext, type TypedFormat } from './header.ts';
import { hasKinds, sortedHash, type Layout } from './layout.ts';
import { schemaMismatch, type Difference } from './schema-text.ts';

/** The one version there is. */
const VERSION = 1;

function requireLayout(layout: Layout): void {
  if (hasKinds(layout)) {
    throw outOfRange('schema', 'made of plain fields, because format mmfg-1 knows no others', layout.schema.name);
  }
}

function create(_context: TypedContext, { layout, features, capacity, metadata }: NewFile): Uint8Array {
  if (features !== 0) throw outOfRange('format', '\'varve\', because format mmfg-1 has plain records alone', 'mmfg-1');
  if (metadata.length > 0) throw outOfRange('metadata', 'empty, because format mmfg-1 has no room for it', metadata.length);
  return encodeMmfg({
    magic: MMFG_MAGIC, version: VERSION, schemaHash: sortedHash(layout), schemaVersion: layout.schema.version,
    stride: layout.stride, count: 0, capacity,
  });
}

function read({ path }: TypedContext, file: StoredFile, layout: Layout | undefined): StoredHeader {
  const header = decodeMmfg(readExactly(file, 0, MmfgHeader.BYTES));
  if (header.magic !== MMFG_MAGIC) {
    throw notThisFormat(path, 'its magic is not "MMFG"', { field: 'magic', expected: MMFG_MAGIC, actual: header.magic });
  }
  if (header.version !== VERSION) {
    throw notThisFormat(path, `its version is ${header.version}, not ${VERSION}`,
      { field: 'version', expected: VERSION, actual: header.version });
  }
  if (layout === undefined) throw notThisFormat(path, 'a file of format mmfg-1 cannot be read without its schema', {});
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const found: Difference[] = [
    { what: 'version', expected: layout.schema.version, actual: header.schemaVersion },
    { what: 'stride', expected: layout.stride, actual: header.stride },
    { what: 'hash', expected: hex(sortedHash(layout)), actual: hex(header.schemaHash) },
  ].filter(({ expected, actual }) => expected !== actual);
  if (found.length > 0) throw schemaMismatch(path, found);
  return { layout, features: 0, recordsOffset: MmfgHeader.BYTES, metadata: new Uint8Array(0) };
}

export const mmfgFormat: TypedFormat = { live: MMFG_LIVE, liveBytes: MmfgHeader.BYTES, requireLayout, create, read };
