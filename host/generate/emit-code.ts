/**
 * Code that does not fit into a line.
 */
import type CodeBlockWriter from 'code-block-writer';
import { wrap } from './emit-doc.ts';

const WIDTH = 120;
export const INDENT = 2;

/** Whether a line is not too long where the writer stands. */
export function fits(writer: CodeBlockWriter, line: string): boolean {
  return writer.getIndentationLevel() * INDENT + line.length <= WIDTH;
}

/** Writes a list in one line or, where it is too long for that, an item a line. */
export function emitList(
  writer: CodeBlockWriter, head: string, before: string, items: readonly string[], after: string, tail: string,
): void {
  const line = `${head}${before}${items.join(', ')}${after}${tail}`;
  if (fits(writer, line)) {
    writer.writeLine(line);
    return;
  }
  writer.writeLine(head);
  writer.indent(() => { for (const item of items) writer.writeLine(`${item},`); });
  writer.writeLine(tail);
}

/** The same with as many items a line as fit. */
export function emitNumbers(writer: CodeBlockWriter, head: string, items: readonly number[], tail: string): void {
  const line = `${head}${items.join(', ')}${tail}`;
  if (fits(writer, line)) {
    writer.writeLine(line);
    return;
  }
  writer.writeLine(head);
  writer.indent(() => { for (const part of wrap(`${items.join(', ')},`)) writer.writeLine(part); });
  writer.writeLine(tail);
}

/** Writes an `if`, with a part of its condition a line where these are too long for one. */
export function emitIf(writer: CodeBlockWriter, parts: readonly string[], operator: '&&' | '||', then: string): void {
  const line = `if (${parts.join(` ${operator} `)}) ${then}`;
  if (fits(writer, line)) {
    writer.writeLine(line);
    return;
  }
  writer.writeLine('if (');
  writer.indent(() => {
    for (const [at, part] of parts.entries()) writer.writeLine(`${at === 0 ? '' : `${operator} `}${part}`);
  });
  writer.write(')').space().block(() => writer.writeLine(then));
}
