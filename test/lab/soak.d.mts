/** Types of soak.mjs, for the tests. */
export interface Verdict {
  readonly process: string;
  readonly metric: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  readonly limit: number;
  readonly grows: boolean;
}
export interface Soak {
  readonly verdicts: readonly Verdict[];
  readonly grows: readonly Verdict[];
  readonly samples: Readonly<Record<string, readonly object[]>>;
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly latency: readonly number[];
}
export function soak(options: { seconds: number; every?: number; leak?: string; seed?: number }): Promise<Soak>;
export function plotOf(seen: Soak): string;
export function tableOf(seen: Soak): string[];
export function runSoak(args: readonly string[]): Promise<boolean>;
