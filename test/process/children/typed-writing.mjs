/**
 * How the records of each group of samples are written, by whichever child writes them.
 */
import { partOf, ratioOf, rowOf, SAMPLE_STRIDE, sampleOf, textOf } from './typed-samples.mjs';

/** Rows that a record of the group `row` is replaced by, one after the other. */
export const ROWS = 500;

/** Functions of an index and a number by the names of the groups; `row` uses the `ROWS` numbers behind it too. */
export function meansOf(store, core, rowOffset) {
  const { fields, file: { view } } = store;
  const { unsigned, doubles } = core.memory;
  const first = (rowOffset + 8) / 4;
  return {
    /** Most of the time goes into the writing itself: only the fields that change are put into the row anew. */
    row(index, seq) {
      store.set(index, rowOf(index, seq));
      for (let next = seq + 1; next <= seq + ROWS; next++) {
        unsigned[first] = next % 0x100000000;
        unsigned[first + 1] = next / 0x100000000;
        doubles[first / 2 + 1] = ratioOf(next);
        doubles[first / 2 + SAMPLE_STRIDE / 8 - 2] = -next;
        if (view.writeRow(index) !== 0) return store.set(index, rowOf(index, next));
      }
    },
    whole(index, seq) { store.set(index, sampleOf(seq)); },
    part(index, seq) { store.update(index, partOf(seq)); },
    single(index, seq) {
      fields.text.set(index, textOf(seq));
      fields.ratio.set(index, ratioOf(seq));
    },
    counters(index, seq) { store.update(index, { [seq % 2 === 0 ? 'a' : 'b']: seq % 0x100000000 }); },
  };
}

/**
 * Takes a record, as the core does, and writes a part of it: what a writer that dies then leaves. Nobody else may write
 * that record meanwhile.
 */
export function writeHalf(store, core, index, seq) {
  const { window, layout } = store.file;
  const at = window.base + (index - window.first) * layout.stride;
  core.exports.storeWord(at, core.exports.loadWord(at) + 1);
  core.exports.storeWord(at + 8, seq);
  core.memory.doubles[(at + 16) / 8] = ratioOf(seq);
}
