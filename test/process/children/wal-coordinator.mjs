/**
 * The coordinator of a group: recovers it, and then makes checkpoints until it is killed. The state is how many entries
 * each core had at the cut. What it was told is noted in a journal.
 *
 * Arguments: directory, journal, and the number of its own core.
 */
import { openSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { WalGroup } from '../../../dist/esm/index.js';

const [directory, journalPath] = process.argv.slice(2);
const journal = openSync(journalPath, 'a');
const note = (...words) => writeSync(journal, `${words.join(' ')}\n`);
process.on('disconnect', () => process.exit());

const group = WalGroup.openSync(directory, { segmentBytes: 65536 });
process.send({ open: true, epoch: group.epoch });
for (let n = 0; ; n++) {
  try {
    if (n % 3 === 0) {
      const { id, epoch, cores } = await group.checkpoint({
        state: (cut) => JSON.stringify(cut.cores.map(({ sequence }) => sequence)), timeoutMs: 20_000,
      });
      note('checkpoint', id, epoch, ...cores.map(({ sequence }) => sequence));
    } else if (n % 3 === 1) {
      const { epoch, cores } = await group.barrierAll();
      note('barrier', epoch, ...cores.map(({ sequence }) => sequence));
    } else {
      await group.syncAll();
    }
    note('complete', group.completeEpoch);
    process.send({ n });
  } catch (error) {
    note('wrong', error.code, error.message);
  }
  await setTimeout(1 + n % 5);
}
