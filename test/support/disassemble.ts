/**
 * The release builds as text, for tests that must know what the optimizer left: the body of an exported function, and
 * how often an instruction is in it. Functions that the optimizer inlined are part of the body, called ones are not.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import wabt from 'wabt';
import { ROOT } from './repository.ts';

/** The release builds, by name. */
export const BUILDS = { baseline: 'build/core.wasm', simd: 'build/core.simd.wasm' } as const;
export type BuildName = keyof typeof BUILDS;

/** Returns the bytes of a release build. */
export function readBuild(build: BuildName): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(join(ROOT, BUILDS[build])));
}

export class Disassembly {
  /** Bodies by index, one instruction a line, without indentation. */
  private readonly bodies = new Map<number, string[]>();
  private readonly exported = new Map<string, number>();

  constructor(text: string) {
    // The parts of a module begin at two spaces; the parenthesis that ends a part stands at the end of its last line.
    for (const part of text.split(/\n(?= {2}\()/)) {
      const func = /^ {2}\(func \(;(\d+);\)/.exec(part);
      const name = /^ {2}\(export "([^"]+)" \(func (\d+)\)\)/.exec(part);
      if (func !== null) this.bodies.set(Number(func[1]), instructionsOf(part));
      if (name !== null) this.exported.set(name[1] as string, Number(name[2]));
    }
  }

  /** Names of the exported functions. */
  get names(): string[] {
    return [...this.exported.keys()].sort();
  }

  /** Returns the instructions of an exported function, in order; throws where there is none. */
  instructions(name: string): string[] {
    const body = this.bodies.get(this.exported.get(name) ?? -1);
    if (body === undefined) throw new Error(`no exported function ${name}; there are ${this.names.join(', ')}`);
    return body;
  }

  /** Returns the instructions of a function by its index, as `calls` gives them. */
  body(index: number): string[] {
    const body = this.bodies.get(index);
    if (body === undefined) throw new Error(`no function ${index}`);
    return body;
  }

  /** Counts the instructions whose name is `opcode`: 'i64.atomic.load'. */
  count(name: string, opcode: string): number {
    return this.instructions(name).filter((line) => line === opcode || line.startsWith(`${opcode} `)).length;
  }

  /** Returns the indices of the functions that an exported one calls directly. */
  calls(name: string): number[] {
    return this.instructions(name).flatMap((line) => /^call (\d+)/.exec(line)?.[1] ?? []).map(Number);
  }
}

function instructionsOf(func: string): string[] {
  return func.trimEnd().replace(/\)$/, '').split('\n').slice(1).map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('(local '));
}

/** Disassembles wasm bytes. */
export async function disassemble(bytes: Uint8Array): Promise<Disassembly> {
  const tools = await wabt();
  const module = tools.readWasm(bytes, { readDebugNames: false, threads: true, simd: true, bulk_memory: true,
    mutable_globals: true, sat_float_to_int: true, sign_extension: true });
  try {
    return new Disassembly(module.toText({ foldExprs: false, inlineExport: false }));
  } finally {
    module.destroy();
  }
}

/** Disassembles a release build. */
export function disassembleBuild(build: BuildName): Promise<Disassembly> {
  return disassemble(readBuild(build));
}
