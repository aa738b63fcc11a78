/**
 * A part of the demo: the same records, taken in by several processes, each into its own log of a group, while epochs
 * go by and a checkpoint is made. One process is killed in the midst of it. What recovery gives - the checkpoint's
 * state and the entries behind it - must be exactly what was appended, in order; the rest is appended then, and the
 * totals are those of the input.
 */
import type { Command } from 'commander';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { RecordLog, WalGroup, type WalEntry, type WalWriter } from '../index.ts';
import type { Run } from './context.ts';
import { Mismatch, timed, type Step } from './demo-steps.ts';
import { Exit } from './exit.ts';
import { integerFrom } from './parse.ts';

const INGESTER = 'demo-ingester';
const CORES = 3;
/** The core whose process is killed. */
const VICTIM = 0;
const EPOCH_MS = 10;
const COMMIT_RECORDS = 1000;
/** So many records come between the victim's pauses, from when it says that it can be killed. */
const VICTIM_RECORDS = 100;

/** What the part has to tell beside its steps. */
export interface GroupResult {
  readonly processes: number;
  /** Records of the killed process that were kept, and of how many. */
  readonly killedAfter: number;
  readonly killedOf: number;
  /** The epoch at the end. */
  readonly epoch: number;
  readonly checkpointEpoch: number;
  /** Entries that recovery replayed behind the checkpoint. */
  readonly replayed: number;
  /** Records, their bytes, and the sum of their distances, at the end. */
  readonly totals: Omit<Totals, 'last'>;
}

/** What is made of the entries: it goes into the checkpoint. */
interface Totals {
  records: number;
  bytes: number;
  miles: number;
  /** Of each core the LSN of the last record in the log that it comes from. */
  readonly last: number[];
}

/** Records of a core's process: LSNs of the log that the demo has made before. */
interface Part {
  readonly from: number;
  readonly to: number;
}

const keyOf = (lsn: number): string => `record/${lsn}`;
const sourceOf = (core: number): string => `part-${core}`;

function milesOf(text: string): number {
  return Number(/"distance":(\d+)/.exec(text)?.[1] ?? 0);
}

function partsOf(records: number): Part[] {
  return Array.from({ length: CORES }, (_, core) => ({
    from: Math.floor(records * core / CORES) + 1, to: Math.floor(records * (core + 1) / CORES),
  }));
}

/** Adds entries up; each must be the record that its key says, and the next one of its core. */
function addUp(totals: Totals, entries: Iterable<WalEntry>, texts: readonly string[]): number {
  let count = 0;
  for (const { core, type, key, value } of entries) {
    count++;
    if (type !== 'put') continue;
    const lsn = ++totals.last[core]!;
    const text = texts[lsn - 1]!;
    if (Buffer.from(key).toString() !== keyOf(lsn) || Buffer.from(value).toString() !== text) {
      throw new Mismatch(`core ${core} of the group does not hold record ${lsn} where it should`);
    }
    totals.records++;
    totals.bytes += value.length;
    totals.miles += milesOf(text);
  }
  return count;
}

/** Makes a group in `directory` of the records in the log `log`, whose texts are given. */
export async function demoGroup(
  steps: Step[], directory: string, log: string, texts: readonly string[],
): Promise<GroupResult> {
  const parts = partsOf(texts.length);
  const nothing = (): Totals => ({ records: 0, bytes: 0, miles: 0, last: parts.map(({ from }) => from - 1) });
  let group = await WalGroup.create(directory, { cores: CORES });
  try {
    const checkpointEpoch = await timed(steps, `group: put by ${CORES} processes, one killed`, async () => {
      const epoch = await ingest(group, log, parts, (upTo) => {
        const totals = nothing();
        addUp(totals, group.merge({ upTo }), texts);
        return JSON.stringify(totals);
      });
      const { cores } = group.stats();
      return {
        value: epoch, records: cores.reduce((sum, core) => sum + core.lastSequence, 0),
        bytes: cores.reduce((sum, core) => sum + core.position, 0),
      };
    });
    await group.close();
    group = await WalGroup.open(directory);
    const { totals, replayed } = await timed(steps, 'group: recover and replay', async () => {
      const recovery = await group.recover();
      const state = recovery.checkpoint?.readState().toString();
      if (state === undefined) throw new Mismatch('the checkpoint of the group is gone');
      const recovered = JSON.parse(state) as Totals;
      const { bytes } = recovered;
      const entries = addUp(recovered, recovery.entries(), texts);
      return { value: { totals: recovered, replayed: entries }, records: entries, bytes: recovered.bytes - bytes };
    });
    const { from, to } = parts[VICTIM]!;
    const killedAfter = totals.last[VICTIM]! - from + 1;
    await finish(group, totals, to, texts);
    requireWhole(totals, texts);
    await timed(steps, 'group: check', () => {
      const { outcome, because, cores } = group.check();
      if (outcome !== 'ok') throw new Mismatch(`check says ${outcome}: ${because}`);
      return {
        value: undefined, records: cores.reduce((sum, { entries }) => sum + entries, 0),
        bytes: cores.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    });
    const { records, bytes, miles } = totals;
    return {
      processes: CORES, killedAfter, killedOf: to - from + 1, epoch: group.epoch, checkpointEpoch, replayed,
      totals: { records, bytes, miles },
    };
  } finally {
    await group.close();
  }
}

/** Appends what the killed process had not. */
async function finish(group: WalGroup, totals: Totals, to: number, texts: readonly string[]): Promise<void> {
  const writer = group.writer(VICTIM);
  const begun = writer.sequence + 1;
  for (let lsn = totals.last[VICTIM]! + 1; lsn <= to; lsn++) writer.put(keyOf(lsn), texts[lsn - 1]!);
  await group.syncAll();
  addUp(totals, group.merge({ core: VICTIM, from: begun }), texts);
}

function requireWhole({ records, bytes, miles }: Totals, texts: readonly string[]): void {
  const expected = {
    records: texts.length,
    bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    miles: texts.reduce((sum, text) => sum + milesOf(text), 0),
  };
  if (records === expected.records && bytes === expected.bytes && miles === expected.miles) return;
  throw new Mismatch(`the group holds ${records} records of ${bytes} bytes over ${miles} miles, the input `
    + `${expected.records} of ${expected.bytes} over ${expected.miles}`);
}

/** Lets the processes work, makes a checkpoint half-way, kills one, and returns the epoch of the checkpoint. */
async function ingest(
  group: WalGroup, log: string, parts: readonly Part[], stateOf: (epoch: number) => string,
): Promise<number> {
  const processes = parts.map(({ from, to }, core) => {
    const place = [core, from, to].map(String);
    return fork(process.argv[1]!, [INGESTER, group.directory, log, ...place], { execArgv: [] });
  });
  const ends = processes.map((each) => once(each, 'exit') as Promise<[number | null]>);
  const epochs = setInterval(() => { group.advanceEpoch(); }, EPOCH_MS);
  try {
    await Promise.all(processes.map((each, core) => told(each, ends[core]!)));
    const { epoch } = await group.checkpoint({ state: (cut) => stateOf(cut.epoch) });
    const victim = told(processes[VICTIM]!, ends[VICTIM]!);
    for (const each of processes) each.send('go');
    await victim;
    processes[VICTIM]!.kill('SIGKILL');
    for (const [core, end] of ends.entries()) {
      const [code] = await end;
      if (core !== VICTIM && code !== 0) throw new Mismatch(`the process of core ${core} ended with ${code}`);
    }
    return epoch;
  } finally {
    clearInterval(epochs);
    for (const each of processes) each.kill('SIGKILL');
    for (const end of ends) end.catch(() => undefined);
  }
}

/** Resolves with the next message of a process; rejects where it ends before. */
async function told(child: ChildProcess, end: Promise<[number | null]>): Promise<void> {
  const ended = end.then(([code]) => { throw new Mismatch(`a process of the group ended with ${code}`); });
  ended.catch(() => undefined);
  await Promise.race([once(child, 'message'), ended]);
}

/** The process of a core: a command that the demo starts, and that no help shows. */
export function declareDemoIngester(program: Command, run: Run): void {
  const integer = integerFrom(0);
  program.command(`${INGESTER} <dir> <log> <core> <from> <to>`, { hidden: true })
    .action((directory: string, log: string, core: string, from: string, to: string) => run(() => (
      append(directory, log, integer(core), { from: integer(from), to: integer(to) }))));
}

async function append(directory: string, log: string, core: number, { from, to }: Part): Promise<Exit> {
  process.once('disconnect', () => process.exit());
  const records = await RecordLog.open(log, { readOnly: true });
  const writer = await WalGroup.attach(directory, core);
  const half = from + Math.floor((to - from + 1) / 2);
  for (const { lsn, payload } of records.scan({ from, to: half - 1 })) await put(writer, lsn, payload);
  process.send?.('half');
  await once(process, 'message');
  const late = half + Math.floor((to - half + 1) / 2);
  for (const { lsn, payload } of records.scan({ from: half, to })) {
    if (core === VICTIM && lsn === late) process.send?.('kill me');
    if (core === VICTIM && lsn >= late && lsn % VICTIM_RECORDS === 0) await setTimeout(1);
    await put(writer, lsn, payload);
  }
  await writer.close();
  await records.close();
  // Whoever is to be killed waits for it.
  if (core !== VICTIM) process.disconnect?.();
  else if (from > to) process.send?.('nothing to do');
  return Exit.Ok;
}

/** Appends a record; now and then a commit of how far it has come, and a turn of the event loop. */
function put(writer: WalWriter, lsn: number, payload: Uint8Array): Promise<void> | void {
  writer.put(keyOf(lsn), payload);
  if (lsn % COMMIT_RECORDS !== 0) return;
  writer.commit({ [sourceOf(writer.core)]: lsn });
  return setImmediate();
}
