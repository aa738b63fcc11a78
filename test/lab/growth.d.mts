/** Types of growth.mjs, for the tests. */
export interface Judgement {
  readonly before: number;
  readonly after: number;
  readonly limit: number;
  readonly grows: boolean;
}
export function median(values: readonly number[]): number;
export function quantile(values: readonly number[], part: number): number;
export function judge(values: readonly number[], limits: { readonly ratio: number; readonly slack: number }): Judgement;
