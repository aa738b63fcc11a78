/**
 * Schemas that the user names: the JSON that stands in typed files.
 */
import { readFileSync } from 'node:fs';
import { Core } from '../../index.ts';
import type { Schema } from '../../typed/schema.ts';
import { decodeSchema } from '../../typed/schema-text.ts';
import { UsageError } from '../exit.ts';

/** Reads a schema from a file. */
export async function readSchema(file: string): Promise<Schema> {
  const text = readText(file);
  try {
    return decodeSchema(Core.shared(), text).schema;
  } catch (error) {
    throw new UsageError(`${file} holds no schema: ${(error as Error).message}`,
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
