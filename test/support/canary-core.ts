/**
 * Cores that are compiled for a test alone: with a bug on purpose (`isDefined(CANARY_…)` in assembly/), or from sources
 * in which no such bug is mentioned. Nothing is written; the build and the package know nothing of them.
 */
import { compile } from '../../scripts/lib/asc.mjs';
import { Core, type CoreExports } from '../../host/core/core.ts';
import { BUILDS, type BuildName } from './disassemble.ts';
import { readSource, sourcesBelow } from './repository.ts';

/** Bugs of the core, by the name that `--use` defines. */
export const CORE_CANARIES = ['CANARY_CRC', 'CANARY_BATCH', 'CANARY_STABLE', 'CANARY_TAKE'] as const;
const MENTION = /!?isDefined\(CANARY_\w+\) (&&|\|\|) /g;

async function wasmOf(build: BuildName, args: readonly string[], sources?: ReadonlyMap<string, string>) {
  const outputs = await compile(['--config', 'asconfig.json', '--target', build, ...args], sources);
  return outputs.get(BUILDS[build]) as Uint8Array<ArrayBuffer>;
}

/** A build from sources without any mention of a canary; also how many mentions there were. */
export async function buildWithoutCanaries(build: BuildName) {
  const sources = new Map<string, string>();
  let mentions = 0;
  for (const { path } of sourcesBelow('assembly')) {
    const { text } = readSource(path);
    mentions += text.match(MENTION)?.length ?? 0;
    sources.set(path, text.replace(MENTION, ''));
  }
  return { mentions, sources, wasm: await wasmOf(build, [], sources) };
}

export type CoreCanary = (typeof CORE_CANARIES)[number];

/** The module with one of the bugs, for the core of another process. */
export function canaryWasm(name: CoreCanary): Promise<Uint8Array<ArrayBuffer>> {
  return wasmOf('simd', ['--use', `${name}=1`]);
}

/** A core with one of the bugs. */
export async function canaryCore(name: CoreCanary, memoryBytes: number): Promise<Core> {
  const core = new Core({ variant: 'simd', memoryBytes });
  const module = new WebAssembly.Module(await canaryWasm(name));
  const instance = new WebAssembly.Instance(module, { env: { memory: core.memory.memory as WebAssembly.Memory } });
  const exports = instance.exports as unknown as CoreExports;
  exports.init();
  return Object.assign(core, { exports });
}
