/**
 * Mistakes in sources: each is said with its line and column, all of them at once, and nothing is written.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Project } from '../support/generate.ts';

const project = new Project();
afterAll(() => { project.remove(); });

const IMPORTS = 'import type { bool, Bytes, f64, FixedArray, i64, Str, Timestamp, u64, u8 } from \'varve/schema\';\n';
const UNKNOWN = 'write bool, f64, u32, Str<64>, Bytes<32>, Timestamp, FixedArray<f64, 3> or the like, or a union of strings';
const MIXED = 'a union is made of strings, or of one type and null';
const NO_NUMBER = 'number has no width; write f64, f32, i8, i16, i32, u8, u16, u32, i64<number> or u64<number> of '
  + '\'varve/schema\'';
const NO_LENGTH = 'an array has no length; write FixedArray<f64, 3> of \'varve/schema\'';
const NESTED = 'an object cannot be nested; give its fields to the interface itself';
const NUMBERS = 'an array holds numbers: i8, i16, i32, u8, u16, u32, i64, u64, f32, f64';
const NO_NAME = 'is no name for a field; use letters A to Z and a to z, digits, _ and $, no digit first';
const INHERITED = 'is what every object has; rename the field';
const ANNOTATE = 'annotate an exported interface';

/** An annotated interface with members of its own, the first in line 4, column 3. */
const tick = (members: string): string => `${IMPORTS}/** @varve version=1 */\nexport interface Tick {\n  ${members}\n}\n`;
/** An interface in line 3 whose doc comment in line 2 holds a text from column 5 on. */
const annotated = (doc: string, declaration = 'export interface Tick { a: f64 }'): string => (
  `${IMPORTS}/** ${doc} */\n${declaration}\n`);

/** Members, and the place and words of what is wrong with them. */
const MEMBERS: readonly [members: string, ...mistakes: string[]][] = [
  ['a: number;', `4:6: ${NO_NUMBER}`],
  ['a: string;', '4:6: string has no bound; write Str<64> of \'varve/schema\', 64 being the most bytes, or a union of the '
    + 'strings that there are'],
  ['a: boolean;', '4:6: boolean is not stored as such; write bool of \'varve/schema\''],
  ['a: true | false;', '4:13: boolean is not stored as such; write bool of \'varve/schema\''],
  ['a: bigint;', '4:6: bigint has no width; write i64 or u64 of \'varve/schema\''],
  ['a: Date;', '4:6: Date is not stored as such; write Timestamp of \'varve/schema\', which is a number of milliseconds'],
  ['a: Uint8Array;', '4:6: Uint8Array has no bound; write Bytes<32> of \'varve/schema\', 32 being the most bytes'],
  ['a: Buffer;', '4:6: Buffer has no bound; write Bytes<32> of \'varve/schema\', 32 being the most bytes'],
  ['a: f64[];', `4:6: ${NO_LENGTH}`],
  ['a: Array<f64>;', `4:6: ${NO_LENGTH}`],
  ['a: [f64, f64];', `4:6: ${NO_LENGTH}`],
  ['a: readonly f64[];', `4:6: ${NO_LENGTH}`],
  ['a: { b: f64 };', `4:6: ${NESTED}`],
  ['a: { [K in \'x\']: f64 };', `4:6: ${NESTED}`],
  ['a: Record<string, f64>;', `4:6: ${NESTED}`],
  ['a: Money;', `4:6: unknown type Money; ${UNKNOWN}`],
  ['a: any;', `4:6: any cannot be stored; ${UNKNOWN}`],
  ['a: undefined;', `4:6: undefined cannot be stored; ${UNKNOWN}`],
  ['a: null;', `4:6: null alone is no type; ${UNKNOWN}`],
  ['a: () => f64;', `4:6: () => f64 cannot be stored; ${UNKNOWN}`],
  ['a: f64 & u8;', `4:6: f64 & u8 cannot be stored; ${UNKNOWN}`],
  ['a: typeof import(\'./a-module-with-a-name-that-is-long.ts\');',
    `4:6: typeof import('./a-module-with-a-name-t… cannot be stored; ${UNKNOWN}`],
  ['a: number | null;', `4:6: ${NO_NUMBER}`],
  ['a: f64 | undefined;', '4:12: a field is always there; write null where it may have no value'],
  ['a: f64 | u8;', `4:12: ${MIXED}`],
  ['a: 1 | 2;', `4:10: ${MIXED}`],
  ['a: \'x\' | f64;', `4:12: ${MIXED}`],
  ['a: f64 | \'x\' | null;', `4:6: ${MIXED}`],
  ['a: \'x\' | 1;', `4:12: ${MIXED}`],
  ['a: \'x\' | string;', `4:12: ${MIXED}`],
  ['a: \'x\' | (\'y\' | \'x\');', '4:19: \'x\' stands twice in one union'],
  ['a: Str;', '4:6: Str lacks its bound; write Str<64>'],
  ['a: Bytes | null;', '4:6: Bytes lacks its bound; write Bytes<64>'],
  ['a: Str<0>;', '4:10: the bound of Str must be an integer from 1 to 65536, not 0'],
  ['a: Str<-1>;', '4:10: the bound of Str must be an integer from 1 to 65536, not -1'],
  ['a: Bytes<1.5>;', '4:12: the bound of Bytes must be an integer from 1 to 65536, not 1.5'],
  ['a: Str<65537>;', '4:10: the bound of Str must be an integer from 1 to 65536, not 65537'],
  ['a: Str<number>;', '4:10: the bound of Str must be a number, written out, not number'],
  ['a: Str<\'9\'>;', '4:10: the bound of Str must be a number, written out, not \'9\''],
  ['a: Str<1, 2>;', '4:13: Str takes no more than that: Str<64>'],
  ['a: f64<3>;', '4:10: f64 takes nothing in angle brackets'],
  ['a: Timestamp<3>;', '4:16: Timestamp takes nothing in angle brackets'],
  ['a: u64<string>;', '4:10: u64 takes number or bigint, not string'],
  ['a: i64<number, 3>;', '4:18: i64 takes number or bigint, and nothing else'],
  ['a: FixedArray;', '4:6: FixedArray lacks its length; write FixedArray<f64, 3>'],
  ['a: FixedArray<f64>;', '4:6: FixedArray lacks its length; write FixedArray<f64, 3>'],
  ['a: FixedArray<f64, 0>;', '4:22: the length of FixedArray must be an integer from 1 to 65536, not 0'],
  ['a: FixedArray<bool, 3>;', `4:17: ${NUMBERS}`],
  ['a: FixedArray<Timestamp, 3>;', `4:17: ${NUMBERS}`],
  ['a: FixedArray<FixedArray<f64, 3>, 3>;', `4:17: ${NUMBERS}`],
  ['a: FixedArray<number, 3>;', `4:17: ${NO_NUMBER}`],
  ['a: FixedArray<f64 | null, 3>;', `4:17: f64 | null cannot be stored; ${UNKNOWN}`],
  ['a?: f64;', '4:4: a must not be optional; write | null where it may have no value'],
  ['readonly a: f64;', '4:3: a must not be readonly: fields are set by everybody who writes'],
  ['a;', '4:3: a has no type'],
  ['a(): f64;', '4:3: a record has no methods; only fields'],
  ['get a(): f64;', '4:3: a record has no accessors; only fields'],
  ['(): f64;', '4:3: a record has no call signatures; only fields'],
  ['new (): f64;', '4:3: a record has no call signatures; only fields'],
  ['[key: string]: f64;', '4:3: a record has no index signature; name each field'],
  ['[\'a\']: f64;', '4:3: the name of a field must be written out, not computed'],
  ['\'my-field\': f64;', `4:3: 'my-field' ${NO_NAME}`],
  ['7: f64;', `4:3: 7 ${NO_NAME}`],
  ['größe: f64;', `4:3: größe ${NO_NAME}`],
  ['a: f64; a: u8;', '4:11: a stands twice in one interface'],
  ['a: f64; \'a\': f64;', '4:11: a stands twice in one interface'],
  ['price: f64; Price: f64;',
    '4:15: Price and price would both have getPrice and setPrice; rename one of them'],
  ...['constructor', 'prototype', '__proto__']
    .map((name) => [`${name}: f64;`, `4:3: ${name} ${INHERITED}`] as [string, string]),
  ['', '3:18: Tick has no members; a record has one field at least'],
  ['a: FixedArray<f64, 8192>;', '3:18: the record of \'Tick\' must be at most 65536 bytes, not \'1 fields\''],
  ['/** @varve version=1 */\n  a: f64;',
    `4:7: @varve stands before no interface at the top of the file; ${ANNOTATE}`],
  ['a?: number; readonly b: Str;\n  a: f64;', '4:4: a must not be optional; write | null where it may have no value',
    `4:7: ${NO_NUMBER}`, '4:15: b must not be readonly: fields are set by everybody who writes',
    '4:27: Str lacks its bound; write Str<64>', '5:3: a stands twice in one interface'],
];

/** Whole sources. */
const SOURCES: readonly [what: string, source: string, ...mistakes: string[]][] = [
  ['no version', annotated('@varve'), '2:5: @varve lacks its version; write @varve version=1'],
  ...['0', '-1', '1.5', 'one', '4294967296', '0x10'].map((version) => [
    `version ${version}`, annotated(`@varve version=${version}`),
    `2:5: version must be an integer from 1 to 4294967295, not ${version}`] as [string, string, string]),
  ['an empty version', annotated('@varve version='),
    '2:5: version must be an integer from 1 to 4294967295, not nothing'],
  ['another setting', annotated('@varve version=1 name=x'), '2:5: @varve knows no name=x; write @varve version=1'],
  ['two versions', annotated('@varve version=1 version=2'), '2:5: version stands twice behind @varve'],
  ['two annotations', annotated('@varve version=1\n * @varve version=1\n'),
    '3:4: @varve stands twice in one doc comment'],
  ['a class', annotated('@varve version=1', 'export class Tick {}'), `2:5: @varve annotates a class; ${ANNOTATE}`],
  ['a type alias', annotated('@varve version=1', 'export type Tick = { a: f64 };'),
    `2:5: @varve annotates a type alias; ${ANNOTATE}`],
  ['an enum', annotated('@varve version=1', 'export enum Tick { A }'), `2:5: @varve annotates an enum; ${ANNOTATE}`],
  ['a function', annotated('@varve version=1', 'export function tick() {}'),
    `2:5: @varve annotates a function; ${ANNOTATE}`],
  ['a variable', annotated('@varve version=1', 'export const tick = 1;'),
    `2:5: @varve annotates a variable; ${ANNOTATE}`],
  ['a namespace', annotated('@varve version=1', 'export namespace Tick { export const a = 1; }'),
    `2:5: @varve annotates a namespace; ${ANNOTATE}`],
  ['an import', `/** @varve version=1 */\n${IMPORTS}`, `1:5: @varve annotates a statement; ${ANNOTATE}`],
  ['an interface in a namespace', 'export namespace N {\n  /** @varve version=1 */\n  export interface A { a: f64 }\n}',
    `2:7: @varve stands before no interface at the top of the file; ${ANNOTATE}`],
  ['an interface that is not exported', annotated('@varve version=1', 'interface Tick { a: f64 }'),
    '3:11: Tick is not exported; write export interface Tick'],
  ['no annotation', `${IMPORTS}export interface Tick { a: f64 }`,
    '1:1: no interface is annotated; write @varve version=1 in the doc comment of an exported interface'],
  ['an empty source', '', '1:1: no interface is annotated; write @varve version=1 in the doc comment of an exported '
    + 'interface'],
  ['a generic interface', annotated('@varve version=1', 'export interface Tick<T> { a: f64 }'),
    '3:23: Tick must not be generic: a file holds records of one type'],
  ['an interface that extends', annotated('@varve version=1', 'export interface Tick extends A { a: f64 }'),
    '3:23: Tick must not extend anything; write all fields into it, in their order'],
  ['an interface in two parts', annotated('@varve version=1', 'export interface Tick { a: f64 }\n'
    + '/** The rest. */\nexport interface Tick { b: f64 }'),
  '5:18: Tick is declared twice; write all of its fields into one interface'],
  ['an interface twice', annotated('@varve version=1', 'export interface Tick { a: f64 }\n/** @varve version=2 */\n'
    + 'export interface Tick { b: f64 }'),
  '5:18: Tick is declared twice; write all of its fields into one interface'],
  ['a name that is none', annotated('@varve version=1', 'export interface Größe { a: f64 }'),
    '3:18: Größe must be made of the letters A to Z and a to z, digits, _ and $'],
  ['a name without letters', annotated('@varve version=1', 'export interface $_ { a: f64 }'),
    '3:18: $_ has no letter that a file could be called by'],
  ['a name that the file needs', annotated('@varve version=1', 'export interface Promise { a: f64 }'),
    '3:18: the generated file needs the name Promise itself; rename the interface'],
  ['a class that the file needs', annotated('@varve version=1', 'export interface Generated { a: f64 }'),
    '3:18: the generated file needs the name GeneratedStore itself; rename the interface'],
  ['two names of one file', annotated('@varve version=1', 'export interface FastTick { a: f64 }\n'
    + '/** @varve version=1 */\nexport interface fast_tick { a: f64 }'),
  '5:18: fast_tick and FastTick (types.ts:3:18) would both be written to fast-tick-store.ts; rename one of them, or '
    + 'generate them into two directories'],
  ['a comment of lines', `${IMPORTS}// @varve version=1\nexport interface Tick { a: f64 }`,
    '2:4: @varve stands in a comment that is no doc comment; begin it with /**'],
  ['a comment of one star', `${IMPORTS}/* @varve version=1 */\nexport interface Tick { a: f64 }`,
    '2:4: @varve stands in a comment that is no doc comment; begin it with /**'],
  ['an annotation behind words', annotated('A tick. @varve version=1'),
    '2:13: @varve must begin a line of the doc comment'],
  ['a doc comment before another', annotated('@varve version=1', '/** A tick. */\nexport interface Tick { a: f64 }'),
    `2:5: @varve stands before no interface at the top of the file; ${ANNOTATE}`],
  ['a doc comment at the end', `${annotated('@varve version=1')}/** @varve version=1 */\n`,
    `4:5: @varve stands before no interface at the top of the file; ${ANNOTATE}`],
  ['a doc comment within', annotated('@varve version=1', 'export interface Tick { a: /** @varve version=1 */ f64 }'),
    `3:32: @varve stands before no interface at the top of the file; ${ANNOTATE}`],
  ['what is no TypeScript', `${IMPORTS}/** @varve version=1 */\nexport interface Tick {\n  a f64;\n}`,
    '4:3: Property or signature expected.', '5:1: Declaration or statement expected.'],
  ['types that are not imported', '/** @varve version=1 */\nexport interface Tick { a: f64; b: Str<3> }',
    '2:28: f64 is not imported; write import type { f64 } from \'varve/schema\'',
    '2:36: Str is not imported; write import type { Str } from \'varve/schema\''],
  ['types of another module', 'import type { f64 } from \'varve\';\n/** @varve version=1 */\nexport interface Tick { a: f64 }',
    '3:28: f64 is from \'varve\'; write import type { f64 } from \'varve/schema\''],
  ['types of the source', `${IMPORTS}type Price = f64;\n/** @varve version=1 */\nexport interface Tick { a: Price }`,
    `4:28: Price is declared in this file, and types are not looked up; write it out: ${UNKNOWN}`],
  ['a default import', 'import v from \'varve/schema\';\n/** @varve version=1 */\nexport interface Tick { a: v.f64 }',
    '1:8: \'varve/schema\' has no default export; import the types by their names',
    `3:28: unknown type v.f64; ${UNKNOWN}`],
  ['what is no type for fields', 'import type * as v from \'varve/schema\';\nimport type { RecordOf as R } from \'varve/schema\';\n'
    + '/** @varve version=1 */\nexport interface Tick { a: v.Foo; b: R; c: v.Str }',
  `4:28: 'varve/schema' has no type Foo for fields; ${UNKNOWN}`,
  `4:38: 'varve/schema' has no type RecordOf for fields; ${UNKNOWN}`,
  '4:44: Str lacks its bound; write Str<64>'],
  ['a name under which something else is imported',
    'import type { f64 as u8 } from \'varve/schema\';\n/** @varve version=1 */\nexport interface Tick { a: f64; b: u8 }',
    '3:28: f64 is not imported; write import type { f64 } from \'varve/schema\''],
];

describe('members', () => {
  it.each(MEMBERS)('%j', (members, ...expected) => {
    expect(project.mistakes(tick(members))).toEqual(expected.map((mistake) => `types.ts:${mistake}`));
  });
});

describe('sources', () => {
  it.each(SOURCES)('%s', (_, source, ...expected) => {
    expect(project.mistakes(source)).toEqual(expected.map((mistake) => `types.ts:${mistake}`));
  });
});

describe('what is no mistake', () => {
  it.each([
    ['an annotation in prose', annotated('Mail to me@varve.org; `@varve` is explained there.\n * @varve version=1\n')],
    ['an export behind', `${annotated('@varve version=1', 'interface Tick { a: f64 }')}export type { Tick as T };`],
    ['the default export', annotated('@varve version=1', 'export default interface Tick { a: f64 }')],
    ['a namespace', 'import * as v from \'varve/schema\';\n/** @varve version=1 */\nexport interface Tick { a: v.f64 | null }'],
    ['a namespace that is required', 'import v = require(\'varve/schema\');\n/** @varve version=1 */\nexport interface Tick '
      + '{ a: v.f64 }'],
    ['types that are imported as values', 'import { f64, type u8 } from \'varve/schema\';\n/** @varve version=1 */\nexport '
      + 'interface Tick { a: f64; b: u8 }'],
    ['everything in one line', `${IMPORTS}export interface A {} /** @varve version=1 */ export interface Tick { a: f64 }`],
    ['bounds in other ways', tick('a: Str<0x10>; b: Bytes<1_000>; c: FixedArray<f64, 8_000>; d: \'only\'')],
  ])('%s', (_, source) => {
    expect(project.mistakes(source)).toEqual([]);
  });
});

describe('several sources', () => {
  it('are read before anything is written, and all their mistakes are said', () => {
    const many = new Project();
    try {
      many.write('a.ts', tick('a: f64;'));
      many.write('b.ts', tick('b: number;'));
      many.write('c/types.ts', tick('c: f64'));
      const { files, mistakes } = many.generate(['a.ts', 'b.ts', 'c/types.ts'], { out: 'out' });
      expect(files).toEqual([]);
      expect(mistakes.map(({ file, line, column }) => `${file}:${line}:${column}`)).toEqual(['b.ts:4:6', 'c/types.ts:3:18']);
      expect(mistakes[1]!.message).toBe('Tick and Tick (a.ts:3:18) would both be written to out/tick-store.ts; rename one of '
        + 'them, or generate them into two directories');
      expect(many.list()).toEqual(['a.ts', 'b.ts', 'c/types.ts']);
    } finally {
      many.remove();
    }
  });

  it('are taken once, whatever they are called', () => {
    const many = new Project();
    try {
      many.write('a.ts', tick('a: f64;'));
      expect(many.generate(['a.ts', './a.ts']).files).toHaveLength(1);
    } finally {
      many.remove();
    }
  });
});
