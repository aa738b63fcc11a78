/**
 * `varve dump FILE`: the records of a typed file, as columns, as CSV or as JSON, a line each. What cannot be read is
 * shown in its place, and does not end it.
 */
import { VarveError, type Field, type TypedStore } from '../../index.ts';
import type { Context } from '../context.ts';
import { Exit, exitOf, UsageError } from '../exit.ts';
import { bad, bold } from '../format.ts';
import { openTyped } from './open.ts';
import { csvCell, jsonRecord, shown } from './values.ts';

export interface TypedDumpOptions {
  readonly from?: number;
  readonly to?: number;
  readonly limit?: number;
  readonly csv?: true;
  readonly json?: true;
  readonly schema?: string;
}

/** A record, or why there is none. */
interface Row {
  readonly index: number;
  readonly record?: Readonly<Record<string, unknown>>;
  readonly error?: VarveError;
}

/** Lines for a run of rows. */
type Printer = (rows: readonly Row[]) => string[];

/** Rows that are read, aligned and printed at a time. */
const RUN = 256;

export async function dumpTyped({ out, note }: Context, path: string, options: TypedDumpOptions): Promise<Exit> {
  if (options.csv === true && options.json === true) throw new UsageError('--csv and --json exclude each other');
  const { store } = await openTyped(path, options.schema);
  try {
    const names = Object.keys(store.schema.fields);
    const table = () => (options.csv === true ? csvLines(names, note) : columns(store, names));
    const print = options.json === true ? jsonLines : table();
    const from = Math.max(options.from ?? 0, store.first);
    const to = Math.min(options.to ?? Infinity, store.length - 1, from + (options.limit ?? Infinity) - 1);
    const exits = new Set<Exit>();
    let next = from;
    do {
      const rows: Row[] = [];
      for (const end = Math.min(next + RUN - 1, to); next <= end; next++) {
        const row = rowOf(store, next);
        if (row !== undefined) rows.push(row);
      }
      for (const { error } of rows) if (error !== undefined) exits.add(exitOf(error));
      for (const line of print(rows)) await out.line(line);
    } while (next <= to);
    if (exits.has(Exit.Corrupt)) return Exit.Corrupt;
    return exits.size > 0 ? Exit.Torn : Exit.Ok;
  } finally {
    await store.close();
  }
}

/**
 * Reads a record; what is wrong with one is no reason not to read the next. None where it was overwritten meanwhile, as
 * in a ring.
 */
function rowOf(store: TypedStore, index: number): Row | undefined {
  try {
    return { index, record: store.get(index) };
  } catch (error) {
    if (VarveError.is(error, 'ERR_VARVE_OUT_OF_RANGE')) return undefined;
    if (!VarveError.is(error) || error.kind === 'state' || error.kind === 'io') throw error;
    return { index, error };
  }
}

function jsonLines(rows: readonly Row[]): string[] {
  return rows.map(({ index, record, error }) => JSON.stringify({
    schema: 'varve.typed-record.v1', index,
    ...(record === undefined ? { error: error!.code, message: error!.message } : { record: jsonRecord(record) }),
  }));
}

function csvLines(names: readonly string[], note: Context['note']): Printer {
  let head: string[] = [['index', ...names].join(',')];
  return (rows) => {
    const lines = head;
    head = [];
    for (const { index, record, error } of rows) {
      if (record === undefined) note(`varve: record ${index} left out: ${error!.code}: ${error!.message}`);
      else lines.push([index, ...names.map((name) => csvCell(record[name]))].join(','));
    }
    return lines;
  };
}

/** Columns as wide as what they have held so far; numbers to the right. */
function columns(store: TypedStore, names: readonly string[]): Printer {
  const heads = ['index', ...names];
  const isNumber = (type: string): boolean => type.includes('int') || type.includes('float');
  const fields = Object.values(store.schema.fields) as Field[];
  const right = [true, ...fields.map(({ type, values, count, unit }) => isNumber(type) && !values && !count && !unit)];
  const widths = heads.map((head) => head.length);
  const line = (cells: readonly string[]): string => cells.map((cell, at) => (
    right[at] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!))).join('  ').trimEnd();
  let isFirst = true;
  return (rows) => {
    const cells = rows.map(({ index, record }) => (
      record === undefined ? [] : [String(index), ...names.map((name, at) => shown(record[name], fields[at]!))]));
    for (const row of cells) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at]!, cell.length);
    const lines = isFirst ? [bold(line(heads))] : [];
    isFirst = false;
    for (const [at, row] of cells.entries()) {
      const { index, error } = rows[at]!;
      lines.push(error === undefined ? line(row)
        : `${String(index).padStart(widths[0]!)}  ${bad(error.code)}: ${error.message}`);
    }
    return lines;
  };
}
