/**
 * Fills the tables of docs/format.md from the core's own declarations. A table stands between two markers:
 *
 *     <!-- table: Frame -->                                        fields of a class, or members of an enum
 *     <!-- table: ControlWriter at CONTROL_WRITER_OFFSET -->       the same, with offsets that begin there
 *     <!-- table: limits -->                                       the constants of one file: limits.ts
 *     <!-- /table -->
 *
 * `node scripts/format-tables.mjs` writes, `--check` compares and fails on a difference, a missing file or no markers.
 */
import { existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { loadAbi } from './abi.mjs';
import { FORMAT_FILE, runMain, toRoot, writeIfChanged } from './lib/files.mjs';

const TABLE = /<!-- table: (.+?) -->\n[\s\S]*?<!-- \/table -->/g;

/** Returns the page with every table filled, and how many there are. */
export function fillTables(text, modules) {
  let count = 0;
  const filled = text.replace(TABLE, (_, spec) => {
    count += 1;
    return `<!-- table: ${spec} -->\n\n${renderTable(spec.trim(), modules)}\n<!-- /table -->`;
  });
  const opened = text.match(/<!-- table:/g)?.length ?? 0;
  if (opened !== count) throw new Error(`docs/format.md: ${opened} tables are opened, ${count} have an end marker`);
  return { filled, count };
}

function renderTable(spec, modules) {
  const [name, base] = spec.split(' at ');
  const items = modules.flatMap((module) => module.items);
  const item = items.find((one) => one.name === name && one.kind !== 'constant');
  if (item?.kind === 'class') return classTable(item, startOf(base, items));
  if (item?.kind === 'enum') return enumTable(item);
  const module = modules.find((one) => one.name === name);
  if (module === undefined) throw new Error(`docs/format.md: table "${name}" is no class, enum or file of the core`);
  return constantsTable(module.items.filter(({ kind }) => kind === 'constant'));
}

function startOf(base, items) {
  if (base === undefined) return 0;
  const value = /^\d+$/.test(base) ? Number(base) : items.find(({ name }) => name === base)?.value;
  if (typeof value !== 'number') throw new Error(`docs/format.md: "${base}" is neither a number nor a constant`);
  return value;
}

function classTable({ fields }, start) {
  return table(['offset', 'size', 'field', 'type', 'meaning'], fields.map((field) =>
    [start + field.offset, field.size, `\`${field.name}\``, field.type, field.doc]));
}

function enumTable({ members }) {
  return table(['value', 'name', 'meaning'], members.map(({ name, value, doc }) => [value, `\`${name}\``, doc]));
}

function constantsTable(constants) {
  return table(['name', 'value', 'meaning'], constants.map(({ name, value, hex, doc }) =>
    [`\`${name}\``, hex ? `\`0x${value.toString(16)}\`` : value, doc]));
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `${line(head)}|${head.map(() => '---|').join('')}\n${rows.map(line).join('')}`;
}

/** Says what is wrong with the page's tables, or nothing. */
export function checkTables(modules) {
  const name = toRoot(FORMAT_FILE);
  if (!existsSync(FORMAT_FILE)) return `${name} is missing`;
  const text = readFileSync(FORMAT_FILE, 'utf8');
  const { filled, count } = fillTables(text, modules);
  if (count === 0) return `${name} has no table markers`;
  return filled === text ? undefined : `the tables of ${name} differ from the core; run npm run build and commit it`;
}

/** Fills the tables in place; returns what happened. Nothing is done where there is no page yet. */
export function writeTables(modules) {
  if (!existsSync(FORMAT_FILE)) return 'missing, skipped';
  const { filled, count } = fillTables(readFileSync(FORMAT_FILE, 'utf8'), modules);
  if (count === 0) return 'has no tables, skipped';
  return writeIfChanged(FORMAT_FILE, filled) ? 'tables written' : 'unchanged';
}

async function main() {
  const modules = await loadAbi();
  if (!process.argv.includes('--check')) {
    console.log(`${toRoot(FORMAT_FILE)}: ${writeTables(modules)}`);
    return;
  }
  const problem = checkTables(modules);
  if (problem !== undefined) throw new Error(problem);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
