/**
 * `varve stat FILE`: what a typed file holds and in which state it is.
 */
import type { TypedFacts } from '../../typed/inspect.ts';
import { encodeSchema } from '../../typed/schema-text.ts';
import type { Field } from '../../typed/schema.ts';
import type { Context } from '../context.ts';
import { Exit } from '../exit.ts';
import { count, date, doubtful, facts, good, plural, sizeExact, table } from '../format.ts';
import { factsOf } from './open.ts';

export interface TypedStatOptions {
  readonly schema?: string;
  readonly json?: true;
}

export async function statTyped({ out }: Context, path: string, options: TypedStatOptions): Promise<Exit> {
  const found = await factsOf(path, options.schema);
  if (options.json === true) {
    await out.json(toJson(found));
    return Exit.Ok;
  }
  const { schema } = found;
  await out.line(facts([
    ['file', found.path],
    ['format', found.format],
    ...(found.storeId === undefined ? [] : [['id', found.storeId] as const]),
    ...(found.createdAt === undefined ? [] : [['created', date(found.createdAt)] as const]),
    ['schema', `${schema.name}, version ${schema.version}, hash ${found.schemaHash}`],
    ['records', recordsText(found)],
    ['features', featuresText(found)],
    ['bytes', sizeExact(found.fileBytes)],
    ['metadata', plural(found.metadataBytes, 'byte')],
    ['writer', writerText(found)],
  ]));
  await out.line(table(['field', 'type', 'more'], Object.entries(schema.fields).map(([name, field]) => (
    [name, field.type, moreOf(field)])), []));
  return Exit.Ok;
}

function toJson({ schema, ...rest }: TypedFacts): object {
  const { createdAt, writer, storeId } = rest;
  return {
    ...{ schema: 'varve.stat-typed.v1', ...rest },
    storeId: storeId ?? null,
    createdAt: createdAt === undefined ? null : new Date(createdAt).toISOString(),
    writer: writer ?? null,
    recordSchema: JSON.parse(Buffer.from(encodeSchema(schema)).toString()) as unknown,
  };
}

function recordsText({ first, length, stride, capacity, ring }: TypedFacts): string {
  const bytes = `of ${stride} bytes`;
  if (!ring) return `${count(length)} ${bytes}, room for ${count(capacity)}`;
  return `${count(length - first)} ${bytes}, the last of ${count(length)}; a ring of ${count(capacity)}`;
}

function featuresText({ checksums, ring }: TypedFacts): string {
  return [...(checksums ? ['checksums'] : []), ...(ring ? ['ring'] : [])].join(', ') || 'none';
}

/** Who writes, as far as the file and the process table say. */
function writerText({ format, writer }: TypedFacts): string {
  if (format === 'mmfg-1') return 'unknown: the format does not say';
  if (writer === undefined) return doubtful('none, or its checksum is wrong');
  const { epoch, open, pid, alive, writers } = writer;
  const whose = `epoch ${epoch}, process ${pid}`;
  if (!open) return `${good('closed')} by ${whose}`;
  if (writers === 'many') return `open for many writers since ${whose}`;
  return alive ? `open, ${whose}` : doubtful(`not closed by ${whose}, which is gone`);
}

/** What a field is beside its type. */
function moreOf(field: Field): string {
  const { type: _type, as: _as, ...more } = field;
  return Object.entries(more).map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(', ');
}
