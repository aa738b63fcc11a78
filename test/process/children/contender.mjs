/**
 * One of many that want to write in the same directory. Told `{at}`, it tries to open at that moment and tells who
 * has won; told `{release}`, it closes; told `{turns}`, it opens, appends and closes as fast as it can, so many times;
 * told `{end}`, it ends.
 *
 * Arguments: directory.
 */
import { RecordLog } from '../../../dist/esm/index.js';

const [directory] = process.argv.slice(2);
const options = { segmentBytes: 65536 };
let log;

/** Tries to open; what the refusal says, if there is one. */
function attempt() {
  try {
    log = RecordLog.openSync(directory, options);
    return { won: process.pid };
  } catch (error) {
    return { code: error.code, pid: error.details?.pid };
  }
}

/** Owns the directory again and again; what is between `begin` and `end` in the log was written by one owner alone. */
function takeTurns(turns) {
  const told = { turns: 0, refusals: 0, codes: new Set(), pids: new Set() };
  while (told.turns < turns) {
    const { won, code, pid } = attempt();
    if (won === undefined) {
      told.refusals++;
      told.codes.add(code);
      if (pid !== undefined) told.pids.add(pid);
      continue;
    }
    told.turns++;
    log.append(`begin ${process.pid}`);
    for (let i = 0; i < told.turns % 5; i++) log.append(`within ${process.pid}`);
    log.append(`end ${process.pid}`);
    log.closeSync();
  }
  return { ...told, codes: [...told.codes], pids: [...told.pids] };
}

process.on('disconnect', () => process.exit());
process.on('message', ({ at, release, turns, end }) => {
  if (end) {
    process.disconnect();
  } else if (turns !== undefined) {
    process.send(takeTurns(turns));
  } else if (release) {
    log.closeSync();
    process.send({ released: true });
  } else {
    // All of them wait for the same moment, so that none is ahead by the time that its message took.
    while (Date.now() < at);
    process.send(attempt());
  }
});
process.send('ready');
