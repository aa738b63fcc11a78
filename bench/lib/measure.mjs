/**
 * Measures contenders against each other: the same work by varve and by its peers, in one process, round after round in
 * rotated order, so that a noisy second does not hit one of them alone. Each round gives one value for each; what is
 * reported are medians, with the least and the greatest beside them, and ratios taken round by round.
 *
 * A contender is `{ who, unit, run, floors? }`. `run()` does the work once, outside of its clock prepares and cleans
 * up, and returns `{ value, result }`: the figure in `unit`, and what the work gave, the same in each round.
 */
import { createHash } from 'node:crypto';

/** Units of which more is better; of all others less is. */
const MORE_IS_BETTER = new Set(['M/s', 'MB/s', 'GB/s']);

export function moreIsBetter(unit) {
  return MORE_IS_BETTER.has(unit);
}

/** Returns the value below which `part` of the values lie; the median is `quantile(values, 0.5)`. */
export function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * part;
  const low = Math.floor(place);
  const high = Math.ceil(place);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

export function median(values) {
  return quantile(values, 0.5);
}

/** Runs every contender of a group in each round and returns a row for each. */
export async function compare(rest, group, contenders) {
  const rows = contenders.map(({ who, unit, floors = [] }) => rowFor({ group, who, unit, floors }));
  await takeTurns(rest, contenders, (at, { value, result }, counts) => note(rows[at], value, result, counts));
  return finishAll(rows);
}

/**
 * The same where one run gives several figures: `run()` returns `{ values, result }`, one value for each of `figures`,
 * which are `{ group, unit, floors? }` with the floors of the first contender. Each figure is a group of rows.
 */
export async function compareFigures(rest, figures, contenders) {
  const groups = figures.map(({ group, unit, floors = [] }) => contenders.map(({ who }, at) => (
    rowFor({ group, who, unit, floors: at === 0 ? floors : [] }))));
  await takeTurns(rest, contenders, (at, { values, result }, counts) => {
    groups.forEach((rows, figure) => note(rows[at], values[figure], result, counts));
  });
  return groups.flatMap(finishAll);
}

function rowFor(row) {
  return { ...row, values: [], result: undefined };
}

/** Runs the contenders in rotated order, round after round; `noted` is told of each run, and whether it counts. */
async function takeTurns({ rounds, warmups }, contenders, noted) {
  for (let round = 0; round < warmups + rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const at = (i + round) % contenders.length;
      globalThis.gc?.();
      noted(at, await contenders[at].run(), round >= warmups);
    }
  }
}

function note(row, value, result, counts) {
  noteResult(row, result);
  if (counts) row.values.push(value);
}

function finishAll(rows) {
  return rows.map(({ result, ...row }) => finish(row, rows, result));
}

/** Makes a row of values that a topic has measured in its own way, such as latencies of interleaved operations. */
export function rowOf({ group, who, unit, values, floors = [], result }) {
  const row = { group, who, unit, values, floors };
  return finish(row, [row], String(result));
}

function noteResult(row, result) {
  const text = String(result);
  if (row.result !== undefined && row.result !== text) {
    throw new Error(`${row.group}, ${row.who}: the work gave ${row.result} in one round and ${text} in another`);
  }
  row.result = text;
}

function finish(row, rows, result) {
  const [first] = rows;
  return {
    ...row,
    median: median(row.values),
    min: Math.min(...row.values),
    max: Math.max(...row.values),
    // How many times better the first of the group is than this one.
    behind: first.who === row.who || first.unit !== row.unit ? undefined : median(advantages(first, row)),
    floors: row.floors.map((floor) => judge(floor, row, rows)),
    result,
  };
}

/** How many times better `one` did than `other`, round by round. */
function advantages(one, other) {
  return one.values.map((value, at) => (moreIsBetter(one.unit) ? value / other.values[at] : other.values[at] / value));
}

/**
 * Judges one floor: `{ atLeast }` or `{ atMost }` for the median, or, against the peer `of`, `{ times }` as good at
 * least or `{ timesAtMost }` its value at most. Where that peer is missing, nothing is judged.
 */
function judge(floor, row, rows) {
  if (floor.of === undefined) {
    const actual = median(row.values);
    return floor.atLeast === undefined
      ? { text: `≤ ${floor.atMost}`, actual, met: actual <= floor.atMost }
      : { text: `≥ ${floor.atLeast}`, actual, met: actual >= floor.atLeast };
  }
  const peer = rows.find(({ who }) => who === floor.of);
  if (peer === undefined) return { text: `against ${floor.of}`, actual: undefined, met: undefined };
  const actual = median(advantages(row, peer));
  return floor.times === undefined
    ? { text: `≤ ${floor.timesAtMost} × ${floor.of}`, actual: 1 / actual, met: 1 / actual <= floor.timesAtMost }
    : { text: `≥ ${floor.times} × ${floor.of}`, actual, met: actual >= floor.times };
}

/** The hash of what the work of all rows gave: the same for the same parameters, whatever the machine and its load. */
export function hashOf(rows) {
  const hash = createHash('sha256');
  for (const { group, who, result } of rows) hash.update(`${group}\0${who}\0${result}\n`);
  return hash.digest('hex').slice(0, 16);
}
