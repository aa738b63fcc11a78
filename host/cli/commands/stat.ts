/**
 * `varve stat`: what a store is and in which state. Takes no lock, creates nothing, and costs what the unsealed tail
 * costs: sealed segments are believed; `varve check` reads them.
 */
import type { Command } from 'commander';
import { basename } from 'node:path';
import { RecordLog, type CursorInfo, type RecoveryReport } from '../../index.ts';
import { FRAMES_OFFSET, Status, STORE_KIND_KEY_VALUE, STORE_KIND_RECORD_LOG } from '../../generated/abi.ts';
import { idText, type ControlFacts, type SegmentFacts } from '../../log/inspect.ts';
import { declare, inspect, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, date, doubtful, facts, good, plural, size, sizeExact, table } from '../format.ts';
import { statKeyValue } from '../kv/state.ts';
import { isKeyValueStore } from '../kv/store.ts';
import { isTypedPath, SCHEMA_OPTION } from '../typed/open.ts';
import { statTyped, type TypedStatOptions } from '../typed/stat.ts';
import { isGroup, refuseCore } from '../wal/group.ts';
import { statGroup } from '../wal/stat.ts';

type Options = TypedStatOptions;

/** A row of the table of segments. */
interface SegmentRow {
  readonly file: string;
  readonly baseLsn: number;
  readonly records: number;
  /** Bytes of frames. */
  readonly bytes: number;
  readonly fileBytes: number;
  readonly state: 'active' | 'sealed' | 'unsealed' | 'damaged';
  readonly synced: boolean;
  readonly epoch: number | null;
  readonly createdAt: string | null;
  readonly sealedAt: string | null;
}

const KIND_NAMES: Readonly<Record<number, string>> = {
  [STORE_KIND_RECORD_LOG]: 'record-log', [STORE_KIND_KEY_VALUE]: 'key-value',
};

const OUTCOMES: Readonly<Record<RecoveryReport['outcome'], { readonly exit: Exit; readonly colour: typeof good }>> = {
  created: { exit: Exit.Ok, colour: good },
  whole: { exit: Exit.Ok, colour: good },
  cut: { exit: Exit.Torn, colour: doubtful },
  truncate: { exit: Exit.Torn, colour: doubtful },
  corrupt: { exit: Exit.Corrupt, colour: bad },
};

export function declareStat(program: Command, run: Run): void {
  declare(program, {
    usage: 'stat <path>',
    summary: 'show what a store holds and in which state it is',
    description: 'Store, writer, LSNs, segments, cursors, and what recovery would find. Exit code 2 for a torn tail, 3 where '
      + 'synced records are damaged or missing. Of a key-value store what `varve kv stat` shows, of a group what `varve wal stat` does; of a typed file: format, schema, records, writer.',
    examples: ['varve stat ./log', 'varve stat ./log --json | jq .lastLsn', 'varve stat ./ticks.varve'],
  })
    .option(...SCHEMA_OPTION)
    .option('--json', 'print one JSON object, schema varve.stat.v1, varve.kv-stat.v1, varve.wal-stat.v1 or '
      + 'varve.stat-typed.v1')
    .action((path: string, options: Options) => run((context) => (
      isTypedPath(path) ? statTyped(context, path, options) : stat(context, path, options))));
}

async function stat(context: Context, directory: string, options: Options): Promise<Exit> {
  if (isKeyValueStore(directory)) return statKeyValue(context, directory, options);
  if (isGroup(directory)) return statGroup(context, directory, options);
  refuseCore(directory, 'varve wal stat DIR');
  const log = await RecordLog.open(directory, { readOnly: true });
  try {
    const inspector = inspect(directory);
    const control = inspector.control();
    const files = inspector.segments();
    const rows = files.map((file, at) => segmentRow(file, files[at + 1], log, control));
    if (options.json === true) await context.out.json(toJson(log, control, files, rows));
    else await print(context, log, control, files, rows);
    return OUTCOMES[log.recovery.outcome].exit;
  } finally {
    await log.close();
  }
}

function segmentRow(
  file: SegmentFacts, next: SegmentFacts | undefined, log: RecordLog, control: ControlFacts | undefined,
): SegmentRow {
  const { header, footer, baseLsn } = file;
  const nextLsn = next === undefined ? log.lastLsn + 1 : Math.min(next.baseLsn, log.lastLsn + 1);
  const end = next?.header?.basePosition ?? log.position;
  const active = next === undefined && control?.writer?.live === true;
  return {
    file: basename(file.path),
    baseLsn,
    records: footer?.records ?? Math.max(0, nextLsn - baseLsn),
    bytes: footer !== undefined ? footer.dataEnd - FRAMES_OFFSET : Math.max(0, end - (header?.basePosition ?? end)),
    fileBytes: file.fileBytes,
    state: file.headerStatus !== Status.Ok ? 'damaged'
      : footer !== undefined ? 'sealed' : active ? 'active' : 'unsealed',
    synced: footer?.synced === true,
    epoch: footer?.epoch ?? header?.epoch ?? null,
    createdAt: header === undefined ? null : new Date(header.createdAt).toISOString(),
    sealedAt: footer === undefined ? null : new Date(footer.sealedAt).toISOString(),
  };
}

/** What CONTROL says of the store, or the first segment's header where CONTROL is damaged. */
function identityOf(control: ControlFacts | undefined, files: readonly SegmentFacts[]) {
  if (control?.valid === true) {
    return { id: control.storeId, kind: control.storeKind, createdAt: control.createdAt };
  }
  const header = files.find(({ headerStatus }) => headerStatus === Status.Ok)?.header;
  if (header === undefined) return undefined;
  const { idLow, idHigh, storeKind } = header.identity;
  return { id: idText(idLow, idHigh), kind: storeKind, createdAt: header.createdAt };
}

function kindName(kind: number): string {
  return KIND_NAMES[kind] ?? `kind ${kind}`;
}

function toJson(
  log: RecordLog, control: ControlFacts | undefined, files: readonly SegmentFacts[], rows: readonly SegmentRow[],
) {
  const identity = identityOf(control, files);
  const { outcome, because, evidence, closedCleanly, tornBytes, tornAt, scannedRecords } = log.recovery;
  return {
    schema: 'varve.stat.v1',
    directory: log.directory,
    storeId: identity?.id ?? null,
    kind: identity === undefined ? null : kindName(identity.kind),
    createdAt: identity === undefined ? null : new Date(identity.createdAt).toISOString(),
    writer: control?.valid === true ? control.writer ?? null : null,
    controlValid: control?.valid === true,
    epoch: log.recovery.epoch,
    firstLsn: log.firstLsn,
    lastLsn: log.lastLsn,
    durableLsn: log.durableLsn,
    records: log.length,
    position: log.position,
    durablePosition: log.durablePosition,
    fileBytes: rows.reduce((sum, row) => sum + row.fileBytes, 0),
    state: {
      outcome, because, closedCleanly, tornBytes, tornAt: tornAt ?? null, scannedRecords, evidence: evidence ?? null,
    },
    segments: rows,
    cursors: log.cursors().map((cursor) => cursorJson(cursor, log)),
  };
}

/** Records that the owner of a cursor is not done with. */
function lagOf({ lsn = 0 }: CursorInfo, log: RecordLog): number {
  return Math.max(0, log.lastLsn - Math.max(lsn, log.firstLsn - 1));
}

function cursorJson(cursor: CursorInfo, log: RecordLog) {
  const { name, lsn, savedAt, damaged } = cursor;
  if (damaged === true) return { name, damaged };
  return {
    name, lsn: lsn ?? null, lag: lagOf(cursor, log),
    savedAt: savedAt === undefined ? null : new Date(savedAt).toISOString(),
  };
}

function cursorRow(cursor: CursorInfo, log: RecordLog): string[] {
  // A name may hold anything: what a terminal would obey instead of showing it is escaped.
  const name = JSON.stringify(cursor.name)
    .replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  if (cursor.damaged === true) return [name, bad('damaged'), '-', '-'];
  const { lsn, savedAt } = cursor;
  return [
    name, lsn === undefined ? '-' : count(lsn), count(lagOf(cursor, log)), savedAt === undefined ? '-' : date(savedAt),
  ];
}

function writerText(control: ControlFacts | undefined): string {
  if (control?.valid !== true) return 'unknown: CONTROL is missing or damaged';
  const { writer } = control;
  if (writer === undefined) return 'unknown: its group in CONTROL is damaged';
  const epoch = `epoch ${writer.epoch}`;
  if (writer.live) return `process ${writer.pid} has it open, ${epoch}`;
  return writer.open ? `process ${writer.pid} ended without closing, ${epoch}`
    : `none; process ${writer.pid} closed it, ${epoch}`;
}

function segmentTable(rows: readonly SegmentRow[]): string {
  return table(
    ['segment', 'base LSN', 'records', 'frames', 'file', 'state', 'epoch'],
    rows.map((row) => [
      row.file, count(row.baseLsn), count(row.records), size(row.bytes), size(row.fileBytes),
      row.state === 'damaged' ? bad('damaged header') : row.synced ? `${row.state}, synced` : row.state,
      row.epoch === null ? '-' : String(row.epoch),
    ]), [1, 2, 3, 4, 6]);
}

async function print(
  { out }: Context, log: RecordLog, control: ControlFacts | undefined, files: readonly SegmentFacts[],
  rows: readonly SegmentRow[],
): Promise<void> {
  const identity = identityOf(control, files);
  const { outcome, because, tornAt, tornBytes } = log.recovery;
  const held = log.length === 0 ? `none; the next has LSN ${count(log.lastLsn + 1)}`
    : `${count(log.length)}: LSN ${count(log.firstLsn)} to ${count(log.lastLsn)}, durable to ${count(log.durableLsn)}`;
  const fileBytes = rows.reduce((sum, row) => sum + row.fileBytes, 0);
  const torn = tornAt === undefined ? ''
    : `; ${plural(tornBytes, 'torn byte')} at offset ${tornAt.offset} of segment ${tornAt.segment}`;
  await out.line(facts([
    ['store', log.directory],
    ['id', identity === undefined ? 'unknown' : `${identity.id}, ${kindName(identity.kind)}`],
    ['created', identity === undefined ? 'unknown' : date(identity.createdAt)],
    ['writer', writerText(control)],
    ['records', held],
    ['files', `${plural(rows.length, 'segment')}, ${sizeExact(fileBytes)}`],
    ['state', `${OUTCOMES[outcome].colour(outcome)}: ${because}${torn}`],
  ]));
  if (rows.length > 0) await out.line(segmentTable(rows));
  const cursors = log.cursors();
  if (cursors.length === 0) return;
  await out.line(table(['cursor', 'LSN', 'lag', 'saved'], cursors.map((cursor) => cursorRow(cursor, log)), [1, 2]));
}
