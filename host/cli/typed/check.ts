/**
 * `varve check FILE`: reads every record of a typed file and lists those that cannot be read.
 */
import { VarveError } from '../../index.ts';
import type { Context } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, good, plural, sizeExact, throughput, time } from '../format.ts';
import { startProgress } from '../progress.ts';
import { openTyped } from './open.ts';

export interface TypedCheckOptions {
  readonly schema?: string;
  readonly json?: true;
}

/** A record that cannot be read. */
interface Trouble {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

const EXITS = { ok: Exit.Ok, torn: Exit.Torn, corrupt: Exit.Corrupt } as const;
/** Records between two looks at the progress. */
const RUN = 4096;

export async function checkTyped(context: Context, path: string, options: TypedCheckOptions): Promise<Exit> {
  const { store, facts } = await openTyped(path, options.schema);
  try {
    const begun = performance.now();
    const { length } = store;
    const progress = startProgress('checking', length * facts.stride, options.json === true);
    const held: Trouble[] = [];
    const damaged: Trouble[] = [];
    try {
      const record = {};
      for (let index = 0; index < length; index++) {
        if (index % RUN === 0) progress.update(index * facts.stride);
        try {
          store.get(index, record);
        } catch (error) {
          if (!VarveError.is(error)) throw error;
          const { code, message } = error;
          if (code === 'ERR_VARVE_CONTENTION') held.push({ index, code, message });
          else if (error.kind === 'corruption') damaged.push({ index, code, message });
          else throw error;
        }
      }
    } finally {
      progress.stop();
    }
    const seconds = (performance.now() - begun) / 1000;
    const outcome = damaged.length > 0 ? 'corrupt' : held.length > 0 ? 'torn' : 'ok';
    const intact = length - held.length - damaged.length;
    const { out } = context;
    if (options.json === true) {
      await out.json({
        schema: 'varve.check-typed.v1', path: facts.path, format: facts.format, outcome, records: length, intact, held,
        damaged, seconds,
      });
      return EXITS[outcome];
    }
    const bytes = length * facts.stride;
    await out.line(`${plural(intact, 'intact record')} of ${count(length)} in ${facts.path}`);
    await out.line(`${sizeExact(bytes)} checked in ${time(seconds)}: ${throughput(bytes, seconds)}`);
    for (const { index, code, message } of damaged) {
      await out.line(`${bad('damaged')}: record ${count(index)}: ${code}: ${message}`);
    }
    for (const { index } of held) {
      await out.line(`${doubtful('held')}: record ${count(index)} is in the hands of a writer that is stopped or dead; the `
        + 'next opening for writing frees it');
    }
    await out.line({ ok: good, torn: doubtful, corrupt: bad }[outcome](outcome));
    return EXITS[outcome];
  } finally {
    await store.close();
  }
}
