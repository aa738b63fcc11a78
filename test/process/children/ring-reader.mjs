/**
 * Reads a ring while others append to it, for some time: records anywhere in it, most of all the oldest, which are
 * overwritten just then.
 *
 * Arguments: path, 'one' or 'many', milliseconds.
 */
import { TypedStore } from '../../../dist/esm/index.js';
import { isWhole, Lap } from './ring-records.mjs';

const [path, writers, milliseconds] = process.argv.slice(2);
const store = TypedStore.openSync(path, Lap, { readOnly: true });
const counts = { read: 0, gone: 0, torn: 0, other: 0, unexpected: 0, laps: 0, columns: 0 };
const into = {};

/** Reads one record; fields are read one by one too, of the same index. */
function look(index) {
  try {
    store.get(index, into);
    counts.read++;
    if (!isWhole(into)) counts.torn++;
    if (writers === 'one' && into.serial !== index) counts.other++;
    const { serial, writer } = into;
    const again = store.fields.serial.get(index);
    if (again !== serial || store.fields.writer.get(index) !== writer) counts.other++;
  } catch (error) {
    if (error.code === 'ERR_VARVE_OUT_OF_RANGE') counts.gone++;
    else if (counts.unexpected++ === 0) counts.message = String(error);
  }
}

process.send('open');
process.once('message', () => {
  const begin = store.length;
  const end = Date.now() + Number(milliseconds);
  while (Date.now() < end) {
    for (let round = 0; round < 200; round++) {
      const { first, length } = store;
      look(first);
      look(first + 1);
      look(first + Math.floor(Math.random() * (length - first)));
      look(length - 1);
    }
    // A walk and a column see ascending records alone, whatever is overwritten meanwhile.
    let last = -1;
    for (const record of store) {
      if (!isWhole(record)) counts.torn++;
      if (writers === 'one' && record.serial <= last) counts.other++;
      last = record.serial;
    }
    if (writers === 'many') continue;
    const serials = store.column('serial').toFloat64Array();
    for (let at = 1; at < serials.length; at++) if (serials[at] <= serials[at - 1]) counts.other++;
    counts.columns += serials.length;
  }
  counts.laps = (store.length - begin) / store.capacity;
  store.closeSync();
  process.send(counts);
  process.disconnect();
});
