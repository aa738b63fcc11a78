/**
 * The package's public face: everything that `import … from 'varve'` gives.
 */
export { RecordLog } from './record-log/record-log.ts';
export type {
  AppendOptions, BatchResult, FollowOptions, ReadOptions, RecordLogEvents, RetainOptions, ScanOptions,
} from './record-log/types.ts';
export type { RecordLogOptions } from './record-log/options.ts';
export type { Follower } from './log/follower.ts';
export type { LogRecord, RecordRef } from './log/record.ts';
export type { RecordInput } from './log/appender.ts';
export type { Cursor, CursorFollowOptions, CursorInfo } from './log/cursor.ts';
export type { CutFile, RecoveryReport } from './log/report.ts';
export type { CheckOptions, CheckReport, Damage } from './log/check.ts';
export type { LostRange, RepairReport } from './log/repair.ts';
export type { Evidence } from './log/recovery-table.ts';
export type { PoolCounters } from './log/pool.ts';
export { TypedStore, type FieldsOf } from './typed/typed-store.ts';
export { recordLayout, type FieldLayout, type RecordLayout } from './typed/describe.ts';
export type { TypedStoreOptions } from './typed/options.ts';
export type { TypedCheck } from './typed/check.ts';
export type { Migration, MigrateOptions } from './typed/migrate.ts';
export type { TypedRecovery } from './typed/recovery.ts';
export type { FieldAccessor } from './typed/access.ts';
export type { Column, ColumnRange, Comparison, NumericFields } from './typed/columns.ts';
export type { Change, Watcher } from './typed/watch.ts';
export type { WatchOptions } from './typed/watchers.ts';
export type { Difference } from './typed/schema-text.ts';
export { defineSchema, type Field, type Fields, type RecordOf, type Schema, type SchemaDefinition } from './typed/schema.ts';
export { KeyValueStore } from './key-value/key-value-store.ts';
export type { KeyValueStats } from './key-value/readable-store.ts';
export type { IgnoredFile } from './key-value/derived-file.ts';
export type { KeyValueRecovery } from './key-value/load.ts';
export type { KeyValueWatcher } from './key-value/watch.ts';
export type { CompactionReport } from './key-value/compaction.ts';
export type { CompactToReport } from './key-value/compact-to.ts';
export type { KeyValueRepairReport } from './key-value/repair.ts';
export type { KeydirFault, KeyValueCheck, KeyValueDamage } from './key-value/check.ts';
export {
  exportDwal, exportJsonl, importDwal, importJsonl, type ImportTarget, type PairSource,
} from './foreign/key-value.ts';
export type { JsonlTarget } from './foreign/jsonl-writer.ts';
export type { DwalSource, DwalTorn } from './foreign/dwal-reader.ts';
export type { DwalTarget, DwalWriterOptions } from './foreign/dwal-writer.ts';
export type { Pair, Pairs, TransferOptions } from './foreign/pairs.ts';
export type { Operation } from './foreign/operations.ts';
export { msgpack } from './key-value/msgpack.ts';
export type {
  AutoCompactOptions, BufferCodec, Codec, CompactionProgress, CompactOptions, CompactToOptions, DamagedRecord,
  DeleteOptions, DurableOptions, ExpiryOptions, IterationOptions, Key, KeyValueBatchResult, KeyValueChange,
  KeyValueCheckOptions, KeyValueOperation, KeyValueOptions, KeyValueWatchOptions, PutManyOptions, PutOptions,
  SortedPairsOptions, ValueCodec,
} from './key-value/types.ts';
export { WalGroup } from './wal/wal-group.ts';
export type { WalWriter } from './wal/writer.ts';
export type { CoreCheck, WalCheck, WalCheckOptions, WalDamage } from './wal/check.ts';
export type { CommitOffsets } from './wal/commit.ts';
export type { Checkpoint, CheckpointInfo, UnusableCheckpoint } from './wal/checkpoint-file.ts';
export type { CheckpointState } from './wal/checkpoint-state.ts';
export type { WalEntry, WalEntryType } from './wal/entry.ts';
export type { CoreRecovery, RecoveryEnd, WalRecovery } from './wal/recover.ts';
export type { CoreRepair, WalRepair, WalRepairOptions } from './wal/repair.ts';
export type { WalReplay } from './wal/replay.ts';
export type { CoreStats, WalStats } from './wal/stats.ts';
export type {
  AskOptions, CheckpointOptions, CorePosition, EpochCut, RecoverOptions, SyncPolicy, WalCreateOptions, WalGroupOptions,
  WalMergeOptions, WalWriterOptions,
} from './wal/types.ts';
export { Kind } from './generated/abi.ts';
export { VarveError, type ErrorDetails } from './errors/varve-error.ts';
export { ERROR_CODES, type ErrorCode, type ErrorKind } from './errors/codes.ts';
export { crc32c } from './core/crc32c.ts';
export { Core, type CoreOptions, type CoreVariant } from './core/core.ts';
