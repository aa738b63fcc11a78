/**
 * The hint files of a writer's store: one is written for each segment that is sealed, in the background, one at a time,
 * and removed with its segment. Nothing depends on them: one that cannot be written is done without.
 */
import { FRAMES_OFFSET } from '../generated/abi.ts';
import type { Segment } from '../log/segment.ts';
import { hintBaseLsnOf } from '../log/names.ts';
import { removeUnfinished, type IgnoredFile } from './derived-file.ts';
import { HintWriter, hintPath, turn, type HintContext, type HintSource } from './hint-file.ts';
import type { LogSource } from './source.ts';
import type { KeyTable } from './table.ts';

/** Bytes that are checked at a time. */
const SLICE_BYTES = 256 << 10;

/** What a hint file says of its segment; `undefined` where that is not sealed. */
export function hintedSegment(segment: Segment) {
  const { footer, header: { baseLsn, salt } } = segment;
  if (footer === undefined) return undefined;
  return { baseLsn, salt, sealedAt: footer.sealedAt, records: footer.records, dataEnd: footer.dataEnd };
}

export class HintKeeper {
  private readonly source: LogSource;
  private readonly table: KeyTable;
  private readonly context: HintContext;
  /** When the segments were sealed that have a hint, or are about to get one, by base LSN. */
  private readonly hinted = new Map<number, number>();
  private readonly waiting: Segment[] = [];
  private under: { readonly segment: Segment; readonly writer: HintWriter } | undefined;
  private running: Promise<void> | undefined;
  private isClosed = false;

  constructor(source: LogSource, table: KeyTable) {
    this.source = source;
    this.table = table;
    this.context = { ...source.context, identity: source.identity };
  }

  /** Removes what was never finished, and the hints of segments that are gone; has those written that are missing. */
  tidy(ignored: readonly IgnoredFile[]): void {
    const { storage, directory } = this.source.context;
    const names = storage.list(directory) ?? [];
    removeUnfinished(this.source.context, names);
    const kept = new Map(this.source.segments().list.map((segment) => [segment.baseLsn, segment]));
    for (const name of names) {
      const baseLsn = hintBaseLsnOf(name);
      if (baseLsn === undefined) continue;
      const segment = kept.get(baseLsn);
      const path = hintPath(directory, baseLsn);
      if (segment === undefined || ignored.some((file) => file.path === path)) storage.remove(path);
      else if (segment.footer !== undefined) this.hinted.set(baseLsn, segment.footer.sealedAt);
    }
    this.look();
  }

  /** Has hints written for what was sealed since. */
  look(): void {
    for (const segment of this.source.segments().list) {
      const { baseLsn, footer } = segment;
      if (footer === undefined || this.hinted.get(baseLsn) === footer.sealedAt) continue;
      this.hinted.set(baseLsn, footer.sealedAt);
      this.waiting.push(segment);
    }
    if (this.waiting.length > 0) this.running ??= this.work();
  }

  /** To be called before a segment is dropped, or appended to although it has been sealed before. */
  forget(segment: Segment): void {
    const { storage, directory } = this.source.context;
    if (!this.hinted.delete(segment.baseLsn)) return;
    const at = this.waiting.indexOf(segment);
    if (at >= 0) this.waiting.splice(at, 1);
    if (this.under?.segment === segment) this.under.writer.abort();
    // Off the event loop: it has some megabytes. One that stays is found at the next opening.
    storage.removeLater(hintPath(directory, segment.baseLsn)).catch(() => undefined);
  }

  private async work(): Promise<void> {
    for (let segment = this.waiting.shift(); segment !== undefined && !this.isClosed; segment = this.waiting.shift()) {
      const source = this.sourceOf(segment);
      if (source === undefined || !await this.isIntact(segment, source)) continue;
      // Nothing may be begun in a store that was closed while that was awaited, or for a segment that is gone.
      if (this.isClosed || this.hinted.get(source.baseLsn) !== source.sealedAt) continue;
      const writer = new HintWriter(this.context, this.table.dir, source);
      this.under = { segment, writer };
      // Without its hint, a segment is read at the next opening after a crash.
      await writer.run().catch(() => undefined);
      this.under = undefined;
    }
    this.running = undefined;
  }

  /**
   * Whether a hint may be made of what is there: one of damaged records would vouch for them. False too where there is
   * no need for one any more.
   */
  private async isIntact(segment: Segment, { baseLsn, sealedAt }: HintSource): Promise<boolean> {
    if (segment.checked) return true;
    let offset: number = FRAMES_OFFSET;
    for (let ordinal = 0; ordinal < segment.records;) {
      await turn();
      if (this.isClosed || this.hinted.get(baseLsn) !== sealedAt) return false;
      try {
        const view = this.source.pool.view(segment);
        const intact = view.scan(offset, ordinal, segment.records - ordinal, SLICE_BYTES);
        if (intact === 0) return false;
        ordinal += intact;
        offset = view.resultOffset;
      } catch {
        return false;
      }
    }
    return true;
  }

  private sourceOf(segment: Segment): HintSource | undefined {
    const facts = hintedSegment(segment);
    if (facts === undefined) return undefined;
    return { ...facts, number: this.table.numberOf(segment), mount: () => { this.source.pool.view(segment); } };
  }

  /** Ends what is under way; nothing touches the table any more when it returns. */
  close(): void {
    this.isClosed = true;
    this.waiting.length = 0;
    this.under?.writer.abort();
  }
}
