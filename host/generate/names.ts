/**
 * Names: of generated files, classes and accessors, and which of them a source may not ask for.
 */

/** What a name in a schema may look like. */
export const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** `PriceTick` → `price-tick-store.ts`; undefined where nothing is left of the name. */
export function fileNameOf(record: string): string | undefined {
  const words = record.replace(/([a-z\d])([A-Z])/g, '$1-$2').replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .split(/[-_$]+/).filter((word) => word !== '');
  return words.length === 0 ? undefined : `${words.join('-').toLowerCase()}-store.ts`;
}

/** What a generated file declares for a record. */
export function namesOf(record: string) {
  return { record, schema: `${record}Schema`, store: `${record}Store` };
}

/** The names of a field's accessors: `price` → `getPrice`, `setPrice`. */
export function accessorsOf(field: string) {
  const name = field.slice(0, 1).toUpperCase() + field.slice(1);
  return { get: `get${name}`, set: `set${name}` };
}

/** Names that every object has: no field is called so, lest a record without it seems to have it. */
export const INHERITED: ReadonlySet<string> = new Set(['constructor', 'prototype', '__proto__']);

/** Names of the language that generated files use: nothing that they declare is called so. */
export const GLOBALS: ReadonlySet<string> = new Set([
  'Array', 'Partial', 'Promise', 'Readonly', 'ReadonlyArray', 'Uint8Array', 'undefined',
]);

/** Words that no class or interface can be called by. */
export const WORDS: ReadonlySet<string> = new Set([
  'any', 'bigint', 'boolean', 'never', 'null', 'number', 'object', 'string', 'symbol', 'undefined', 'unknown', 'void',
]);
