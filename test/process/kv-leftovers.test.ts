/**
 * Exports and copies whose process is killed: the next one to the same target removes what they have left, and leaves
 * alone what belongs to a process that lives, or to another target.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportDwal, exportJsonl, importDwal, importJsonl, KeyValueStore } from '../../host/index.ts';
import { LAB, start, temporary, untilStopped } from '../support/processes.ts';

const RECORDS = 3000;
const value = Buffer.alloc(2000, 'v');

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

type Form = 'jsonl' | 'dwal' | 'copy';

async function write(store: KeyValueStore, target: string, form: Form): Promise<void> {
  if (form === 'jsonl') await exportJsonl(store, target);
  else if (form === 'dwal') await exportDwal(store, target);
  else await store.compactTo(target);
}

async function recordsOf(target: string, form: Form): Promise<number> {
  if (form === 'copy') {
    await using store = await KeyValueStore.open(target, { readOnly: true });
    return store.size;
  }
  await using store = await KeyValueStore.open(place.file(`again-${Math.random()}`));
  if (form === 'jsonl') await importJsonl(store, target);
  else await importDwal(store, target);
  return store.size;
}

const leftovers = (): string[] => readdirSync(place.path).filter((name) => name.endsWith('.tmp')).sort();

describe.each(['jsonl', 'dwal', 'copy'] as const)('a killed process (%s)', (form) => {
  it('leaves something hidden, which the next one to this target removes', { timeout: 60_000 * LAB }, async () => {
    const directory = place.file('store');
    await using store = await KeyValueStore.open(directory, { segmentBytes: 1 << 20 });
    store.putMany(Array.from({ length: RECORDS }, (_, at) => [`key ${at}`, value] as const));
    await store.sync();
    const target = place.file('target');
    for (let kill = 0; kill < 2; kill++) {
      const victim = start('kv-exporter', [directory, target, form]);
      expect(await victim.told()).toBe('halfway');
      const before = leftovers();
      // What the one before has left, this one has removed.
      expect(before).toHaveLength(1);
      expect(before[0]).toContain(`.target.${victim.process.pid}.`);
      victim.process.kill('SIGKILL');
      expect(await victim.ended).toEqual([null, 'SIGKILL']);
      expect(leftovers()).toEqual(before);
    }
    // Of another target, and what nobody of us has made.
    const others = ['.other.999999.0123456789ab.tmp', '.target.notes.tmp', '.target.1.extra.tmp'];
    for (const name of others) writeFileSync(place.file(name), 'mine');
    const living = start('kv-exporter', [directory, target, form]);
    expect(await living.told()).toBe('halfway');
    living.process.kill('SIGSTOP');
    await untilStopped(living.process.pid!);
    const [its, ...rest] = leftovers().filter((name) => !others.includes(name));
    expect([its, rest]).toEqual([expect.stringContaining(`.target.${living.process.pid}.`), []]);
    await write(store, target, form);
    expect(leftovers()).toEqual([its!, ...others].sort());
    expect(await recordsOf(target, form)).toBe(RECORDS);
    living.process.kill('SIGCONT');
    expect(await living.told()).toBe(form === 'jsonl' ? 'done' : 'ERR_VARVE_IO');
    await living.ended;
    // A file is replaced; a directory that is there now is not, and then nothing is left behind.
    expect(leftovers()).toEqual([...others].sort());
    expect(await recordsOf(target, form)).toBe(RECORDS);
  });
});
