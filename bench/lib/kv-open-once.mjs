/**
 * Opens the store of the engine of its first argument in the directory of its second and gets key number (third
 * argument), once. Prints how many milliseconds both took together, without the start of the process and the loading of
 * packages, and the value as hex. With a fourth argument, the engine has opened another store there before: what is
 * compiled and bound once a process is not measured then.
 */
import { filled, textKeys } from './kv-work.mjs';
import { ENGINES } from './kv.mjs';

const [who, path, at, other] = process.argv.slice(2);
const engine = ENGINES[who];
engine.installed();
const [text] = textKeys(1, Number(at));
const key = engine.keyOf(text);
if (other !== undefined) {
  const store = await filled(engine, other, [engine.keyOf(text)]);
  store.get(key);
  await store.close();
}
const begun = performance.now();
const store = await engine.open(path);
const value = store.get(key);
const milliseconds = performance.now() - begun;
console.log(JSON.stringify({ milliseconds, value: Buffer.from(value).toString('hex') }));
await store.close();
