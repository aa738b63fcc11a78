/**
 * `varve dump`: the bytes of a store with the names of their fields: CONTROL's groups, each segment's header, frames
 * and footer, and whatever is damaged in between. It looks at the files alone, so that it works on any wreck.
 */
import type { Command } from 'commander';
import { basename, resolve } from 'node:path';
import { Core } from '../../index.ts';
import {
  Frame, FRAME_HEADER_BYTES, Kind, SegmentFooter, SegmentHeader, Status, STORE_KIND_KEY_VALUE, STORE_KIND_RECORD_LOG,
} from '../../generated/abi.ts';
import { realStorage } from '../../io/real-storage.ts';
import { framesOf, type FramePiece } from '../../log/frames.ts';
import type { SegmentFacts, StoreInspector, Structure } from '../../log/inspect.ts';
import { openReader } from '../../log/open.ts';
import { statusName } from '../../log/segments.ts';
import { declare, inspect, type Context, type Run } from '../context.ts';
import { Exit, UsageError } from '../exit.ts';
import { bad, bold, dim } from '../format.ts';
import { fieldLines, fieldsOf, hexLines } from '../hex.ts';
import { isKeyValueStore } from '../kv/store.ts';
import { integerFrom } from '../parse.ts';
import { dumpTyped, type TypedDumpOptions } from '../typed/dump.ts';
import { isTypedPath, SCHEMA_OPTION } from '../typed/open.ts';

type Options = TypedDumpOptions;

const EXCERPT_BYTES = 64;
const MAPPED_BYTES_MAX = 1 << 30;
const KIND_NAMES: Readonly<Record<number, string>> = {
  [Kind.Raw]: 'raw', [Kind.Put]: 'put', [Kind.Delete]: 'delete',
  [Kind.PutMeta]: 'put-meta', [Kind.Clear]: 'clear', [Kind.Lost]: 'lost',
};

export function declareDump(program: Command, run: Run): void {
  declare(program, {
    usage: 'dump <path>',
    summary: 'print the bytes of a log with the names of their fields, or the records of a typed file',
    description: 'CONTROL, then each segment: header, frames with the first 64 bytes of key and payload, footer. Damage '
      + 'is shown where it lies and the exit code is then 3; what an interrupted write left at the end is not damage. Of a '
      + 'typed file the records, as columns, CSV or JSON, where bytes are hexadecimal and integers above 2^53 - 1 text.',
    examples: [
      'varve dump ./log --limit 3', 'varve dump ./log --from 1000 --to 1001', 'varve dump ./log --json',
      'varve dump ./ticks.varve --csv > ticks.csv', 'varve dump ./ticks.mmf --schema tick.json --limit 10',
    ],
  })
    .option('--from <n>', 'first LSN, or first record of a typed file (default: the oldest)', integerFrom(0))
    .option('--to <n>', 'the last one, inclusive (default: the newest)', integerFrom(0))
    .option('--limit <n>', 'print at most n frames or records', integerFrom(0))
    .option(...SCHEMA_OPTION)
    .option('--csv', 'records of a typed file as CSV')
    .option('--json', 'one object a line, schema varve.dump.v1, or varve.typed-record.v1')
    .action((path: string, options: Options) => run((context) => (
      isTypedPath(path) ? dumpTyped(context, path, options) : dump(context, path, options))));
}

/** Where an interrupted write begins, as the log's own examination sees it. */
interface Tail {
  readonly segment: number;
  readonly offset: number;
}

async function dump(context: Context, directory: string, options: Options): Promise<Exit> {
  if (options.csv === true) throw new UsageError('--csv goes with a typed file');
  const inspector = inspect(directory);
  const tail = tailOf(directory);
  const printer = options.json === true ? new JsonPrinter(context) : new TextPrinter(context);
  const control = inspector.control();
  let damaged = false;
  for (const structure of control?.structures ?? []) {
    await printer.structure('control', control!.path, structure);
    damaged ||= structure.state === 'damaged' && !structure.name.startsWith('marks');
  }
  const live = control?.writer?.live === true;
  const segments = inspector.segments();
  let left = options.limit ?? Infinity;
  for (const [at, segment] of segments.entries()) {
    const lastLsn = (segments[at + 1]?.baseLsn ?? Infinity) - 1;
    if (lastLsn < (options.from ?? 1) || segment.baseLsn > (options.to ?? Infinity)) continue;
    if (left <= 0) break;
    const missing = missingBefore(segments[at - 1], segment);
    if (missing !== undefined) await printer.missing(segments[at - 1]!, missing, segment.baseLsn - 1);
    damaged ||= missing !== undefined;
    const lsnMax = live ? Math.min(lastLsn, control?.committedLsn ?? Infinity) : Infinity;
    const result = await dumpSegment(inspector, segment, printer, { ...options, left, lsnMax, tail });
    left -= result.frames;
    damaged ||= result.damaged;
  }
  await context.out.flush();
  return damaged ? Exit.Corrupt : Exit.Ok;
}

/** `undefined` where there is none; a log too damaged to be examined has damage, not a torn tail. */
function tailOf(directory: string): Tail | undefined {
  const storeKind = isKeyValueStore(directory) ? STORE_KIND_KEY_VALUE : STORE_KIND_RECORD_LOG;
  const context = { core: Core.shared(), storage: realStorage(), directory: resolve(directory), readOnly: true };
  try {
    const { reader } = openReader(context, MAPPED_BYTES_MAX, storeKind);
    reader.close();
    return reader.report.tornAt;
  } catch {
    return undefined;
  }
}

interface Range extends Options {
  readonly left: number;
  readonly lsnMax: number;
  readonly tail: Tail | undefined;
}

async function dumpSegment(
  inspector: StoreInspector, segment: SegmentFacts, printer: TextPrinter, range: Range,
): Promise<{ readonly frames: number; readonly damaged: boolean }> {
  const { from = 1, to = Infinity, left, lsnMax, tail } = range;
  // Whole segments behind a torn place were never part of the log either.
  const torn = (offset: number) => tail !== undefined && (segment.baseLsn > tail.segment
    || (segment.baseLsn === tail.segment && offset >= tail.offset));
  let damaged = segment.headerStatus !== Status.Ok && !torn(0);
  let frames = 0;
  await printer.structure('segment', segment.path, headerOf(segment));
  const file = inspector.open(segment);
  try {
    for (const piece of framesOf(file, segment, lsnMax)) {
      if (piece.lsn > to || frames >= left) return { frames, damaged };
      if (piece.type === 'damage') {
        if ((piece.nextLsn ?? Infinity) <= from) continue;
        damaged ||= !torn(piece.offset);
        await printer.damage(segment, piece, torn(piece.offset));
      } else if (piece.lsn >= from) {
        frames++;
        await printer.frame(segment, piece);
      }
    }
  } finally {
    file.close();
  }
  const footer = footerOf(segment);
  if (footer !== undefined) await printer.structure('segment', segment.path, footer);
  return { frames, damaged: damaged || footer?.state === 'damaged' };
}

/** First of the LSNs that neither a sealed segment nor the next one holds. */
function missingBefore(before: SegmentFacts | undefined, segment: SegmentFacts): number | undefined {
  if (before?.footer === undefined) return undefined;
  const next = before.baseLsn + before.footer.records;
  return next < segment.baseLsn ? next : undefined;
}

function headerOf({ headerBytes, headerStatus }: SegmentFacts): Structure {
  const state = headerStatus === Status.Ok ? 'valid' : 'damaged';
  return { name: 'header', offset: 0, layout: SegmentHeader, bytes: headerBytes, state };
}

function footerOf({ footerBytes, footerStatus, fileBytes }: SegmentFacts): Structure | undefined {
  if (footerBytes === undefined) return undefined;
  const state = footerStatus === Status.Ok ? 'valid' : 'damaged';
  return { name: 'footer', offset: fileBytes - footerBytes.length, layout: SegmentFooter, bytes: footerBytes, state };
}

type FrameOf = Extract<FramePiece, { type: 'frame' }>;
type DamageOf = Extract<FramePiece, { type: 'damage' }>;

/** For people: a heading, a line a field, a hexdump of key and payload. */
class TextPrinter {
  protected readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }

  async structure(_group: string, path: string, { name, offset, layout, bytes, state }: Structure): Promise<void> {
    const { out } = this.context;
    const mark = state === 'damaged' ? bad('damaged') : dim(state);
    await out.line(`${bold(`${basename(path)}: ${name}`)} at ${offset}, ${mark}`);
    for (const line of fieldLines(fieldsOf(bytes, layout), offset)) await out.line(line);
    await out.line();
  }

  async frame(segment: SegmentFacts, frame: FrameOf): Promise<void> {
    const { out } = this.context;
    const { lsn, offset, kind, flags, keyBytes, payloadBytes, stride, bytes } = frame;
    const more = flags === 0 ? '' : ', batch goes on';
    await out.line(`${bold(`${basename(segment.path)}: frame ${lsn}`)} at ${offset}, ${stride} bytes, `
      + `${KIND_NAMES[kind] ?? `kind ${kind}`}, key ${keyBytes}, payload ${payloadBytes}${more}`);
    for (const line of fieldLines(fieldsOf(bytes, Frame), offset)) await out.line(line);
    const body = bytes.subarray(FRAME_HEADER_BYTES);
    for (const line of hexLines(body.subarray(0, EXCERPT_BYTES), offset + FRAME_HEADER_BYTES)) await out.line(line);
    if (body.length > EXCERPT_BYTES) await out.line(dim(`  … ${body.length - EXCERPT_BYTES} bytes more`));
    await out.line();
  }

  async damage(segment: SegmentFacts, damage: DamageOf, torn: boolean): Promise<void> {
    const { out } = this.context;
    const { offset, lsn, length, status, nextLsn, bytes } = damage;
    const what = torn ? 'torn tail' : bad('damaged');
    const next = nextLsn === undefined ? 'no valid frame follows' : `the next valid frame is ${nextLsn}`;
    await out.line(`${bold(`${basename(segment.path)}: frame ${lsn}`)} at ${offset}, ${what} (${statusName(status)}), `
      + `${length} bytes; ${next}`);
    for (const line of hexLines(bytes, offset)) await out.line(line);
    await out.line();
  }

  async missing(before: SegmentFacts, firstLsn: number, lastLsn: number): Promise<void> {
    const { out } = this.context;
    await out.line(`${bold(`behind ${basename(before.path)}`)}: records ${firstLsn} to ${lastLsn} ${bad('missing')}`);
    await out.line();
  }
}

/** For programs: an object a line. */
class JsonPrinter extends TextPrinter {
  private json(type: string, path: string, rest: object): Promise<void> {
    return this.context.out.json({ schema: 'varve.dump.v1', type, file: basename(path), ...rest });
  }

  override async structure(
    group: string, path: string, { name, offset, layout, bytes, state }: Structure,
  ): Promise<void> {
    const fields = Object.fromEntries(fieldsOf(bytes, layout).map((field) => [field.name, field.value]));
    await this.json(group, path, { name, offset, state, fields, hex: Buffer.from(bytes).toString('hex') });
  }

  override async frame(segment: SegmentFacts, frame: FrameOf): Promise<void> {
    const { type, bytes, ...rest } = frame;
    const fields = Object.fromEntries(fieldsOf(bytes, Frame).map((field) => [field.name, field.value]));
    const hex = Buffer.from(bytes.subarray(0, FRAME_HEADER_BYTES + EXCERPT_BYTES)).toString('hex');
    await this.json(type, segment.path, { ...rest, fields, hex });
  }

  override async damage(segment: SegmentFacts, damage: DamageOf, torn: boolean): Promise<void> {
    const { type, bytes, status, ...rest } = damage;
    const hex = Buffer.from(bytes).toString('hex');
    await this.json(torn ? 'torn' : type, segment.path, { ...rest, status: statusName(status), hex });
  }
  override async missing(before: SegmentFacts, firstLsn: number, lastLsn: number): Promise<void> {
    await this.json('missing', before.path, { firstLsn, lastLsn });
  }
}
