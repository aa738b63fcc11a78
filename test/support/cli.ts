/**
 * Running the built command line as its users do: a child process, its output, its exit code.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RecordLog, type RecordInput } from '../../host/index.ts';

export const CLI = fileURLToPath(new URL('../../dist/esm/cli.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** Standard output, undecoded. */
  readonly bytes: Buffer;
  readonly stderr: string;
}

/** Starts the command; what this process's environment says of colours does not count, what `colours` says does. */
export function start(
  args: readonly string[], colours: { readonly [name: string]: string } = {},
): ChildProcessWithoutNullStreams {
  const env = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, ...colours };
  return spawn(process.execPath, [CLI, ...args], { env });
}

/** Waits for the end of a command. */
export function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => { stdout.push(chunk); });
  child.stderr.on('data', (chunk: Buffer) => { stderr.push(chunk); });
  // A command that does not read its input closes it.
  child.stdin.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const bytes = Buffer.concat(stdout);
      resolve({ code, signal, stdout: bytes.toString(), bytes, stderr: Buffer.concat(stderr).toString() });
    });
  });
}

/** Runs a command to its end with `input` as its standard input. */
export function varve(args: readonly string[], input: Uint8Array | string = ''): Promise<Ended> {
  const child = start(args);
  const end = ended(child);
  child.stdin.end(input);
  return end;
}

/** Runs a command and reads what it prints as JSON, a value a line. */
export async function varveJson(args: readonly string[], input = ''): Promise<Ended & { readonly json: unknown[] }> {
  const end = await varve([...args, '--json'], input);
  const lines = end.stdout.split('\n');
  return { ...end, json: lines.slice(0, -1).map((line) => JSON.parse(line) as unknown) };
}

/** Makes a closed log of some records. */
export async function makeLog(
  directory: string, records: readonly (string | Uint8Array | RecordInput)[], segmentBytes = 65536,
): Promise<string> {
  await using log = await RecordLog.open(directory, { segmentBytes });
  for (const record of records) log.appendBatch([record]);
  return directory;
}

/** The paths of the segments of a log, in order. */
export function segmentsOf(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.seg')).sort().map((name) => join(directory, name));
}

/** Changes a file. */
export function edit(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(path);
  writeFileSync(path, change(bytes) ?? bytes);
}

/** Flips a bit of the first place where `text` stands in a file. */
export function damage(path: string, text: string): void {
  edit(path, (bytes) => {
    const at = bytes.indexOf(text);
    if (at < 0) throw new Error(`${path} does not hold '${text}'`);
    bytes[at] = bytes[at]! ^ 1;
    return bytes;
  });
}

/** Puts noise behind the last record of a log, as an interrupted write does. */
export function tear(directory: string): void {
  edit(segmentsOf(directory).at(-1)!, (bytes) => Buffer.concat([bytes, Buffer.from('noise of a torn write')]));
}

/** Copies the files of a directory to a new one. */
export function copyDirectory(from: string, to: string): string {
  mkdirSync(to);
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
  return to;
}
