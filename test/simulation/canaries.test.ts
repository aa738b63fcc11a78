/**
 * Whether the simulation would find a bug: five promises of the log are broken on purpose, each behind a switch that
 * exists in tests alone, and the simulation must find each within few seeds - and must find nothing in the same seeds
 * without the bug. The last tests show that nothing of the switches is in what is shipped.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import ts from 'typescript';
import type { Core } from '../../host/core/core.ts';
import { CORE_CANARIES, buildWithoutCanaries, canaryCore } from '../support/canary-core.ts';
import { KEY_VALUE_CANARIES } from '../support/kv-canaries.ts';
import { WAL_CANARIES } from '../support/wal-canaries.ts';
import { readBuild } from '../support/disassemble.ts';
import { filesIn } from '../support/files-in.ts';
import { giveCore, takeCore } from '../support/log-fixture.ts';
import { cutThrice } from '../support/log-workload.ts';
import { Random } from '../support/random.ts';
import { ROOT, parse, sourcesBelow, visit } from '../support/repository.ts';
import { newTally, scaled } from '../support/tally.ts';

const MEMORY_BYTES = 16 << 20;
const SEEDS_MAX = 150;
const HOST_CANARIES = { sync: 'a sync that is left out', mark: 'a durable mark that covers what came during the sync',
  tail: 'a torn tail that is not repaired' } as const;

afterEach(() => { globalThis.varveCanary = undefined; });

/** Runs a seed; returns what the simulation found, if anything. */
async function findingOf(seed: number, core: Core): Promise<string | undefined> {
  const readerCore = takeCore('simd', MEMORY_BYTES);
  try {
    await cutThrice({ core, readerCore, random: new Random(seed), tally: newTally('canaries'), syncs: 'manual' });
    giveCore(readerCore);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The first seed in which the bug is found, and that no seed up to there finds anything without it. */
async function find(what: string, bug: { core?: Core; canary?: keyof typeof HOST_CANARIES }): Promise<void> {
  const core = bug.core ?? takeCore('simd', MEMORY_BYTES);
  let found: string | undefined;
  let seed = 0;
  while (found === undefined && seed < SEEDS_MAX) {
    seed++;
    globalThis.varveCanary = bug.canary;
    found = await findingOf(seed, core);
  }
  globalThis.varveCanary = undefined;
  console.info(`canary (${what}): seed ${seed}: ${found}`);
  expect(found, `${what} is not found in ${SEEDS_MAX} seeds`).toBeDefined();
  const sound = takeCore('simd', MEMORY_BYTES);
  for (let same = 1; same <= seed; same++) expect(await findingOf(same, sound)).toBeUndefined();
  giveCore(sound);
}

describe('the simulation finds', { timeout: scaled(120_000) }, () => {
  for (const [canary, what] of Object.entries(HOST_CANARIES)) {
    it(what, () => find(what, { canary: canary as keyof typeof HOST_CANARIES }));
  }

  it('a checksum that is not looked at', async () => {
    await find('a checksum that is not looked at', { core: await canaryCore('CANARY_CRC', MEMORY_BYTES) });
  });

  it('a batch that is recovered in part', async () => {
    await find('a batch that is recovered in part', { core: await canaryCore('CANARY_BATCH', MEMORY_BYTES) });
  });
});

describe('what is shipped', { timeout: scaled(120_000) }, () => {
  it('has no trace of a canary in its bundles', () => {
    const bundles = filesIn(`${ROOT}/dist`).filter((path) => /\.(js|ts|map)$/.test(path));
    expect(bundles.length).toBeGreaterThan(4);
    expect(bundles.filter((path) => /canary/i.test(readFileSync(path, 'utf8')))).toEqual([]);
  });

  it('has all of its canaries under the label that the bundler drops, and no other label', () => {
    const labels: string[] = [];
    let mentions = 0;
    for (const file of sourcesBelow('host').filter(({ path }) => !path.endsWith('.d.ts'))) {
      mentions += file.text.match(/varveCanary/g)?.length ?? 0;
      visit(parse(file), (node) => {
        if (ts.isLabeledStatement(node)) labels.push(`${node.label.text} ${/'(\w+)'/.exec(node.getText())?.[1]}`);
      });
    }
    const names = Object.keys({ ...HOST_CANARIES, ...KEY_VALUE_CANARIES, ...WAL_CANARIES });
    expect([...new Set(labels)].sort()).toEqual(names.map((name) => `CANARY ${name}`).sort());
    expect(mentions).toBe(labels.length);
  });

  it.each(['baseline', 'simd'] as const)('has the same core with and without them: %s', async (build) => {
    const { mentions, sources, wasm } = await buildWithoutCanaries(build);
    expect(mentions).toBe(CORE_CANARIES.length);
    expect([...sources.values()].some((text) => /canary/i.test(text))).toBe(false);
    expect(Buffer.compare(wasm, readBuild(build))).toBe(0);
  });
});
