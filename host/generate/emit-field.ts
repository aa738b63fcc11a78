/**
 * The accessors of one field in a generated class. What differs between the kinds is in host/generate/kinds.ts.
 */
import type CodeBlockWriter from 'code-block-writer';
import { emitIf } from './emit-code.ts';
import { throwsTag, wrap, writeDoc } from './emit-doc.ts';
import type { Form } from './forms.ts';
import { errorsOf, takesOf, typeOf } from './kinds.ts';
import type { FieldModel, RecordModel } from './model.ts';
import { accessorsOf } from './names.ts';

/** Codes of docs/errors.md, in the order of the comments of `FieldAccessor`. */
const READ_ERRORS = ['ERR_VARVE_INVALID_ARGUMENT', 'ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_CONTENTION'];
const WRITE_ERRORS = [
  'ERR_VARVE_OUT_OF_RANGE', 'ERR_VARVE_CONTENTION', 'ERR_VARVE_READ_ONLY', 'ERR_VARVE_POISONED', 'ERR_VARVE_CLOSED',
  'ERR_VARVE_IO',
];

/** What is known of a field that has its place in the record. */
export interface PlacedModel {
  readonly field: FieldModel;
  /** From the beginning of the record, in bytes. */
  readonly offset: number;
  readonly size: number;
  readonly form: Form | undefined;
}

export function emitAccessors(writer: CodeBlockWriter, record: RecordModel, placed: PlacedModel): void {
  const { field } = placed;
  // The strings of an enum are written out once, in the interface.
  const type = field.value.kind === 'enum' ? `${record.name}['${field.name}']` : typeOf(field);
  emitGetter(writer, placed, type);
  writer.blankLine();
  emitSetter(writer, placed, type);
}

function emitGetter(writer: CodeBlockWriter, { field, offset, form }: PlacedModel, type: string): void {
  const { name, doc } = field;
  writeDoc(writer, doc, wrap(`Reads \`${name}\` of record \`index\`: ${takesOf(field)}.`),
    throwsTag([...READ_ERRORS, ...errorsOf(field).read, 'ERR_VARVE_CORRUPT', 'ERR_VARVE_CLOSED']));
  writer.write(`${accessorsOf(name).get}(index: number): ${type}`).block(() => {
    if (form?.getter !== undefined) {
      const { getter, found = same, isFound = (local) => `!Number.isNaN(${local})`, value: valueOf = same } = form;
      writer.write('if (index >>> 0 === index)').block(() => {
        writer.writeLine(`const value = ${found(`this.fieldView.${getter}(index, ${offset})`)};`);
        writer.writeLine(`if (${isFound('value')}) return ${valueOf('value')};`);
      });
    }
    writer.writeLine(`return this.fields.${name}.get(index);`);
  });
}

function emitSetter(writer: CodeBlockWriter, { field, offset, form }: PlacedModel, type: string): void {
  const { name, doc } = field;
  writeDoc(writer, doc, wrap(`Sets \`${name}\` of record \`index\`, for all who read it, to \`value\`: ${takesOf(field)}.`),
    throwsTag(['ERR_VARVE_INVALID_ARGUMENT', ...errorsOf(field).write, ...WRITE_ERRORS]));
  writer.write(`${accessorsOf(name).set}(index: number, value: ${type}): void`).block(() => {
    if (form?.setter !== undefined) {
      const call = `this.fieldView.${form.setter}(index, ${offset}, ${(form.raw ?? same)('value')})`;
      emitIf(writer, ['index >>> 0 === index', form.takes('value'), `${call} === 0`], '&&', 'return;');
    }
    writer.writeLine(`this.fields.${name}.set(index, value);`);
  });
}

function same(code: string): string {
  return code;
}
