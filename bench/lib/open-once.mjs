/**
 * Opens the log in the directory of its first argument, once, and prints how many milliseconds the opening took,
 * without the start of the process and the loading of the package.
 */
import { RecordLog } from '../../dist/esm/index.js';

const begun = performance.now();
const log = await RecordLog.open(process.argv[2]);
const milliseconds = performance.now() - begun;
console.log(JSON.stringify({ milliseconds, lastLsn: log.lastLsn }));
await log.close();
