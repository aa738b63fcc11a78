/**
 * Puts and deletes on their way into a key-value store of bytes, gathered in batches; the store is known here only by
 * what it can do.
 */
import type { JsonlReader } from './jsonl-reader.ts';
import { pause, RUN_BYTES_MAX, type TransferOptions } from './pairs.ts';

/** One operation of a batch. */
export type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Uint8Array };

/** The store that operations go to; its values are bytes. */
export interface OperationTarget {
  batch(operations: readonly Operation[]): unknown;
}

/** Operations of a batch at most, so that none takes long. */
const OPERATIONS_MAX = 2048;

/**
 * Operations that become one atomic batch: at most 2,048, and 1 MiB of keys and values unless a single one is larger.
 */
export class OperationRun {
  private readonly target: OperationTarget;
  private operations: Operation[] = [];
  private bytes = 0;

  constructor(target: OperationTarget) {
    this.target = target;
  }

  /** Adds a put, whose bytes must not change; whether a batch was full and has been done before it. */
  put(key: Uint8Array, value: Uint8Array): boolean {
    return this.add({ type: 'put', key, value }, key.length + value.length);
  }

  /** The same for a delete. */
  delete(key: Uint8Array): boolean {
    return this.add({ type: 'delete', key }, key.length);
  }

  /** Does what is left. */
  flush(): void {
    const { operations } = this;
    this.operations = [];
    this.bytes = 0;
    if (operations.length > 0) this.target.batch(operations);
  }

  private add(operation: Operation, bytes: number): boolean {
    const { length } = this.operations;
    const full = length === OPERATIONS_MAX || (length > 0 && this.bytes + bytes > RUN_BYTES_MAX);
    if (full) this.flush();
    this.operations.push(operation);
    this.bytes += bytes;
    return full;
  }
}

/**
 * Puts every pair of a file or stream of JSON Lines, in batches of at most 1 MiB.
 *
 * Errors: ERR_VARVE_FORMAT with {path?, line, offset, fault}, and those of the store; the batches before stay
 */
export async function importJsonl(
  source: JsonlReader, target: OperationTarget, options: TransferOptions = {},
): Promise<{ readonly records: number; readonly bytes: number }> {
  const run = new OperationRun(target);
  for await (const [key, value] of source) {
    if (run.put(key, value)) await pause(source.bytes, options);
  }
  run.flush();
  return source;
}
