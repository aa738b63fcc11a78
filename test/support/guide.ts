/**
 * A guide's examples run as they stand, against the package as it is built, and print what their comments say.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSource, ROOT } from './repository.ts';

/** What an example says that it prints: the comments behind `console.log` and those that fill a line. */
function promised(code: string): string[] {
  return [...code.matchAll(/(?:console\.log\(.*\);|^) ?\/\/ (.*)$/gm)].map(([, text]) => text!);
}

/**
 * Tests the guide of that path.
 *
 * @param least how many examples it has at least
 * @param prepare makes what they need besides, in the directory that they run in
 */
export function describeGuide(
  path: string, least: number, prepare: (directory: string, guide: string) => void = () => undefined,
): void {
  const guide = readSource(path).text;
  const examples = [...guide.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code!);
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'varve-guide-'));
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(ROOT, join(directory, 'node_modules/varve'));
    prepare(directory, guide);
  });

  afterAll(() => { rmSync(directory, { recursive: true, force: true }); });

  describe('the guide', () => {
    it('has examples that print something', () => {
      expect(examples.length).toBeGreaterThanOrEqual(least);
      for (const code of examples) expect(promised(code).length).toBeGreaterThan(0);
    });

    it.each(examples.map((code, at) => [at + 1, code] as const))('tells the truth in example %i', (at, code) => {
      const file = join(directory, `example-${at}.mjs`);
      writeFileSync(file, code);
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: directory, encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout.trimEnd().split('\n')).toEqual(promised(code));
    }, 30_000);
  });
}
