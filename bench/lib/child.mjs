/**
 * One benchmark in a process of its own: runs the topic that it is told and sends what it found to its parent.
 */
import { loadavg } from 'node:os';
import { hashOf } from './measure.mjs';
import { Places } from './places.mjs';

function unjudged(row) {
  return { ...row, floors: row.floors.map((floor) => ({ ...floor, met: undefined })) };
}

process.once('message', async ({ name, directory, smoke, rounds }) => {
  const topic = await import(new URL(`../${name}.mjs`, import.meta.url).href);
  const begun = performance.now();
  const context = { places: new Places(directory), smoke, rounds, warmups: smoke ? 0 : 1 };
  const { rows, notes = [] } = await topic.run(context);
  process.send({
    name,
    title: topic.title,
    parameters: { ...topic.parameters(smoke), rounds },
    seconds: (performance.now() - begun) / 1e3,
    load: loadavg()[0],
    hash: hashOf(rows),
    // A few hundred records measure the engine's start, which no floor is about.
    rows: smoke ? rows.map(unjudged) : rows,
    notes,
  });
  // What a peer keeps open must not keep the run from going on.
  process.disconnect();
});
