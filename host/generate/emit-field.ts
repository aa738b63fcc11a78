/**
 * The accessors of one field in a generated class. What differs between the kinds is in host/generate/kinds.ts.
 */
import type CodeBlockWriter from 'code-block-writer';
import { throwsTag, wrap, writeDoc } from './emit-doc.ts';
import { errorsOf, takesOf, typeOf } from './kinds.ts';
import type { FieldModel, RecordModel } from './model.ts';
import { accessorsOf } from './names.ts';

/** Codes of docs/errors.md, in the order of the comments of `FieldAccessor`. */
const READ_ERRORS = ['ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_CONTENTION'];
const WRITE_ERRORS = [
  'ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_CONTENTION', 'ERR_VARVE_READ_ONLY', 'ERR_VARVE_POISONED', 'ERR_VARVE_CLOSED',
];

export function emitAccessors(writer: CodeBlockWriter, record: RecordModel, field: FieldModel): void {
  // The strings of an enum are written out once, in the interface.
  const type = field.value.kind === 'enum' ? `${record.name}['${field.name}']` : typeOf(field);
  emitGetter(writer, field, type);
  writer.blankLine();
  emitSetter(writer, field, type);
}

function emitGetter(writer: CodeBlockWriter, field: FieldModel, type: string): void {
  const { name, doc } = field;
  writeDoc(writer, doc, wrap(`Reads \`${name}\` of record \`index\`: ${takesOf(field)}.`),
    throwsTag([...READ_ERRORS, ...errorsOf(field).read, 'ERR_VARVE_CORRUPT', 'ERR_VARVE_CLOSED']));
  writer.write(`${accessorsOf(name).get}(index: number): ${type}`).block(() => {
    writer.writeLine(`return this.fields.${name}.get(index);`);
  });
}

function emitSetter(writer: CodeBlockWriter, field: FieldModel, type: string): void {
  const { name, doc } = field;
  writeDoc(writer, doc, wrap(`Sets \`${name}\` of record \`index\`, for all who read it, to \`value\`: ${takesOf(field)}.`),
    throwsTag(['ERR_VARVE_INVALID_ARGUMENT', ...errorsOf(field).write, ...WRITE_ERRORS]));
  writer.write(`${accessorsOf(name).set}(index: number, value: ${type}): void`).block(() => {
    writer.writeLine(`this.fields.${name}.set(index, value);`);
  });
}
