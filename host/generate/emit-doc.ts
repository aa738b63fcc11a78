/**
 * Doc comments of generated code: the source's own words as they are, ours wrapped.
 */
import type CodeBlockWriter from 'code-block-writer';
import type { Doc } from './model.ts';

const WIDTH = 110;

/** Breaks text into lines of at most `width` characters, between words. */
export function wrap(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** `@throws` and the codes behind it, wrapped. */
export function throwsTag(codes: readonly string[], rejects = false): string[] {
  const text = `@throws ${rejects ? '(rejects with) ' : ''}${codes.join(', ')}`;
  return wrap(text, WIDTH - 2).map((line, at) => (at === 0 ? line : `  ${line}`));
}

/**
 * Writes a doc comment: the words of the source, ours, and then the tags of both, because what stands behind a tag
 * belongs to it.
 */
export function writeDoc(
  writer: CodeBlockWriter, doc: Doc, ours: readonly string[], tags: readonly string[] = [],
): void {
  const parts = [doc.prose, ours, [...tags, ...doc.tags]].filter((part) => part.length > 0);
  const lines = parts.flatMap((part, at) => (at === 0 ? part : ['', ...part]));
  const [line] = lines;
  if (line === undefined) return;
  if (lines.length === 1 && line.length <= WIDTH) {
    writer.writeLine(`/** ${line} */`);
    return;
  }
  writer.writeLine('/**');
  for (const one of lines) writer.writeLine(one === '' ? ' *' : ` * ${one}`);
  writer.writeLine(' */');
}
