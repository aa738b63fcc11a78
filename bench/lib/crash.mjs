/**
 * Appends records of 256 B to a log in the directory of its first argument until they take the bytes of its second,
 * then kills itself: what it leaves is a segment without a footer.
 */
import { RecordLog } from '../../dist/esm/index.js';
import { payloadsOf, RING } from './payloads.mjs';

const [directory, bytes] = process.argv.slice(2);
const payloads = payloadsOf(256);
const log = await RecordLog.open(directory);
for (let i = 0; log.position < Number(bytes); i++) log.append(payloads[i % RING]);
process.kill(process.pid, 'SIGKILL');
