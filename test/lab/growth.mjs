/**
 * Whether what was sampled over a run grows. The second quarter is compared with the last one, by medians: the first is
 * left out because caches, pools and compiled code fill up in it, and a median does not mind single samples.
 */

/** The middle of some numbers; 0 of none. */
export function median(values) {
  return quantile(values, 0.5);
}

/** The value below which a part of some numbers lies; 0 of none. */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/**
 * Compares the second and the last quarter of a series.
 *
 * @param limits `ratio` and `slack`: it may become so many times as large, and by so much larger on top
 */
export function judge(values, { ratio, slack }) {
  const quarter = Math.floor(values.length / 4);
  const before = median(values.slice(quarter, 2 * quarter));
  const after = median(values.slice(values.length - quarter));
  return { before, after, limit: before * ratio + slack, grows: quarter > 0 && after > before * ratio + slack };
}
