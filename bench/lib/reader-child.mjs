/**
 * A reader process of the live benchmarks. It opens what it is told to open, says when it stands at the end, and once
 * it has seen so many records says when that was, what they summed up to and, if asked, how old each was.
 *
 * It stays for the next job: a benchmark of sixteen readers does not start sixteen processes each time, and measures no
 * compiler after its first round.
 */
import { CONTENDERS, sinceAppend } from './live.mjs';
import { fold } from './payloads.mjs';

// Whoever started it is done, or dead; a reader that still follows would go on for ever.
process.once('disconnect', () => { process.exit(); });

process.on('message', async ({ who, path, records, latencies, batches }) => {
  const ages = new Float64Array(latencies ? records : 0);
  let sum = 0;
  let seen = 0;
  const { promise, finish } = ending();
  const take = (payload) => {
    if (latencies) ages[seen] = sinceAppend(payload);
    sum = fold(sum, payload);
    if (++seen === records) finish(process.hrtime.bigint());
  };
  const reader = await CONTENDERS[who].openReader(path, take, { batches });
  process.send({ opened: true });
  const endedAt = await promise;
  await reader.close();
  process.send({ endedAt, sum, seen, ages });
});

function ending() {
  let finish;
  const promise = new Promise((resolve) => { finish = resolve; });
  return { promise, finish };
}
