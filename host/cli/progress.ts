/**
 * A progress bar on standard error, where that is a terminal and nobody has asked for JSON; nothing at all otherwise.
 */
import { SingleBar } from 'cli-progress';
import { size } from './format.ts';

export interface Progress {
  /** Tells how many bytes are done, and of how many where that has become known. */
  update(doneBytes: number, totalBytes?: number): void;
  stop(): void;
}

const NOTHING: Progress = { update: () => undefined, stop: () => undefined };
const REDRAW_MS = 100;

/** Starts a bar; without `totalBytes` nobody knows how long it will take. */
export function startProgress(label: string, totalBytes: number | undefined, hidden: boolean): Progress {
  if (hidden || process.stderr.isTTY !== true) return NOTHING;
  const format = totalBytes === undefined ? `${label} {done}`
    : `${label} [{bar}] {percentage}% {done} ETA {eta_formatted}`;
  const bar = new SingleBar({
    format, stream: process.stderr, clearOnComplete: true, hideCursor: true, etaBuffer: 50,
    barCompleteChar: '=', barIncompleteChar: ' ',
  });
  bar.start(totalBytes ?? 1, 0, { done: size(0) });
  let shown = 0;
  return {
    update(doneBytes, total) {
      const now = Date.now();
      if (now - shown < REDRAW_MS) return;
      shown = now;
      if (total !== undefined) bar.setTotal(total);
      bar.update(totalBytes === undefined ? 0 : doneBytes, { done: size(doneBytes) });
    },
    stop() {
      bar.stop();
    },
  };
}
