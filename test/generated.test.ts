/**
 * What is generated from the core is what is committed: the host's numbers and the tables of the format's description.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './support/repository.ts';

function check(script: string): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, script), '--check'], { cwd: ROOT, encoding: 'utf8' });
  return { status, stderr };
}

describe('generated files', () => {
  it('host/generated/abi.ts agrees with the core', () => {
    expect(check('scripts/abi.mjs')).toEqual({ status: 0, stderr: '' });
  });

  it('the tables of docs/format.md agree with the core', () => {
    expect(check('scripts/format-tables.mjs')).toEqual({ status: 0, stderr: '' });
  });
});
