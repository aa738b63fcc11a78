/**
 * `varve kv`: the commands for key-value stores.
 */
import type { Command } from 'commander';
import type { Run } from '../context.ts';
import { declareDelete, declareGet, declareKeys, declarePut } from './keys.ts';
import { declareKeyValueRepair } from './repair.ts';
import { declareCompact, declareKeyValueCheck, declareKeyValueStat } from './state.ts';
import { declareKeyValueExport, declareKeyValueImport } from './transfer.ts';

export function declareKeyValue(program: Command, run: Run): void {
  const group = program.command('kv').summary('look at, fill, compact, check and repair a key-value store')
    .description('Commands for key-value stores. get, keys, export, stat, check, and compact with --to, take no lock and '
      + 'create nothing; they work beside a running writer.')
    .showHelpAfterError('hint: varve kv --help');
  for (const add of [
    declarePut, declareGet, declareDelete, declareKeys, declareKeyValueExport, declareKeyValueImport, declareCompact,
    declareKeyValueStat, declareKeyValueCheck, declareKeyValueRepair,
  ]) add(group, run);
}
