/**
 * The generator: sources in, files out. All sources are read before the first file is written, and where there is a
 * mistake in any of them, none is.
 */
import { dirname, join, relative, resolve } from 'node:path';
import type { Core } from '../core/core.ts';
import { layoutOf, orderedHash, type Layout } from '../typed/layout.ts';
import { defineSchema } from '../typed/schema.ts';
import { emitFile, namesImported } from './emit.ts';
import { readText, stateOf, writeFile } from './files.ts';
import { fieldOf } from './kinds.ts';
import type { Mistake, Place, RecordModel } from './model.ts';
import { fileNameOf, GLOBALS, namesOf } from './names.ts';
import { parseSource } from './parse.ts';
import type { TypeScript } from './typescript.ts';

export interface GenerateOptions {
  readonly ts: TypeScript;
  /** Lays records out. */
  readonly core: Core;
  /** Of varve. */
  readonly version: string;
  /** Paths of sources, as they are to be called in messages. */
  readonly inputs: readonly string[];
  /** Where files go; else beside their sources. */
  readonly out?: string | undefined;
  /** Whether nothing is written. */
  readonly check: boolean;
  /** What paths are relative to. */
  readonly directory: string;
}

/** A file that was, or would be, generated. */
export interface GeneratedFile {
  /** As inputs are given: relative to the directory unless the input or `out` is absolute. */
  readonly path: string;
  readonly source: string;
  readonly interface: string;
  readonly schemaHash: string;
  readonly state: 'written' | 'unchanged' | 'stale' | 'missing';
}

export interface GenerateResult {
  /** Empty where there are mistakes. */
  readonly files: readonly GeneratedFile[];
  readonly mistakes: readonly Mistake[];
}

/** A file before it is compared with the disk. */
interface Planned {
  readonly record: RecordModel;
  readonly shown: string;
  readonly path: string;
  readonly text: string;
  readonly schemaHash: string;
}

export function generate(options: GenerateOptions): GenerateResult {
  const { ts, inputs, directory } = options;
  const mistakes: Mistake[] = [];
  const records: RecordModel[] = [];
  const files = new Map(inputs.map((file) => [resolve(directory, file), file]));
  for (const [path, file] of files) {
    const parsed = parseSource(ts, { path, file, text: readText(path) });
    mistakes.push(...parsed.mistakes);
    records.push(...parsed.records);
  }
  // Records of a source with mistakes are looked at no further: their fields are not complete.
  const sound = records.filter(({ file }) => !mistakes.some((mistake) => mistake.file === file));
  const planned = new Planner(options, mistakes).plan(sound);
  if (mistakes.length > 0) return { files: [], mistakes };
  return { files: planned.map((one) => settle(one, options.check)), mistakes };
}

class Planner {
  private readonly options: GenerateOptions;
  private readonly mistakes: Mistake[];

  constructor(options: GenerateOptions, mistakes: Mistake[]) {
    this.options = options;
    this.mistakes = mistakes;
  }

  plan(records: readonly RecordModel[]): Planned[] {
    const planned = new Map<string, Planned>();
    for (const record of records) {
      const one = this.planOne(record);
      if (one === undefined) continue;
      const other = planned.get(one.path)?.record;
      if (other !== undefined) {
        const { file, place: { line, column }, name } = other;
        this.report(record, `${record.name} and ${name} (${file}:${line}:${column}) would both be written to ${one.shown}; `
          + 'rename one of them, or generate them into two directories');
      } else if (stateOf(one.path, one.text) === 'foreign') {
        this.report(record, `${one.shown} is there already and was not generated; move it, or generate into another directory`);
      }
      planned.set(one.path, one);
    }
    return [...planned.values()];
  }

  private report({ file, place }: RecordModel, message: string, at: Place = place): undefined {
    this.mistakes.push({ file, ...at, message });
  }

  private planOne(record: RecordModel): Planned | undefined {
    const { version, directory, out } = this.options;
    const name = fileNameOf(record.name);
    if (name === undefined) return this.report(record, `${record.name} has no letter that a file could be called by`);
    const taken = new Set([...GLOBALS, ...namesImported(record)]);
    const clash = Object.values(namesOf(record.name)).find((one) => taken.has(one));
    if (clash !== undefined) return this.report(record, `the generated file needs the name ${clash} itself; rename the interface`);
    const layout = this.layout(record);
    if (layout === undefined) return undefined;
    const schemaHash = Buffer.from(orderedHash(layout)).toString('hex');
    const shown = join(out ?? dirname(record.file), name);
    const path = resolve(directory, shown);
    const source = relative(dirname(path), record.source);
    const text = emitFile(record, { version, source, schemaHash, stride: layout.stride, places: layout.fields });
    return { record, shown, path, text, schemaHash };
  }

  /** What is left to be wrong, such as a record that is too long, the schema and the core know. */
  private layout(record: RecordModel): Layout | undefined {
    const fields = record.fields.map((field) => {
      try {
        return [field.name, fieldOf(field)] as const;
      } catch (error) {
        return this.report(record, (error as Error).message, field.place);
      }
    });
    if (fields.includes(undefined)) return undefined;
    try {
      const schema = defineSchema(record.name, {
        version: record.version, fields: Object.fromEntries(fields as Exclude<typeof fields[number], undefined>[]),
      });
      return layoutOf(this.options.core, schema);
    } catch (error) {
      return this.report(record, (error as Error).message);
    }
  }
}

function settle({ record, shown, path, text, schemaHash }: Planned, check: boolean): GeneratedFile {
  const found = stateOf(path, text);
  const about = { path: shown, source: record.file, interface: record.name, schemaHash };
  if (found === 'fresh') return { ...about, state: 'unchanged' };
  if (check) return { ...about, state: found === 'missing' ? 'missing' : 'stale' };
  writeFile(path, text);
  return { ...about, state: 'written' };
}
