/**
 * Schemas that the user names: an annotated interface in a TypeScript file, as `varve generate` reads it, or the JSON
 * that stands in typed files. TypeScript is loaded where a source is to be read, and by nobody else.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Core, defineSchema, type Schema } from '../../index.ts';
import type { RecordModel } from '../../generate/model.ts';
import { decodeSchema } from '../../typed/schema-text.ts';
import { UsageError } from '../exit.ts';

/** What stands for a schema in the help. */
export const SCHEMA_FILE = 'types.ts, types.ts:Name or schema.json';

const SOURCE = /^(.*\.[cm]?tsx?)(?::(.*))?$/;

/**
 * Reads a schema.
 *
 * @param named a file, and behind a colon the name of an interface in it
 * @param name the same name; needed where there are several
 */
export async function readSchema(named: string, name?: string): Promise<Schema> {
  const source = SOURCE.exec(named);
  if (source !== null) return schemaIn(source[1]!, name ?? source[2]);
  const text = readText(named);
  try {
    return decodeSchema(Core.shared(), text).schema;
  } catch (error) {
    throw new UsageError(`${named} holds no schema: ${(error as Error).message}`,
      'it looks like {"name":"Tick","version":1,"fields":[{"name":"price","type":"float64"}]}; varve stat --json prints '
      + 'that of a file');
  }
}

function readText(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`the schema ${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Reads an interface. */
async function schemaIn(file: string, name: string | undefined): Promise<Schema> {
  const text = readText(file).toString();
  const { loadTypeScript, NoTypeScript } = await import('../../generate/typescript.ts');
  const { parseSource } = await import('../../generate/parse.ts');
  const { fieldOf } = await import('../../generate/kinds.ts');
  try {
    const { records, mistakes } = parseSource(loadTypeScript(process.cwd()), { path: resolve(file), file, text });
    const [mistake] = mistakes;
    if (mistake !== undefined) {
      const { line, column, message } = mistake;
      throw new UsageError(`${file}:${line}:${column}: ${message}`, `varve generate ${file} --check`);
    }
    const { name: found, version, fields } = choose(file, records, name);
    const entries = fields.map((field) => [field.name, fieldOf(field)] as const);
    return defineSchema(found, { version, fields: Object.fromEntries(entries) });
  } catch (error) {
    throw error instanceof NoTypeScript ? new UsageError(error.message, error.hint) : error;
  }
}

function choose(file: string, records: readonly RecordModel[], name: string | undefined): RecordModel {
  const names = records.map((record) => record.name);
  const wanted = name ?? (records.length === 1 ? names[0] : undefined);
  const found = records.find((record) => record.name === wanted);
  if (found !== undefined) return found;
  if (name === undefined) throw new UsageError(`${file} has several records: ${names.join(', ')}`, `${file}:${names[0]}`);
  throw new UsageError(`${file} has no annotated interface ${name}`, `it has ${names.join(', ')}`);
}
