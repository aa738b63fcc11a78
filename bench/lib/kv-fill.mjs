/**
 * Fills a new store of the engine of its first argument, in the directory of its second, with as many keys as its third
 * says, then closes it or, if its fourth is `kill`, kills itself: what that leaves has to be recovered.
 */
import { filled, textKeys } from './kv-work.mjs';
import { ENGINES } from './kv.mjs';

const [who, path, count, end] = process.argv.slice(2);
const store = await filled(ENGINES[who], path, textKeys(Number(count)).map(ENGINES[who].keyOf));
if (end === 'kill') process.kill(process.pid, 'SIGKILL');
await store.close();
