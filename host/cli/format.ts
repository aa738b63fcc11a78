/**
 * Numbers, sizes, rates, times and tables as people read them. Programs get `--json`.
 */
import Table from 'cli-table3';
import picocolors from 'picocolors';

// What is piped to a program or a file has no colours, under CI as elsewhere, where nobody asks for them.
const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
const pc = picocolors.createColors(
  !NO_COLOR && (Boolean(FORCE_COLOR) || (process.stdout.isTTY === true && TERM !== 'dumb')),
);

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function scaled(value: number, step: number, units: readonly string[]): string {
  let at = 0;
  let rest = value;
  while (rest >= step && at < units.length - 1) {
    rest /= step;
    at++;
  }
  const digits = at === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)} ${units[at]!}`.trimEnd();
}

/** `200,000` */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 record`, `2 records` */
export function plural(value: number, noun: string, nouns = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : nouns}`;
}

/** `64.0 MiB` */
export function size(bytes: number): string {
  return scaled(bytes, 1024, SIZE_UNITS);
}

/** `64.0 MiB (67,108,864 bytes)` */
export function sizeExact(bytes: number): string {
  return bytes < 1024 ? plural(bytes, 'byte') : `${size(bytes)} (${count(bytes)} bytes)`;
}

/** `3.21 M/s` */
export function rate(records: number, seconds: number): string {
  return seconds <= 0 ? '-' : `${scaled(records / seconds, 1000, ['', 'k', 'M', 'G'])}/s`;
}

/** `512 MiB/s` */
export function throughput(bytes: number, seconds: number): string {
  return seconds <= 0 ? '-' : `${size(bytes / seconds)}/s`;
}

/** `12.3 ms` */
export function time(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  return seconds < 1 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${seconds.toFixed(2)} s`;
}

/** `2026-01-31 12:00:00 UTC` */
export function date(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A table with a head; `right` says which columns are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], right: readonly number[]): string {
  const made = new Table({
    head: head.map((title) => pc.bold(title)),
    colAligns: head.map((_, at) => (right.includes(at) ? 'right' : 'left')),
    style: { 'head': [], 'border': [], 'padding-left': 1, 'padding-right': 1 },
    chars: { 'mid': '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  made.push(...rows.map((row) => [...row]));
  const lines = made.toString().split('\n');
  // One line below the head is enough.
  const rule = lines[0]!.replace('┌', '├').replaceAll('┬', '┼').replace('┐', '┤');
  return [...lines.slice(0, 2), rule, ...lines.slice(2)].join('\n');
}

/** `name   value` lines, aligned. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${pc.dim(name.padEnd(width))}  ${value}`).join('\n');
}

/** The colours of good, doubtful and bad. */
export const good = pc.green;
export const doubtful = pc.yellow;
export const bad = pc.red;
export const bold = pc.bold;
export const dim = pc.dim;
