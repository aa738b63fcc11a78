/**
 * The own header of a typed store: checksummed, with the schema and the user's metadata in it. docs/format.md, "Typed
 * store, own header", numbers the conditions that are checked here.
 */
import {
  checkIdentity, checksum, decodeIdentity, encodeIdentity, OWN_LIVE, type TypedIdentity,
} from '../core/typed-header.ts';
import { outOfRange } from '../errors/varve-error.ts';
import {
  FORMAT_VERSION, MMFG_MAGIC, STORE_KIND_TYPED, Status, TYPED_FEATURE_KINDS, TYPED_RECORDS_OFFSET_MAX,
  TYPED_RECORDS_OFFSET_MIN, TYPED_TEXT_OFFSET,
} from '../generated/abi.ts';
import type { StoredFile } from '../io/storage.ts';
import {
  corruptHeader, hasChecksums, newerFile, notThisFormat, readExactly, type NewFile, type StoredHeader,
  type TypedContext, type TypedFormat,
} from './header.ts';
import { hasKinds, orderedHash, withChecksums, type Layout } from './layout.ts';
import { isUpgrade } from './migrate-plan.ts';
import { decodeSchema, differences, encodeSchema, schemaMismatch } from './schema-text.ts';

const ID_BYTES = 16;

function create({ core, storage }: TypedContext, { layout, features, capacity, metadata }: NewFile): Uint8Array {
  const schema = encodeSchema(layout.schema);
  const text = Buffer.concat([schema, metadata]);
  const pages = Math.ceil((TYPED_TEXT_OFFSET + text.length) / TYPED_RECORDS_OFFSET_MIN);
  const recordsOffset = pages * TYPED_RECORDS_OFFSET_MIN;
  if (recordsOffset > TYPED_RECORDS_OFFSET_MAX) {
    throw outOfRange('schema and metadata', `at most ${TYPED_RECORDS_OFFSET_MAX - TYPED_TEXT_OFFSET} bytes`, text.length);
  }
  const id = new Uint8Array(ID_BYTES);
  storage.random(id);
  const halves = new BigUint64Array(id.buffer);
  const header = new Uint8Array(recordsOffset);
  header.set(encodeIdentity(core, {
    features, storeIdLow: halves[0]!, storeIdHigh: halves[1]!, createdAt: storage.now(),
    schemaVersion: layout.schema.version, stride: layout.stride, schemaHash: orderedHash(layout), recordsOffset,
    schemaBytes: schema.length, metadataBytes: metadata.length, textCrc: checksum(core, text),
  }, capacity));
  header.set(text, TYPED_TEXT_OFFSET);
  return header;
}

function read(context: TypedContext, file: StoredFile, layout: Layout | undefined): StoredHeader {
  const page = readExactly(file, 0, TYPED_RECORDS_OFFSET_MIN);
  requireIdentity(context, page);
  const identity = decodeIdentity(page);
  const { features, recordsOffset, schemaBytes, metadataBytes } = identity;
  requireLengths(context.path, identity, file.size());
  const text = readExactly(file, TYPED_TEXT_OFFSET, schemaBytes + metadataBytes);
  const textCrc = checksum(context.core, text);
  if (textCrc !== identity.textCrc) {
    throw corruptHeader(context.path, 'the checksum of its schema and metadata is wrong',
      { field: 'textCrc', expected: identity.textCrc, actual: textCrc });
  }
  const wanted = layout && withChecksums(context.core, layout, hasChecksums(features));
  const stored = storedLayout(context, identity, text.subarray(0, schemaBytes), wanted);
  const found = wanted === undefined || wanted === stored ? [] : differences(wanted, stored);
  if (found.length > 0) throw schemaMismatch(context.path, found, { isUpgrade: isUpgrade(stored, wanted!) });
  return { layout: wanted ?? stored, features, recordsOffset, metadata: text.slice(schemaBytes) };
}

/** Magic, checksum, version, features and kind. */
function requireIdentity({ core, path, readOnly }: TypedContext, page: Uint8Array): void {
  const { status, version, storeKind, mayWrite } = checkIdentity(core, page);
  if (status === Status.BadMagic) {
    const other = new DataView(page.buffer).getUint32(0, true) === MMFG_MAGIC;
    throw notThisFormat(path, `its magic is not "VARVETYP"${other ? ' but "MMFG"; open it with format \'mmfg-1\'' : ''}`,
      { field: 'magic', expected: 'VARVETYP', actual: Buffer.from(page.subarray(0, 8)).toString('latin1') });
  }
  if (status === Status.NewerVersion) {
    throw newerFile(path, `was written by a later version of varve or uses a feature that this one does not know`,
      { supported: FORMAT_VERSION, version });
  }
  if (status !== Status.Ok) throw corruptHeader(path, 'its checksum is wrong', { field: 'crc' });
  if (storeKind !== STORE_KIND_TYPED) {
    throw notThisFormat(path, `it holds a store of kind ${storeKind}`,
      { field: 'storeKind', expected: STORE_KIND_TYPED, actual: storeKind });
  }
  if (!mayWrite && !readOnly) {
    throw newerFile(path, 'uses a feature that this version of varve cannot write; it can be opened read-only',
      { supported: FORMAT_VERSION, version });
  }
}

function requireLengths(path: string, identity: TypedIdentity, size: number): void {
  const { recordsOffset, schemaBytes, metadataBytes } = identity;
  const page = TYPED_RECORDS_OFFSET_MIN;
  if (recordsOffset % page !== 0 || recordsOffset < page || recordsOffset > Math.min(TYPED_RECORDS_OFFSET_MAX, size)) {
    throw corruptHeader(path, `its records begin at ${recordsOffset}`,
      { field: 'recordsOffset', expected: `a multiple of ${page} within the file`, actual: recordsOffset, size });
  }
  if (TYPED_TEXT_OFFSET + schemaBytes + metadataBytes > recordsOffset) {
    throw corruptHeader(path, `schema and metadata, ${schemaBytes} and ${metadataBytes} bytes, reach into the records`,
      { field: 'schemaBytes', expected: recordsOffset - TYPED_TEXT_OFFSET, actual: schemaBytes + metadataBytes });
  }
}

/** The layout of the schema in the file, with which version, stride and hash must agree: `wanted`, if it is that. */
function storedLayout(
  { core, path }: TypedContext, identity: TypedIdentity, text: Uint8Array, wanted: Layout | undefined,
): Layout {
  let stored: Layout;
  try {
    const isWanted = wanted !== undefined && Buffer.compare(encodeSchema(wanted.schema), text) === 0;
    stored = isWanted ? wanted : decodeSchema(core, text, hasChecksums(identity.features));
  } catch (error) {
    throw corruptHeader(path, 'its schema cannot be read', { field: 'schema', cause: String(error) });
  }
  const hash = orderedHash(stored);
  const kinds = hasKinds(stored) ? TYPED_FEATURE_KINDS : 0;
  const pairs = [
    ['incompatible', kinds, identity.features & TYPED_FEATURE_KINDS],
    ['schemaVersion', stored.schema.version, identity.schemaVersion], ['stride', stored.stride, identity.stride],
    ['schemaHash', Buffer.from(hash).toString('hex'), Buffer.from(identity.schemaHash).toString('hex')],
  ] as const;
  for (const [field, expected, actual] of pairs) {
    if (expected !== actual) throw corruptHeader(path, `its ${field} contradicts its schema`, { field, expected, actual });
  }
  return stored;
}

export const ownFormat: TypedFormat = { live: OWN_LIVE, liveBytes: TYPED_RECORDS_OFFSET_MIN, create, read };
