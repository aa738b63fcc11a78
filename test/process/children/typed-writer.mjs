/**
 * One of many writers of a typed store, in a process of its own: it updates a field of the first record that nobody
 * else changes and looks whether it stayed, sets whole records whose fields belong together, and looks whether any was
 * torn.
 *
 * Arguments: path, the name of its own field, how many rounds.
 */
import { TypedStore } from '../../../dist/esm/index.js';
import { defineSchema, str, u32 } from '../../../dist/esm/schema.js';

const Shared = defineSchema('Shared', { fields: { one: u32, text: str(40), two: u32, sum: u32 } });
const [path, own, rounds] = process.argv.slice(2);
const store = TypedStore.openSync(path, Shared, { writers: 'many' });
process.send('open');
process.once('message', () => {
  let lost = 0;
  let torn = 0;
  let foreign = 0;
  for (let i = 1; i <= Number(rounds); i++) {
    store.update(0, { [own]: i });
    if (store.fields[own].get(0) !== i) lost++;
    store.set(1, { one: i, two: 2 * i, sum: 3 * i, text: String(i).repeat(6) });
    const { one, two, sum, text } = store.get(1);
    if (two !== 2 * one || sum !== 3 * one || text !== String(one).repeat(6)) torn++;
    if (one !== i) foreign++;
    if (i % 100 === 0) store.append({ one: i, two: 0, sum: 0, text: own });
  }
  store.closeSync();
  process.send({ lost, torn, foreign });
  process.disconnect();
});
