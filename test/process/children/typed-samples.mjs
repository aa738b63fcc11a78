/**
 * Records whose fields are all functions of one number, so that any mix of two states is seen: 80 bytes of fields, as
 * child and test know them without talking. How a record is written follows from its index:
 *
 *   row       all fields at once, of which seq, ratio and tail change: the fastest way there is to write
 *   whole     all fields at once, by `set`
 *   part      seq, ratio, text and tail at once, by `update`; the others stay as they were born
 *   single    ratio and text, each by itself
 *   counters  `a` and `b`, each by a writer of its own, by `update`; the others stay as they were born
 */
import { readFileSync } from 'node:fs';
import { Core } from '../../../dist/esm/index.js';
import { defineSchema, f64, str, u32, u64 } from '../../../dist/esm/schema.js';

export const Sample = defineSchema('Sample', { fields: {
  seq: u64.number, ratio: f64, a: u32, b: u32, text: str(36), check: u64.number, tail: f64,
} });
/** Bytes of a record: the stamp and 80 more; a checksum would follow. */
export const SAMPLE_STRIDE = 88;

/** Records from the first on that are written again and again; the others stay as they were born. */
export const HOT = 10;
const NAMES = ['row', 'whole', 'part', 'single', 'counters'];
export const GROUPS = NAMES.length;

/** How the record of an index is written. */
export const groupOf = (index) => NAMES[index % GROUPS];

function mix(seq, index) {
  let h = Math.imul(seq % 0x100000000 + 1, 0x9e3779b1) ^ Math.imul(index + Math.floor(seq / 0x100000000), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

/** A text that begins with its number, of 12 to 36 bytes. */
export function textOf(seq) {
  const one = `${seq}:`;
  return one.repeat(Math.ceil(36 / one.length)).slice(0, 12 + seq % 25);
}

export const ratioOf = (seq) => seq / 4;

/** The record of a number. */
export function sampleOf(seq) {
  return {
    seq, ratio: ratioOf(seq), a: mix(seq, 1), b: mix(seq, 2), text: textOf(seq),
    check: mix(seq, 3) * 0x100000 + (mix(seq, 4) >>> 12), tail: -seq,
  };
}

/** What a record is when it is appended. */
export const bornOf = (index) => {
  const born = sampleOf(index + 1);
  return groupOf(index) === 'counters' ? { ...born, a: 0, b: 0 } : born;
};

/**
 * Whether the row that stands at `rowOffset` of a core's memory is one state of a record of the group `row`, as its
 * first and its last field say: cheap enough to look at millions of rows.
 */
export function isOneState({ memory }, rowOffset) {
  const at = (rowOffset + 8) / 4;
  const seq = memory.unsigned[at] + memory.unsigned[at + 1] * 0x100000000;
  return seq === -memory.doubles[(rowOffset + SAMPLE_STRIDE - 8) / 8];
}

/** What `update` changes in a record of the group `part`. */
export function partOf(seq) {
  return { seq, ratio: ratioOf(seq), text: textOf(seq), tail: -seq };
}

/** What a record of the group `row` is. */
export const rowOf = (index, seq) => ({ ...bornOf(index), seq, ratio: ratioOf(seq), tail: -seq });

/** The number that a ratio or a text says it is of; NaN where it is of none. */
export const seqOfRatio = (ratio) => (Number.isSafeInteger(ratio * 4) && ratio > 0 ? ratio * 4 : NaN);
export function seqOfText(text) {
  const seq = Number(text.slice(0, Math.max(0, text.indexOf(':'))));
  return Number.isSafeInteger(seq) && text === textOf(seq) ? seq : NaN;
}

/** Returns what the record should be, as far as its own fields say, or undefined where they say nothing sensible. */
function expectedOf(index, record) {
  switch (groupOf(index)) {
    case 'single': {
      const [ratio, text] = [seqOfRatio(record.ratio), seqOfText(record.text)];
      return { ...bornOf(index), ratio: ratioOf(ratio), text: textOf(text) };
    }
    case 'counters': return { ...bornOf(index), a: record.a, b: record.b };
    default: return stateOf(index, record.seq);
  }
}

/** A state that a record may be in, of a number. */
export function stateOf(index, seq) {
  switch (groupOf(index)) {
    case 'row': return rowOf(index, seq);
    case 'whole': return sampleOf(seq);
    case 'part': return { ...bornOf(index), ...partOf(seq) };
    case 'single': return { ...bornOf(index), ratio: ratioOf(seq), text: textOf(seq) };
    default: return bornOf(index);
  }
}

const namesOfOthers = (record, expected) => (
  Object.keys(expected).filter((name) => !Object.is(record[name], expected[name])));

/** Says what is wrong with a record; undefined where it is one state: what it was appended as, or a later one. */
export function wrongIn(index, record) {
  const names = namesOfOthers(record, expectedOf(index, record));
  if (names.length === 0 || namesOfOthers(record, sampleOf(record.seq)).length === 0) return undefined;
  return `record ${index} (${groupOf(index)}): ${names.join()} of ${JSON.stringify(record)}`;
}

/** A core that is compiled with a bug, for a module's path; undefined for none. */
export function coreOf(path) {
  if (path === undefined || path === '') return undefined;
  const core = new Core({ variant: 'simd', memoryBytes: 1 << 30 });
  const module = new WebAssembly.Module(readFileSync(path));
  const instance = new WebAssembly.Instance(module, { env: { memory: core.memory.memory } });
  instance.exports.init();
  return Object.assign(core, { exports: instance.exports });
}

/** A clock that all processes of a machine share, in milliseconds. */
export const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
