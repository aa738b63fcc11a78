/**
 * Comments of a source: which doc comment belongs to a node, what stands in it, and where `@varve` stands at all, so
 * that none of them goes unnoticed.
 */
import type { CommentRange, Node, SourceFile } from 'typescript';
import type { Doc } from './model.ts';
import type { TypeScript } from './typescript.ts';

/** `@varve` as a tag: not part of a longer word, an address, or code in prose. */
const TAG = /(?<![\w`])@varve(?![\w-])/g;

/** A tag `@varve` in a comment. */
export interface Tag {
  /** Offset of the `@` in the source. */
  readonly at: number;
  /** What stands behind it, to the end of the line. */
  readonly text: string;
}

/** A doc comment, taken apart. */
export interface DocComment extends Doc {
  readonly tagged: readonly Tag[];
}

/** Returns every comment of a source, in order. */
export function commentsOf(ts: TypeScript, source: SourceFile): CommentRange[] {
  const found = new Map<number, CommentRange>();
  const see = (node: Node): void => {
    // Doc comments are children too, where there is nothing else as well.
    const children = node.getChildren(source).filter((child) => !ts.isJSDoc(child));
    if (children.length > 0) children.forEach(see);
    else for (const range of commentsBefore(ts, source, node)) found.set(range.pos, range);
  };
  see(source);
  return [...found.values()].sort((a, b) => a.pos - b.pos);
}

/** Comments between a node and what is before it. */
function commentsBefore(ts: TypeScript, source: SourceFile, node: Node): CommentRange[] {
  const { text } = source;
  return [...ts.getTrailingCommentRanges(text, node.pos) ?? [], ...ts.getLeadingCommentRanges(text, node.pos) ?? []];
}

/**
 * Returns the doc comment of a node: the last that begins a line, or stands in the node's own line. One that stands
 * behind something else is of that.
 */
export function docRangeOf(ts: TypeScript, source: SourceFile, node: Node): CommentRange | undefined {
  const { text } = source;
  const start = node.getStart(source);
  const own = (range: CommentRange): boolean => !text.slice(range.end, start).includes('\n');
  const candidates = [
    ...(ts.getTrailingCommentRanges(text, node.pos) ?? []).filter(own),
    ...ts.getLeadingCommentRanges(text, node.pos) ?? [],
  ];
  return candidates.filter((range) => isDoc(source, range)).at(-1);
}

export function isDoc({ text }: SourceFile, { pos, end }: CommentRange): boolean {
  return text.startsWith('/**', pos) && end - pos > 4;
}

/** Returns the offsets of all `@varve` in a comment. */
export function tagsIn({ text }: SourceFile, { pos, end }: CommentRange): number[] {
  return [...text.slice(pos, end).matchAll(TAG)].map(({ index }) => pos + index);
}

/** Takes a doc comment apart. Lines lose the stars before them and the blanks behind. */
export function readDoc({ text }: SourceFile, { pos, end }: CommentRange): DocComment {
  const prose: string[] = [];
  const tags: string[] = [];
  const tagged: Tag[] = [];
  let isFenced = false;
  let at = pos + '/**'.length;
  for (const line of text.slice(at, end - '*/'.length).split('\n')) {
    const margin = at === pos + '/**'.length ? /^[^\S\n]*/.exec(line)! : /^[^\S\n]*\*? ?/.exec(line)!;
    const content = line.slice(margin[0].length).trimEnd();
    const tag = isFenced ? null : /^\s*@([\w-]+)/.exec(content);
    if (tag?.[1] === 'varve') {
      const indent = content.indexOf('@');
      tagged.push({ at: at + margin[0].length + indent, text: content.slice(indent + '@varve'.length).trim() });
    } else {
      (tag !== null || tags.length > 0 ? tags : prose).push(content);
    }
    if (/^\s*```/.test(content)) isFenced = !isFenced;
    at += line.length + 1;
  }
  return { prose: trimLines(prose), tags: trimLines(tags), tagged };
}

/** Without empty lines at both ends, and with one at most between others. */
function trimLines(lines: readonly string[]): string[] {
  const kept = lines.filter((line, at) => line !== '' || lines[at - 1] !== '');
  while (kept[0] === '') kept.shift();
  while (kept.at(-1) === '') kept.pop();
  return kept;
}
