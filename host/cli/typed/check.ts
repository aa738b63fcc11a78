/**
 * `varve check FILE`: reads every record of a typed file and lists those that are damaged or held.
 */
import { VarveError, type TypedStore } from '../../index.ts';
import type { Context } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, good, plural, sizeExact, throughput, time } from '../format.ts';
import { openTyped } from './open.ts';

export interface TypedCheckOptions {
  readonly schema?: string;
  readonly json?: true;
}

/** A record that is damaged. */
interface Damage {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

const EXITS = { ok: Exit.Ok, torn: Exit.Torn, corrupt: Exit.Corrupt } as const;

export async function checkTyped({ out }: Context, path: string, options: TypedCheckOptions): Promise<Exit> {
  const { store, facts } = await openTyped(path, options.schema);
  try {
    const begun = performance.now();
    const { records, torn, damaged: indices } = store.check();
    const seconds = (performance.now() - begun) / 1000;
    const damaged = indices.map((index) => damageOf(store, index));
    const outcome = damaged.length > 0 ? 'corrupt' : torn.length > 0 ? 'torn' : 'ok';
    const intact = records - torn.length - damaged.length;
    if (options.json === true) {
      await out.json({
        schema: 'varve.check-typed.v1', path: facts.path, format: facts.format, outcome, records, intact, torn, damaged,
        seconds,
      });
      return EXITS[outcome];
    }
    const bytes = records * facts.stride;
    await out.line(`${plural(intact, 'intact record')} of ${count(records)} in ${facts.path}`);
    await out.line(`${sizeExact(bytes)} checked in ${time(seconds)}: ${throughput(bytes, seconds)}`);
    for (const { index, code, message } of damaged) {
      await out.line(`${bad('damaged')}: record ${count(index)}: ${code}: ${message}`);
    }
    for (const index of torn) {
      await out.line(`${doubtful('held')}: record ${count(index)} is in the hands of a writer that is stopped or dead; the `
        + 'next opening for writing frees it');
    }
    await out.line({ ok: good, torn: doubtful, corrupt: bad }[outcome](outcome));
    return EXITS[outcome];
  } finally {
    await store.close();
  }
}

/** What is wrong with a record. */
function damageOf(store: TypedStore, index: number): Damage {
  try {
    store.get(index);
  } catch (error) {
    if (!VarveError.is(error)) throw error;
    return { index, code: error.code, message: error.message };
  }
  return { index, code: 'ERR_VARVE_CORRUPT', message: 'it was, and somebody has replaced it meanwhile' };
}
