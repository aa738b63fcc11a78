/**
 * The records of a typed file that have changed last, in place on a terminal: the newest on top, as many as there are
 * lines for. It is drawn at most ten times a second, however much changes, with the values of that moment.
 */
import { VarveError, type Field, type Fields, type TypedStore } from '../../index.ts';
import type { Change } from '../../typed/watch.ts';
import { bold, count, dim } from '../format.ts';
import type { Output } from '../output.ts';
import { shown } from './values.ts';

const REDRAW_MS = 100;
/** Lines that are no records: two of head, one that stays free. */
const OTHER_LINES = 3;
const COLUMN_MAX = 32;
const LINES_DEFAULT = 24;
const COLUMNS_DEFAULT = 80;

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_BELOW = '\x1b[J';
const CLEAR_LINE = '\x1b[K';

export class LiveTable {
  private readonly out: Output;
  private readonly store: TypedStore;
  private readonly names: readonly string[];
  private readonly fields: readonly (readonly [string, Field])[];
  private readonly widths: number[];
  /** Indices of the records that have changed last, the newest first. */
  private latest: number[] = [];
  private changes = 0;
  private drawn = 0;
  private timer: NodeJS.Timeout | undefined;
  private drawing: Promise<void> = Promise.resolve();

  constructor(out: Output, store: TypedStore) {
    this.out = out;
    this.store = store;
    this.fields = Object.entries(store.schema.fields as Fields);
    this.names = ['index', ...this.fields.map(([name]) => name)];
    this.widths = this.names.map((name) => name.length);
  }

  async begin(): Promise<void> {
    this.out.add(HIDE_CURSOR);
    await this.draw();
  }

  /** Takes a change in; it is drawn soon. */
  take({ from, to }: Change): void {
    this.changes += to - from + 1;
    const first = Math.max(from, to - this.room + 1);
    const fresh = Array.from({ length: to - first + 1 }, (_, at) => to - at);
    this.latest = [...fresh, ...this.latest.filter((index) => index < from || index > to)].slice(0, this.room);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      // What goes wrong with the output is told by the next flush of the command.
      this.drawing = this.drawing.then(() => this.draw()).catch(() => undefined);
    }, REDRAW_MS);
  }

  async end(): Promise<void> {
    clearTimeout(this.timer);
    await this.drawing;
    if (!this.store.closed) await this.draw();
    this.out.add(SHOW_CURSOR);
    await this.out.flush();
  }

  /** Records that there are lines for. */
  private get room(): number {
    return Math.max(1, (process.stdout.rows ?? LINES_DEFAULT) - OTHER_LINES);
  }

  private async draw(): Promise<void> {
    const rows = this.latest.map((index) => this.cells(index));
    for (const row of rows) {
      for (const [at, cell] of row.entries()) this.widths[at] = Math.max(this.widths[at]!, cell.length);
    }
    const lines = [
      dim(this.fit(`${this.store.path}: ${count(this.store.length)} records, ${count(this.changes)} changes`)),
      bold(this.fit(this.line(this.names))), ...rows.map((row) => this.fit(this.line(row))),
    ];
    const up = this.drawn === 0 ? '' : `\x1b[${this.drawn}A`;
    this.drawn = lines.length;
    this.out.add(`${up}\r${lines.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`);
    await this.out.flush();
  }

  private cells(index: number): string[] {
    try {
      const record = this.store.get(index) as Readonly<Record<string, unknown>>;
      return [String(index), ...this.fields.map(([name, field]) => cut(shown(record[name], field), COLUMN_MAX))];
    } catch (error) {
      if (!VarveError.is(error)) throw error;
      return [String(index), error.code];
    }
  }

  private line(cells: readonly string[]): string {
    return cells.map((cell, at) => cell.padEnd(this.widths[at]!)).join('  ').trimEnd();
  }

  private fit(text: string): string {
    return cut(text, process.stdout.columns ?? COLUMNS_DEFAULT);
  }
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
