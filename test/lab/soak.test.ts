/**
 * The soak in seconds instead of hours: the load runs and nothing grows; and what leaks by intention is caught.
 */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cannot } from '../support/processes.ts';
import { judge } from './growth.mjs';
import { plotOf, soak, tableOf } from './soak.mjs';

const SECONDS = 4;
const EVERY = 0.1;

describe('growth', () => {
  const limits = { ratio: 1.1, slack: 5 };

  it('is what separates the second quarter from the last one, whatever single samples say', () => {
    const flat = Array.from({ length: 40 }, (_, i) => (i < 10 ? i * 10 : 100) + (i % 7 === 0 ? 900 : 0));
    expect(judge(flat, limits)).toMatchObject({ before: 100, after: 100, grows: false });
    const rising = Array.from({ length: 40 }, (_, i) => 100 + i);
    expect(judge(rising, limits)).toMatchObject({ before: 115, after: 135, grows: true });
    expect(judge(rising, { ratio: 1.1, slack: 9 }).grows).toBe(false);
  });

  it('is not found in nothing', () => {
    expect(judge([], limits).grows).toBe(false);
  });
});

describe.concurrent('a soak', () => {
  it('runs all of its load and finds that nothing grows', async (context) => {
    if (!existsSync('/proc/self/maps')) return cannot(context, 'there is no /proc to look at processes with');
    const seen = await soak({ seconds: SECONDS, every: EVERY });
    expect(seen.grows).toEqual([]);
    for (const [process, counts] of Object.entries(seen.counts)) {
      for (const [what, count] of Object.entries(counts)) expect(count, `${what} of the ${process}`).toBeGreaterThan(0);
    }
    expect(seen.samples['writer']).toHaveLength(SECONDS / EVERY);
    expect(tableOf(seen)).toHaveLength(seen.verdicts.length + 2);
    const svg = plotOf(seen);
    expect(svg.match(/<polyline /g)).toHaveLength(10);
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it.each([['files', 'open files'], ['mappings', 'mappings']])('notices that %s leak', async (leak, metric) => {
    if (!existsSync('/proc/self/maps')) return;
    const seen = await soak({ seconds: SECONDS, every: EVERY, leak });
    expect(seen.grows).toMatchObject([{ process: 'writer', metric }]);
  });
});
