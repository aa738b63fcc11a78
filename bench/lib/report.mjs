/**
 * Prints what was measured as tables for people.
 */
import Table from 'cli-table3';
import colors from 'picocolors';

const BORDERS = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '',
  'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
};

function tableOf(head, alignments) {
  return new Table({
    head: head.map((text) => colors.dim(text)), colAligns: alignments, chars: BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
}

/** Writes a figure with three significant digits at least, and no more decimals than that takes. */
export function figure(value) {
  if (value === undefined) return '';
  if (value >= 1000) return value.toFixed(0);
  return value.toPrecision(3);
}

function verdict({ text, actual, met }, unit) {
  if (met === undefined) return colors.dim(`${text}: not judged`);
  const shown = text.includes('×') ? ` (${figure(actual)})` : ` ${unit}`;
  return met ? colors.green(`✓ ${text}${shown}`) : colors.red(`✗ ${text}${shown}`);
}

function ratio({ behind }) {
  if (behind === undefined) return '';
  return behind >= 1 ? `${figure(behind)} × slower` : colors.yellow(`${figure(1 / behind)} × faster`);
}

export function printEnvironment(environment) {
  const table = tableOf([], []);
  for (const [name, value] of Object.entries(environment)) table.push([colors.dim(name), value]);
  console.log(table.toString());
}

/** Prints one benchmark's table; `failure` says why there is none. */
export function printTopic({ name, title, parameters, seconds, load, hash, rows, notes }) {
  const shown = Object.entries(parameters).map(([key, value]) => `${key} ${[value].flat().join(', ')}`).join('; ');
  console.log(`\n${colors.bold(name)}: ${title}\n${colors.dim(shown)}`);
  const table = tableOf(['', '', 'median', 'min – max', '', 'than varve', 'floor'],
    ['left', 'left', 'right', 'right', 'left', 'left', 'left']);
  let group = '';
  for (const row of rows) {
    const { unit, floors } = row;
    table.push([
      row.group === group ? '' : row.group, row.who, colors.bold(figure(row.median)),
      row.values.length > 1 ? `${figure(row.min)} – ${figure(row.max)}` : '', unit, ratio(row),
      floors.map((floor) => verdict(floor, unit)).join('\n'),
    ]);
    group = row.group;
  }
  if (rows.length > 0) console.log(table.toString());
  for (const note of notes) console.log(colors.yellow(note));
  console.log(colors.dim(`results ${hash}; ${seconds.toFixed(1)} s; load ${load.toFixed(2)}`));
}

export function printFailure(name, reason) {
  console.log(`\n${colors.bold(name)}: ${colors.red(reason)}`);
}

export function printSummary(topics, failures) {
  const floors = topics.flatMap(({ name, rows }) => rows
    .flatMap((row) => row.floors.map((floor) => ({ name, row, floor }))));
  const missed = floors.filter(({ floor }) => floor.met === false);
  const judged = floors.filter(({ floor }) => floor.met !== undefined);
  console.log(judged.length === 0 ? '\nno floor was judged'
    : `\n${judged.length - missed.length} of ${judged.length} floors met`);
  for (const { name, row, floor } of missed) {
    console.log(colors.red(`  ✗ ${name}, ${row.group}, ${row.who}: ${figure(floor.actual)}, floor ${floor.text}`));
  }
  for (const { name, reason } of failures) console.log(colors.red(`  ✗ ${name}: ${reason}`));
}
