/**
 * Typed files on the command line: told from the directory of a log, and opened without a schema at hand where the file
 * has it, or with one that is given.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { TypedStore, VarveError } from '../../index.ts';
import type { FormatName } from '../../typed/header.ts';
import { formatOf, inspectTyped, type TypedFacts } from '../../typed/inspect.ts';
import { UsageError } from '../exit.ts';
import { readSchema, SCHEMA_FILE } from './schema-file.ts';

export const SCHEMA_OPTION = [
  '--schema <file>', `the schema of a typed file of format mmfg-1: ${SCHEMA_FILE}`,
] as const;

/** Whether a path leads to a file: logs are directories. What is missing is a log, whose error says so. */
export function isTypedPath(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** A typed file, open for reading, and what it is. */
export interface OpenTyped {
  readonly store: TypedStore;
  readonly facts: TypedFacts;
}

/** The format of a typed file. Errors: ERR_VARVE_FORMAT */
export function requireFormat(path: string): FormatName {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new UsageError(`${path} is a directory and no file of a typed store`,
      `a log is followed by \`varve cat ${path} --follow\``);
  }
  const format = formatOf(resolve(path));
  if (format !== undefined) return format;
  throw new VarveError('ERR_VARVE_FORMAT',
    `${path} is no file of a typed store: it begins neither with "VARVETYP" nor with "MMFG"`, { path, fault: 'magic' });
}

/** What a typed file is. */
export async function factsOf(path: string, schemaFile: string | undefined): Promise<TypedFacts> {
  const format = requireFormat(path);
  const schema = schemaFile === undefined ? undefined : await readSchema(schemaFile);
  if (format === 'mmfg-1' && schema === undefined) {
    throw new UsageError(`${path} has format mmfg-1, which does not keep its schema`, `give --schema ${SCHEMA_FILE}`);
  }
  return inspectTyped(resolve(path), format, schema);
}

/** Opens a typed file for reading, with the schema that it has. */
export async function openTyped(path: string, schemaFile: string | undefined): Promise<OpenTyped> {
  const facts = await factsOf(path, schemaFile);
  const store = await TypedStore.open(facts.path, facts.schema, { readOnly: true, format: facts.format });
  return { store, facts };
}
