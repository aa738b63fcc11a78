/**
 * A schema as it stands in the own header, as JSON, and the comparison of two schemas field by field.
 */
import type { Core } from '../core/core.ts';
import { VarveError } from '../errors/varve-error.ts';
import { layoutOf, type Layout } from './layout.ts';
import { defineSchema, type Field, type Schema } from './schema.ts';

/** One thing in which a file's schema is not the one it was opened with. */
export interface Difference {
  /** The field, or absent where it is about the whole. */
  readonly field?: string;
  /**
   * What differs: `missing`, `unexpected`, `type`, `max`, `values`, `count`, `unit`, `nullable`, `position`, or
   * `version`, `stride`, `hash` of the whole.
   */
  readonly what: string;
  /** By the schema that was given. */
  readonly expected: unknown;
  /** In the file. */
  readonly actual: unknown;
}

/** What the JSON says of a field beside its name and type, where it is there. */
const KEYS = ['max', 'values', 'count', 'unit', 'nullable'] as const;

/** Returns the part of a field that stands in the file. */
function storedPart(field: Field): Field {
  const entries = KEYS.flatMap((key) => (field[key] === undefined ? [] : [[key, field[key]] as const]));
  return { type: field.type, ...Object.fromEntries(entries) };
}

/** Texts of schemas: who opens a store again has the same. */
const texts = new WeakMap<Schema, Uint8Array>();

/** Returns a schema as JSON: `{"name","version","fields":[{"name","type"}]}`, with more keys where there is more. */
export function encodeSchema(schema: Schema): Uint8Array {
  let text = texts.get(schema);
  if (text === undefined) {
    const { name, version, fields } = schema;
    const list = Object.entries(fields).map(([key, field]) => ({ name: key, ...storedPart(field) }));
    text = Buffer.from(JSON.stringify({ name, version, fields: list }));
    texts.set(schema, text);
  }
  return text;
}

/** Reads what `encodeSchema` wrote, and lays it out, for checksums or not. Throws where it is anything else. */
export function decodeSchema(core: Core, text: Uint8Array, checksums = false): Layout {
  const { name, version, fields } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as {
    name: string; version: number; fields: (Field & { name: string })[];
  };
  const entries = fields.map((field) => [field.name, storedPart(field)] as const);
  const schema = defineSchema(name, { version, fields: Object.fromEntries(entries) });
  if (Object.keys(schema.fields).length !== fields.length) throw new Error('two fields have one name');
  return layoutOf(core, schema, checksums);
}

/** Lists in what two layouts differ. */
export function differences(expected: Layout, actual: Layout): Difference[] {
  const found: Difference[] = [];
  const add = (what: string, a: unknown, b: unknown, field?: string): void => {
    if (!isSame(a, b)) found.push({ ...(field === undefined ? {} : { field }), what, expected: a, actual: b });
  };
  add('version', expected.schema.version, actual.schema.version);
  for (const [at, wanted] of expected.fields.entries()) {
    const place = actual.fields.findIndex(({ name }) => name === wanted.name);
    const stored = actual.fields[place];
    if (stored === undefined) {
      found.push({ field: wanted.name, what: 'missing', expected: wanted.type, actual: undefined });
      continue;
    }
    add('type', wanted.type, stored.type, wanted.name);
    if (wanted.type === stored.type) add('max', wanted.max, stored.max, wanted.name);
    for (const key of ['values', 'count', 'unit', 'nullable'] as const) add(key, wanted[key], stored[key], wanted.name);
    add('position', at, place, wanted.name);
  }
  for (const stored of actual.fields) {
    if (expected.fields.some(({ name }) => name === stored.name)) continue;
    found.push({ field: stored.name, what: 'unexpected', expected: undefined, actual: stored.type });
  }
  return found;
}

/** Whether two facts of a field are the same; lists of values are, when each of them is. */
function isSame(a: unknown, b: unknown): boolean {
  return a === b || (Array.isArray(a) && Array.isArray(b) && JSON.stringify(a) === JSON.stringify(b));
}

/** A fact of a field, for a message. */
function shown(fact: unknown): string {
  if (fact === undefined) return 'absent';
  return Array.isArray(fact) ? JSON.stringify(fact) : String(fact);
}

/** What the error for a file of another schema says beside the differences. */
export interface MismatchAdvice {
  /** Whether a migration would bring the file to the schema that was given. */
  readonly isUpgrade?: boolean;
  /** What to do next. */
  readonly next?: string;
}

/** The error for a file of another schema. */
export function schemaMismatch(
  path: string, found: readonly Difference[], { isUpgrade = false, next = 'open it with that one' }: MismatchAdvice = {},
): VarveError {
  const list = found.map(({ field, what, expected, actual }) => {
    if (what === 'missing' || what === 'unexpected') return `${field} is ${what}`;
    return `${field === undefined ? '' : `${field}: `}${what} is ${shown(actual)}, not ${shown(expected)}`;
  });
  return new VarveError('ERR_VARVE_SCHEMA_MISMATCH',
    `${path} was written with another schema (${list.join('; ')}); ${next}`
    + (isUpgrade ? ', or bring the file to this one by TypedStore.migrate or varve migrate' : ''),
    { path, differences: found, isUpgrade });
}
