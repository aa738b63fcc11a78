/**
 * Appends to a ring at full speed until it is told to stop, or killed; every thousandth record is set once more.
 *
 * Arguments: path, 'one' or 'many', the writer's number.
 */
import { TypedStore } from '../../../dist/esm/index.js';
import { fill, Lap } from './ring-records.mjs';

const [path, writers, number] = process.argv.slice(2);
const store = TypedStore.openSync(path, Lap, { writers });
const record = {};
let appended = 0;
let wrong = 0;
let stopped = false;

function run() {
  for (let round = 0; round < 5000; round++) {
    const serial = writers === 'one' ? store.length : appended;
    const index = store.append(fill(record, Number(number), serial));
    if (writers === 'one' && index !== serial) wrong++;
    appended++;
    // The same once more: readers must not see it in between, and in a ring of many it may be gone.
    if (writers === 'one' && round % 1000 === 0) store.set(index, record);
  }
  if (!stopped) return setImmediate(run);
  store.closeSync();
  process.send({ appended, wrong });
  process.disconnect();
}

process.send('open');
process.on('message', (message) => {
  if (message === 'stop') stopped = true;
  else run();
});
