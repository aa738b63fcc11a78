/** Types of asc.mjs, for the tests that compile the core in another way than the build does. */
export function compile(
  args: readonly string[], sources?: ReadonlyMap<string, string>,
): Promise<Map<string, string | Uint8Array<ArrayBuffer>>>;
