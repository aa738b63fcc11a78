/**
 * The dumps of files that docs/format.md shows, and their places on the page.
 */
import { readFileSync } from 'node:fs';

/** The lines of a dump, 16 bytes each; of zeros there is only one. */
export function hexdump(bytes: Uint8Array): string {
  const lines: string[] = [];
  let zeros = false;
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16);
    const blank = part.every((byte) => byte === 0);
    if (blank && zeros) continue;
    zeros = blank;
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, '0'));
    const shown = [...part].map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.').join('');
    const groups = [0, 4, 8, 12].map((from) => hex.slice(from, from + 4).join(' ')).join('  ');
    lines.push(blank ? '    *' : `    ${at.toString(16).padStart(6, '0')}  ${groups.padEnd(50)}  |${shown}|`);
  }
  return lines.join('\n');
}

/** A page as it is, and as it would be with this dump under its name. */
export function shownIn(pagePath: string, name: string, dump: string): { page: string; filled: string } {
  const page = readFileSync(pagePath, 'utf8');
  const [begin, end] = [`<!-- hexdump: ${name} -->`, '<!-- /hexdump -->'];
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${pagePath} has no place for a dump of ${name}`);
  return { page, filled: `${page.slice(0, from)}${begin}\n\n${dump}\n\n${page.slice(to)}` };
}
