/**
 * The members of a generated class that are about whole records, and how its stores are made and opened. What is not
 * written here it has from GeneratedStore.
 */
import type CodeBlockWriter from 'code-block-writer';
import { emitIf, emitNumbers } from './emit-code.ts';
import { throwsTag, wrap, writeDoc } from './emit-doc.ts';
import type { PlacedModel } from './emit-field.ts';
import type { Form } from './forms.ts';
import { NO_DOC, type RecordModel } from './model.ts';
import { namesOf } from './names.ts';

const STAMP_BYTES = 8;

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
  'ERR_VARVE_READ_ONLY', 'ERR_VARVE_POISONED', 'ERR_VARVE_CLOSED', 'ERR_VARVE_IO',
];
const APPEND_ERRORS = [
  'ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_VALUE_TOO_LONG', 'ERR_VARVE_DISK_FULL', 'ERR_VARVE_MEMORY_FULL',
  'ERR_VARVE_CONTENTION', 'ERR_VARVE_READ_ONLY', 'ERR_VARVE_POISONED', 'ERR_VARVE_CLOSED', 'ERR_VARVE_IO',
];

/** The constructor and the static members. `offsets` are those that the class is written for. */
export function emitOpening(writer: CodeBlockWriter, record: RecordModel, offsets: readonly number[]): void {
  const { store, schema } = namesOf(record.name);
  writer.write('private constructor(path: string, options: StoreOptions)').block(() => {
    emitNumbers(writer, `super(path, ${schema}, options, [`, offsets, ']);');
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

/** A record all of whose fields can be read and written at once. */
interface Whole {
  readonly stride: number;
  readonly fields: readonly (PlacedModel & { readonly form: Form })[];
}

/** Whole records: reading, replacing, changing, appending. */
export function emitRecordMethods(
  writer: CodeBlockWriter, { name }: RecordModel, placed: readonly PlacedModel[], stride: number,
): void {
  const fields = placed.flatMap(({ form, ...rest }) => (form === undefined ? [] : [{ ...rest, form }]));
  const whole: Whole | undefined = fields.length === placed.length ? { stride, fields } : undefined;
  writeDoc(writer, NO_DOC, wrap(`Appends a \`${name}\` and returns its index. Without one it is an empty record: zeros, `
    + 'empty text, `false`, null, the first of some strings.'), throwsTag(APPEND_ERRORS));
  writer.write(`override append(record?: Readonly<${name}>): number`).block(() => {
    if (whole === undefined) {
      writer.writeLine('return super.append(record);');
      return;
    }
    writer.writeLine('const index = record === undefined || this.putRecord(record)');
    writer.indent(() => writer.writeLine('? this.rowView.appendRow(record !== undefined) : -1;'));
    writer.writeLine('return index >= 0 ? index : super.append(record);');
  });
  writer.blankLine();
  emitGet(writer, name, whole);
  writer.blankLine();
  writeDoc(writer, NO_DOC, ['Replaces record `index`, as one change. Every field is checked before anything is written.'],
    throwsTag(SET_ERRORS));
  writer.write(`override set(index: number, record: Readonly<${name}>): void`).block(() => {
    if (whole !== undefined) {
      writer.writeLine('if (index >>> 0 === index && this.putRecord(record) && this.rowView.writeRow(index) === 0) return;');
    }
    writer.writeLine('super.set(index, record);');
  });
  writer.blankLine();
  writeDoc(writer, NO_DOC, wrap('Changes some fields of record `index`, as one change for readers. The others keep what '
    + 'they have, also where another writer changes them at the same time.'), throwsTag(SET_ERRORS));
  writer.write(`override update(index: number, partial: Readonly<Partial<${name}>>): void`).block(() => {
    writer.writeLine('super.update(index, partial);');
  });
  if (whole === undefined) return;
  writer.blankLine();
  emitPut(writer, name, whole);
}

function emitGet(writer: CodeBlockWriter, name: string, whole: Whole | undefined): void {
  writeDoc(writer, NO_DOC, wrap(`Reads record \`index\`, all fields of one state, into a new \`${name}\` or into one `
    + 'that is reused.'), throwsTag(READ_ERRORS));
  writer.writeLine(`override get(index: number): ${name};`);
  writer.writeLine(`override get<T extends Partial<${name}>>(index: number, into: T): ${name} & T;`);
  if (whole === undefined) {
    writer.write(`override get(index: number, into: Partial<${name}> = {}): ${name}`).block(() => {
      writer.writeLine('return super.get(index, into);');
    });
    return;
  }
  writer.write(`override get(index: number, into?: Partial<${name}>): ${name}`).block(() => {
    writer.write('if (index >>> 0 !== index || !isTarget(into) || this.rowView.readRow(index) !== 0)').block(() => {
      writer.writeLine('return super.get(index, into!);');
    });
    emitTaking(writer, name, whole);
  });
}

/** What stands in the row, out of it: all, before the first field is set, which may run the caller's code. */
function emitTaking(writer: CodeBlockWriter, name: string, { fields }: Whole): void {
  writer.writeLine('const { row } = this;');
  for (const [at, { form, offset }] of fields.entries()) {
    writer.writeLine(`const value${at} = ${form.read({ offset })};`);
  }
  const none = fields.flatMap(({ form }, at) => form.isNone?.(local(at)) ?? []);
  if (none.length > 0) {
    emitIf(writer, none, '||', 'return super.get(index, into!);');
  }
  const values = fields.map(({ field, form }, at) => [field.name, form.value?.(local(at)) ?? local(at)] as const);
  writer.write('if (into === undefined)').block(() => {
    writer.write('return').space().inlineBlock(() => {
      for (const [key, value] of values) writer.writeLine(`${key}: ${value},`);
    }).write(';').newLine();
  });
  for (const [key, value] of values) writer.writeLine(`into.${key} = ${value};`);
  writer.writeLine(`return into as ${name};`);
}

/** Putting a record into the row. All fields are taken from it before the first is put, for the same reason. */
function emitPut(writer: CodeBlockWriter, name: string, { stride, fields }: Whole): void {
  writeDoc(writer, NO_DOC, ['Puts a record into the row; false where one of its fields is not to be had so.']);
  writer.write(`private putRecord(record: Readonly<${name}>): boolean`).block(() => {
    writer.writeLine('if (typeof record !== \'object\' || record === null) return false;');
    for (const [at, { field }] of fields.entries()) writer.writeLine(`const value${at} = record.${field.name};`);
    emitIf(writer, fields.map(({ form }, at) => not(form.takes(local(at)))), '||', 'return false;');
    writer.writeLine('const { row } = this;');
    if (hasGaps(fields, stride)) writer.writeLine(`row.clear(${stride});`);
    for (const [at, { form, offset }] of fields.entries()) {
      const put = form.put({ offset }, local(at));
      if (put !== '') writer.writeLine(put);
    }
    const fails = fields.flatMap(({ form, offset }, at) => form.fails?.({ offset }, local(at)) ?? []);
    if (fails.length === 0) writer.writeLine('return true;');
    else writer.writeLine(`return ${fails.map((one) => one.slice(1)).join(' && ')};`);
  });
}

/** Whether fields do not cover the record, or not always, so that what is between them must be cleared. */
function hasGaps(fields: Whole['fields'], stride: number): boolean {
  const covered = fields.reduce((bytes, { size, field }) => bytes + (field.value.kind === 'str' ? 0 : size), 0);
  return covered < stride - STAMP_BYTES;
}

/** The opposite of a call, or of a comparison of types. */
function not(condition: string): string {
  return condition.startsWith('typeof') ? condition.replace('===', '!==') : `!${condition}`;
}

function local(at: number): string {
  return `value${at}`;
}
