/**
 * Any schema, written as an interface, is the same schema for the generator, and in the code that it writes.
 */
import fc from 'fast-check';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import { Core } from '../../host/core/core.ts';
import { fieldOf, quote } from '../../host/generate/kinds.ts';
import { accessorsOf, fileNameOf } from '../../host/generate/names.ts';
import { parseSource } from '../../host/generate/parse.ts';
import { layoutOf, orderedHash } from '../../host/typed/layout.ts';
import * as schemas from '../../host/typed/schema.ts';
import type { Field, Schema } from '../../host/typed/schema.ts';
import { Project } from '../support/generate.ts';
import { anything } from '../support/typed-kinds.ts';

const project = new Project();
afterAll(() => { project.remove(); });

const ALIASES: Readonly<Record<string, string>> = {
  bool: 'bool', int8: 'i8', uint8: 'u8', int16: 'i16', uint16: 'u16', int32: 'i32', uint32: 'u32', int64: 'i64',
  uint64: 'u64', float32: 'f32', float64: 'f64', string: 'Str', bytes: 'Bytes',
};

/** A field as a member has it. */
function memberType({ type, max, as, values, count, unit, nullable }: Field): string {
  const plain = ALIASES[type]! + (max !== undefined ? `<${max}>` : as === 'number' ? '<number>' : '');
  const value = values !== undefined ? values.map((one) => JSON.stringify(one)).join(' | ')
    : unit !== undefined ? 'Timestamp' : count !== undefined ? `FixedArray<${plain}, ${count}>` : plain;
  return nullable === true ? `${value} | null` : value;
}

function sourceOf({ name, version, fields }: Schema): string {
  const members = Object.entries(fields).map(([field, type]) => `  ${field}: ${memberType(type)};\n`).join('');
  const imports = [...Object.values(ALIASES), 'FixedArray', 'Timestamp'].join(', ');
  return `import type { ${imports} } from 'varve/schema';\n/** @varve version=${version} */\nexport interface ${name} {\n`
    + `${members}}\n`;
}

const hashOf = (schema: Schema): string => Buffer.from(orderedHash(layoutOf(Core.shared(), schema))).toString('hex');

/** Runs the schema of a generated file with the words of the runtime. */
function schemaIn(text: string): Schema {
  const [code] = /defineSchema\([\s\S]*?\n\}\);/.exec(text)!;
  const source = ts.createSourceFile('schema.ts', code!, ts.ScriptTarget.Latest, true);
  const value = (node: ts.Expression): unknown => {
    if (ts.isStringLiteral(node)) return node.text;
    if (ts.isNumericLiteral(node)) return Number(node.text);
    if (ts.isIdentifier(node)) return (schemas as Record<string, unknown>)[node.text];
    if (ts.isPropertyAccessExpression(node)) return (value(node.expression) as Record<string, unknown>)[node.name.text];
    if (ts.isCallExpression(node)) {
      return (value(node.expression) as (...given: unknown[]) => unknown)(...node.arguments.map(value));
    }
    if (!ts.isObjectLiteralExpression(node)) throw new Error(`unexpected ${node.getText()}`);
    return Object.fromEntries(node.properties.map((property) => {
      if (!ts.isPropertyAssignment(property)) throw new Error(`unexpected ${property.getText()}`);
      return [property.name.getText(), value(property.initializer)];
    }));
  };
  return value((source.statements[0] as ts.ExpressionStatement).expression) as Schema;
}

describe('any schema', () => {
  it('is read as it was written, and generated as it was read', () => {
    fc.assert(fc.property(anything, ({ schema }) => {
      const text = sourceOf(schema);
      const { records, mistakes } = parseSource(ts, { path: '/types.ts', file: 'types.ts', text });
      expect(mistakes).toEqual([]);
      expect(records.map(({ name, version }) => [name, version])).toEqual([[schema.name, schema.version]]);
      expect(records[0]!.fields.map((field) => [field.name, fieldOf(field)])).toEqual(
        Object.entries(schema.fields).map(([name, field]) => [name, plain(field)]));

      project.write('types.ts', text);
      const { files: [file] } = project.generate(['types.ts']);
      expect(file).toMatchObject({ schemaHash: hashOf(schema) });
      expect(hashOf(schemaIn(project.read(file!.path)))).toBe(hashOf(schema));
    }), { numRuns: 40 });
  }, 60_000);
});

/** Without the form of a 64-bit integer that is the default one. */
function plain(field: Field): unknown {
  const { number: _, ...rest } = field as Field & { number?: unknown };
  return expect.objectContaining(rest) as unknown;
}

describe('names', () => {
  it.each([
    ['PriceTick', 'price-tick'], ['Tick', 'tick'], ['HTTPRequest', 'http-request'], ['tick_of_day', 'tick-of-day'],
    ['_Tick', 'tick'], ['Tick2', 'tick2'], ['OHLC', 'ohlc'], ['priceTick', 'price-tick'], ['X', 'x'], ['A$B', 'a-b'],
  ])('%s is written to %s-store.ts', (name, file) => {
    expect(fileNameOf(name)).toBe(`${file}-store.ts`);
  });

  it.each(['_', '$', '$_$'])('%s is written nowhere', (name) => { expect(fileNameOf(name)).toBeUndefined(); });

  it.each([
    ['price', 'getPrice', 'setPrice'], ['Price', 'getPrice', 'setPrice'], ['_a', 'get_a', 'set_a'], ['$', 'get$', 'set$'],
    ['x', 'getX', 'setX'], ['lastPrice', 'getLastPrice', 'setLastPrice'],
  ])('%s has %s and %s', (name, get, set) => { expect(accessorsOf(name)).toEqual({ get, set }); });
});

describe('strings in code', () => {
  it('are what they stand for', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      const source = ts.createSourceFile('a.ts', quote(text), ts.ScriptTarget.Latest, true);
      const [statement] = source.statements;
      expect(ts.isExpressionStatement(statement!) && ts.isStringLiteral(statement.expression)
        && statement.expression.text).toBe(text);
    }), { examples: [['\u2028'], ['\ud800'], ['\''], ['"'], ['\\'], ['\\\''], ['\n'], ['*/'], ['$' + '{x}'], ['`']] });
  });
});
