/**
 * `varve kv repair`: makes a damaged key-value store whole again, and says which keys that costs. `varve repair` of
 * such a store is the same.
 */
import type { Command } from 'commander';
import { KeyValueStore } from '../../index.ts';
import { declare, type Context, type Run } from '../context.ts';
import { Exit } from '../exit.ts';
import { bad, count, doubtful, plural } from '../format.ts';
import { printRepair, type RepairOptions } from '../repair-report.ts';
import { keyMember, keyText } from './state.ts';

export function declareKeyValueRepair(group: Command, run: Run): void {
  declare(group, {
    usage: 'repair <dir>',
    summary: 'give up damaged records, and see to it that nothing old comes back',
    description: 'Damaged records become placeholders. Keys whose value was lost are not there afterwards; older values '
      + 'and deleted keys that would come back are deleted anew. What is overwritten or cut is saved in .cut files first. '
      + 'Needs the writer\'s lock, but for --dry-run.',
    examples: ['varve kv repair ./users --dry-run', 'varve kv repair ./users --json | jq .lostKeys'],
  })
    .option('--dry-run', 'say what would be done and change nothing')
    .option('--json', 'print one JSON object, schema varve.kv-repair.v1: keys as in varve.kv-check.v1')
    .action((directory: string, options: RepairOptions) => run((context) => (
      repairKeyValue(context, directory, options))));
}

/** Repairs a store and prints what that did. */
export async function repairKeyValue(context: Context, directory: string, options: RepairOptions): Promise<Exit> {
  const { out } = context;
  const dryRun = options.dryRun === true;
  const report = await KeyValueStore.repair<Buffer>(directory, { dryRun, keys: 'binary' });
  const { lostKeys, lostUnnamed, removedKeys, unknown, unknownLsn } = report;
  if (options.json === true) {
    await out.json({
      schema: 'varve.kv-repair.v1', directory, dryRun, ...report, lostKeys: lostKeys.map(keyMember),
      removedKeys: removedKeys.map(keyMember),
    });
    return Exit.Ok;
  }
  for (const key of lostKeys) await out.line(`${bad('lost')}: the value of ${keyText(key)}`);
  if (lostUnnamed > 0) await out.line(`${bad('lost')}: ${plural(lostUnnamed, 'value')} whose keys are damaged too`);
  for (const key of removedKeys) {
    await out.line(`${doubtful(dryRun ? 'would be deleted' : 'deleted')}: what is older of ${keyText(key)}`);
  }
  if (unknown > 0) {
    await out.line(`${bad('unknown')}: ${plural(unknown, 'record')} of which nobody can say whose they were; what has a `
      + `version below ${count(unknownLsn)} may be old, or have been deleted`);
  }
  await printRepair(context, report, dryRun);
  return Exit.Ok;
}
