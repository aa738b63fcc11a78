/**
 * Many writers of one typed store, as processes: no update of one field takes another's away, no record is ever seen
 * half written, and no append is lost.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TypedStore } from '../../host/typed/typed-store.ts';
import { defineSchema, str, u32 } from '../../host/typed/schema.ts';
import { start, temporary } from '../support/processes.ts';

const Shared = defineSchema('Shared', { fields: { one: u32, text: str(40), two: u32, sum: u32 } });
const ROUNDS = 200_000;

let place: ReturnType<typeof temporary>;
beforeEach(() => { place = temporary(); });
afterEach(() => { place.remove(); });

it('D4: two writing processes lose nothing of each other and see no torn record', async () => {
  const path = place.file('shared.varve');
  const store = TypedStore.openSync(path, Shared, { writers: 'many' });
  store.appendMany([{ one: 0, two: 0, sum: 0, text: '' }, { one: 0, two: 0, sum: 0, text: '000000' }]);
  const children = ['one', 'two'].map((own) => start('typed-writer', [path, own, ROUNDS]));
  for (const child of children) expect(await child.told()).toBe('open');
  for (const child of children) child.process.send('go');
  const outcomes = await Promise.all(children.map((child) => child.told())) as { foreign: number }[];
  expect(outcomes).toEqual(outcomes.map(({ foreign }) => ({ lost: 0, torn: 0, foreign })));
  // They did write at the same time: each has seen what the other had just set.
  expect(outcomes.reduce((all, { foreign }) => all + foreign, 0)).toBeGreaterThan(0);
  expect(store.get(0)).toEqual({ one: ROUNDS, two: ROUNDS, sum: 0, text: '' });
  const appended = [...store].slice(2);
  for (const own of ['one', 'two']) {
    expect(appended.filter(({ text }) => text === own).map(({ one }) => one))
      .toEqual(Array.from({ length: ROUNDS / 100 }, (_, at) => (at + 1) * 100));
  }
  expect(store.length).toBe(2 + 2 * ROUNDS / 100);
  store.closeSync();
}, 120_000);
