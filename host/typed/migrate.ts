/**
 * Migration: the file of a typed store becomes one of a schema that appends to its own. The new file is made beside the
 * old one, filled, synced, and only then takes its name: whatever happens, the name leads to the old file or to the new
 * one, whole. docs/durability.md, "Typed stores".
 *
 * - The lock is held from before the first record is read until after the name is durable: nobody writes meanwhile.
 * - Who has the old file open goes on reading it, and is told by his watches that it has no name any more.
 * - What a migration that died has left under the other name is removed by the next one, and by whoever opens the store
 *   for writing.
 */
import { setImmediate } from 'node:timers/promises';
import { ROW_OFFSET, Status } from '../generated/abi.ts';
import { outOfRange, wrongType } from '../errors/varve-error.ts';
import { Answers } from './answers.ts';
import { adoptFile, discardFile, newFile, prepareFile } from './create.ts';
import { hasChecksums, type FormatName, type TypedContext } from './header.ts';
import { layoutOf, type Layout } from './layout.ts';
import { appendedFields, obstacles, piecesOf, presencePiece } from './migrate-plan.ts';
import { Records, type AnyRecord } from './records.ts';
import type { TypedRecovery } from './recovery.ts';
import { Row } from './row.ts';
import type { Fields, RecordOf, Schema } from './schema.ts';
import { differences, schemaMismatch } from './schema-text.ts';
import { Texts } from './text.ts';
import { formatNamed, openTypedFile, openUnlocked } from './open.ts';
import type { TypedFile } from './typed-file.ts';

/** Options of `TypedStore.migrate`. */
export interface MigrateOptions<F extends Fields = Fields> {
  /** Values of the appended fields in the records that are there. Default: those of an empty record. */
  readonly defaults?: Partial<RecordOf<F>>;
  /** The format of the file. Default `'varve'`. */
  readonly format?: FormatName;
  /** The schema that the file has; for format `'mmfg-1'`, whose files do not keep theirs. */
  readonly from?: Schema;
  /** Told from time to time how many records of how many are copied. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Those of them that are none of `TypedStoreOptions`. */
export const MIGRATE_OPTIONS: readonly string[] = ['defaults', 'from', 'onProgress'];

/** What a migration has done. */
export interface Migration {
  /** Whether the file was replaced; false where it had the schema already. */
  readonly migrated: boolean;
  readonly records: number;
  readonly fromVersion: number;
  readonly toVersion: number;
  /** Names of the fields that were appended. */
  readonly appended: readonly string[];
  /** What a dead writer had left in the old file. */
  readonly recovery: TypedRecovery;
}

/** Records that are copied between two turns of the event loop. */
const RUN = 4096;

/** Errors: those of `TypedStore.migrate`. */
export async function migrateFile(context: TypedContext, schema: Schema, options: MigrateOptions): Promise<Migration> {
  const { core } = context;
  const { format = 'varve', from } = options;
  if (format === 'mmfg-1' && from === undefined) throw wrongType('options.from', 'the schema of the file', from);
  const to = layoutOf(core, schema);
  const expected = from && layoutOf(core, from);
  const opening = { format, create: false, writers: 'one' } as const;
  // Before anything is locked or mended.
  const looked = openTypedFile({ ...context, readOnly: true }, expected, opening);
  looked.close();
  requireUpgrade(context.path, looked.layout, to, options);
  const old = openTypedFile(context, expected, opening);
  try {
    requireUpgrade(context.path, old.layout, to, options);
    const migrated = differences(to, old.layout).length > 0;
    if (migrated) await replace(context, old, to, options);
    return {
      migrated, records: old.count - old.first, fromVersion: old.layout.schema.version, toVersion: schema.version,
      appended: appendedFields(old.layout, to).map(({ name }) => name), recovery: old.recovery,
    };
  } finally {
    old.close();
  }
}

function requireUpgrade(path: string, from: Layout, to: Layout, { defaults = {} }: MigrateOptions): void {
  const found = obstacles(from, to);
  if (found.length > 0) {
    throw schemaMismatch(path, found, { next: 'a migration only appends: copy the records to a new file yourself' });
  }
  if (typeof defaults !== 'object' || defaults === null) throw wrongType('options.defaults', 'an object', defaults);
  // Whoever does it once more gives the same.
  const isDone = differences(to, from).length === 0;
  const names = (isDone ? to.fields : appendedFields(from, to)).map(({ name }) => name);
  const which = names.length === 0
    ? 'empty, because no field is appended' : `made of the appended fields ${names.join(', ')}`;
  const unknown = Object.keys(defaults).find((name) => !names.includes(name));
  if (unknown !== undefined) throw outOfRange('options.defaults', which, unknown);
}

/** Makes the new file and gives it the name of the old one. */
async function replace(context: TypedContext, old: TypedFile, to: Layout, options: MigrateOptions): Promise<void> {
  const { format = 'varve', defaults = {}, onProgress } = options;
  const template = rowOf(context, old, to, defaults as AnyRecord);
  const made = newFile(context.core, to, {
    format, create: false, writers: 'one', checksums: hasChecksums(old.features), ring: old.isRing,
    capacity: old.capacity, metadata: old.metadata,
  });
  const newPath = prepareFile(context, formatNamed(format), made, context.path);
  try {
    const file = openUnlocked({ ...context, path: newPath }, format, to);
    try {
      await copy(context, old, file, template, onProgress);
      await file.sync();
    } finally {
      file.close();
    }
    adoptFile(context);
  } catch (error) {
    discardFile(context);
    throw error;
  }
  old.bell?.ring();
}

/** A new record in which nothing is but the given values, as a row. */
function rowOf({ core }: TypedContext, old: TypedFile, to: Layout, defaults: AnyRecord): Uint8Array {
  const { memory } = core;
  const records = new Records(to, new Row(memory, new Texts(memory), new Answers(old)));
  records.writeSome(defaults);
  const row = memory.bytes.slice(ROW_OFFSET, ROW_OFFSET + to.stride);
  // The stamp is the file's.
  row.fill(0, 0, 8);
  return row;
}

async function copy(
  { core }: TypedContext, old: TypedFile, made: TypedFile, template: Uint8Array,
  onProgress: MigrateOptions['onProgress'],
): Promise<void> {
  const { bytes } = core.memory;
  const answers = new Answers(old);
  const pieces = piecesOf(old.layout, made.layout);
  const presence = presencePiece(old.layout);
  const row = new Uint8Array(template.length);
  const { first, count } = old;
  made.startAt(first);
  const additions = new Answers(made);
  for (let index = first; index < count; index++) {
    if ((index - first) % RUN === 0) {
      onProgress?.(index - first, count - first);
      await setImmediate();
    }
    for (let status = old.view.readRow(index); status !== Status.Ok; status = old.view.readRow(index)) {
      answers.settle(status, index);
    }
    row.set(template);
    for (const piece of pieces) {
      const from = ROW_OFFSET + piece.from;
      row.set(bytes.subarray(from, from + piece.length), piece.to);
    }
    for (let at = presence.at; at < presence.at + presence.length; at++) row[at]! |= bytes[ROW_OFFSET + at]!;
    bytes.set(row, ROW_OFFSET);
    for (let at = made.view.appendRow(true); at < 0; at = made.view.appendRow(true)) {
      // The window moves on, and pages are made ready; there is room for all of them.
      additions.settle(at, index);
      bytes.set(row, ROW_OFFSET);
    }
  }
  onProgress?.(count - first, count - first);
}
