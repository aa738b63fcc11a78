/** Types of holder.mjs, for the tests. */
import type { RecordLog } from '../../../host/index.ts';

export interface Resumed {
  readonly wrong: readonly string[];
  readonly codes: Readonly<Record<string, number>>;
  readonly right: number;
}
export class Holder {
  resume(): Promise<Resumed>;
}
export function hold(log: typeof RecordLog, directory: string): Promise<Holder[]>;
