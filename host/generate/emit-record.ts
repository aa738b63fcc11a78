/**
 * The members of a generated class that are about whole records, and how its stores are made and opened. What is not
 * written here it has from GeneratedStore.
 */
import type CodeBlockWriter from 'code-block-writer';
import { throwsTag, wrap, writeDoc } from './emit-doc.ts';
import { NO_DOC, type RecordModel } from './model.ts';
import { namesOf } from './names.ts';

const OPEN_ERRORS = [
  'ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_LOCKED', 'ERR_VARVE_SCHEMA_MISMATCH', 'ERR_VARVE_NOT_FOUND', 'ERR_VARVE_FORMAT',
  'ERR_VARVE_CORRUPT', 'ERR_VARVE_NEWER_VERSION', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_MEMORY_FULL', 'ERR_VARVE_UNSUPPORTED',
  'ERR_VARVE_IO',
];
const CREATE_ERRORS = [
  'ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_EXISTS', 'ERR_VARVE_LOCKED', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_MEMORY_FULL',
  'ERR_VARVE_UNSUPPORTED', 'ERR_VARVE_IO',
];
const READ_ERRORS = [
  'ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_CONTENTION', 'ERR_VARVE_BAD_VALUE',
  'ERR_VARVE_INEXACT', 'ERR_VARVE_CORRUPT', 'ERR_VARVE_CLOSED',
];
const SET_ERRORS = [
  'ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_VALUE_TOO_LONG', 'ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_CONTENTION',
  'ERR_VARVE_READ_ONLY', 'ERR_VARVE_POISONED', 'ERR_VARVE_CLOSED',
];
const APPEND_ERRORS = [
  'ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_VALUE_TOO_LONG', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_MEMORY_FULL',
  'ERR_VARVE_CONTENTION', 'ERR_VARVE_READ_ONLY', 'ERR_VARVE_POISONED', 'ERR_VARVE_CLOSED', 'ERR_VARVE_IO',
];

/** The constructor and the static members. */
export function emitOpening(writer: CodeBlockWriter, record: RecordModel): void {
  const { store, schema } = namesOf(record.name);
  writer.write('private constructor(path: string, options: StoreOptions)').block(() => {
    writer.writeLine(`super(path, ${schema}, options);`);
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, ['Makes a new store in the file `path`, where there must be none, and opens it for writing.'],
    throwsTag(CREATE_ERRORS, true));
  writer.write(`static async create(path: string, options: CreateOptions = {}): Promise<${store}>`).block(() => {
    writer.writeLine(`return new ${store}(path, { ...options, create: 'new' });`);
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, wrap('Opens the store in the file `path`, makes it where there is none, and mends it where a '
    + 'writer died. Which records that writer may have left half-written stands in `recovery`.'), throwsTag(OPEN_ERRORS, true));
  writer.write(`static async open(path: string, options: OpenOptions = {}): Promise<${store}>`).block(() => {
    writer.writeLine(`return new ${store}(path, options);`);
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, ['The same as `open`, without a promise.']);
  writer.write(`static openSync(path: string, options: OpenOptions = {}): ${store}`).block(() => {
    writer.writeLine(`return new ${store}(path, options);`);
  });
}

/** Whole records: reading, replacing, changing, appending. */
export function emitRecordMethods(writer: CodeBlockWriter, { name }: RecordModel): void {
  writeDoc(writer, NO_DOC, wrap(`Appends a \`${name}\` and returns its index. Without one it is an empty record: zeros, `
    + 'empty text, `false`, null, the first of some strings.'), throwsTag(APPEND_ERRORS));
  writer.write(`override append(record?: Readonly<${name}>): number`).block(() => {
    writer.writeLine('return super.append(record);');
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, wrap(`Reads record \`index\`, all fields of one state, into a new \`${name}\` or into one `
    + 'that is reused.'), throwsTag(READ_ERRORS));
  writer.writeLine(`override get(index: number): ${name};`);
  writer.writeLine(`override get<T extends Partial<${name}>>(index: number, into: T): ${name} & T;`);
  writer.write(`override get(index: number, into: Partial<${name}> = {}): ${name}`).block(() => {
    writer.writeLine('return super.get(index, into);');
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, ['Replaces record `index`, as one change. Every field is checked before anything is written.'],
    throwsTag(SET_ERRORS));
  writer.write(`override set(index: number, record: Readonly<${name}>): void`).block(() => {
    writer.writeLine('super.set(index, record);');
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, wrap('Changes some fields of record `index`, as one change for readers. The others keep what '
    + 'they have, also where another writer changes them at the same time.'), throwsTag(SET_ERRORS));
  writer.write(`override update(index: number, partial: Readonly<Partial<${name}>>): void`).block(() => {
    writer.writeLine('super.update(index, partial);');
  });
}
