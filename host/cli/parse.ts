/**
 * Reading the values of options: numbers and sizes. What is wrong is said in one line, by commander, with the option's
 * name.
 */
import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = {
  '': 1, 'K': 2 ** 10, 'M': 2 ** 20, 'G': 2 ** 30,
};
const SIZE = /^(\d+)\s*([KMG]?)(?:i?B)?$/i;

/** An integer from `least` on. */
export function integerFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be an integer, at least ${least}.`);
  };
}

/** A number of bytes such as `65536`, `512K`, `64M`, `1G`, in powers of 1024. */
export function sizeBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const match = SIZE.exec(text.trim());
    const bytes = match === null ? NaN : Number(match[1]) * UNITS[match[2]!.toUpperCase()]!;
    if (Number.isSafeInteger(bytes) && bytes >= least && bytes <= most) return bytes;
    throw new InvalidArgumentError(
      `It must be a size from ${sizeText(least)} to ${sizeText(most)}, such as 65536, 512K, 64M or 1G.`);
  };
}

function sizeText(bytes: number): string {
  for (const unit of ['G', 'M', 'K']) {
    const factor = UNITS[unit]!;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** Least and most bytes of a segment. */
export const SEGMENT_SIZE = sizeBetween(65536, 2 ** 30);
