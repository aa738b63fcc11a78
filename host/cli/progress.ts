/**
 * A progress bar on standard error, where that is a terminal and nobody has asked for JSON; nothing at all otherwise.
 */
import { SingleBar } from 'cli-progress';
import { size } from './format.ts';

export interface Progress {
  /** Tells how many bytes are done. */
  update(doneBytes: number): void;
  stop(): void;
}

const NOTHING: Progress = { update: () => undefined, stop: () => undefined };

/** Starts a bar; `totalBytes` is `undefined` where nobody knows it. */
export function startProgress(label: string, totalBytes: number | undefined, hidden: boolean): Progress {
  if (hidden || process.stderr.isTTY !== true || totalBytes === 0) return NOTHING;
  const format = totalBytes === undefined ? `${label} {done}` : `${label} [{bar}] {percentage}% {done} ETA {eta_formatted}`;
  const bar = new SingleBar({
    format, stream: process.stderr, clearOnComplete: true, hideCursor: true, etaBuffer: 50, fps: 8,
    barCompleteChar: '=', barIncompleteChar: ' ',
  });
  bar.start(totalBytes ?? 1, 0, { done: size(0) });
  let shown = 0;
  return {
    update(doneBytes) {
      const now = Date.now();
      if (now - shown < 100) return;
      shown = now;
      bar.update(totalBytes === undefined ? 0 : Math.min(doneBytes, totalBytes), { done: size(doneBytes) });
      // The bar draws on a timer, which a long synchronous stretch would keep from running.
      bar.render(true);
    },
    stop() {
      bar.stop();
    },
  };
}
