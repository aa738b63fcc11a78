/**
 * Appends large records to a ring until it is killed; most of its time it has a slot in its hands.
 *
 * Arguments: path.
 */
import { TypedStore } from '../../../dist/esm/index.js';
import { Bulk, EVERY, fillBulk } from './ring-bulk.mjs';

const store = TypedStore.openSync(process.argv[2], Bulk);
const record = {};
let next = store.length;
process.send('open');
process.once('message', () => {
  for (;; next++) {
    if (next % EVERY === 0) store.append(fillBulk(record, next));
    else store.append();
  }
});
