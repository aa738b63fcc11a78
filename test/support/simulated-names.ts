/**
 * Directories of the simulated disk: which names lead to which files, now (`entries`) and after a power cut
 * (`durable`), and the journal of the changes in between.
 *
 * A change belongs to one directory and is one of: a name appears, a name disappears, a name becomes another one
 * (replacing what that led to). Syncing a directory makes its own changes durable and nobody else's. A name leads to
 * an inode: whatever becomes of the name, the file's bytes have a life of their own (simulated-inode.ts).
 */
import type { Inode } from './simulated-inode.ts';
import type { CutPolicy, CutTally } from './simulated-cut.ts';
import type { Random } from './random.ts';
import { misuse } from './simulated-faults.ts';

export type Entry = Inode | Directory;

export class Directory {
  readonly kind = 'directory';
  entries = new Map<string, Entry>();
  durable = new Map<string, Entry>();
}

/** One unsynced change: `removed` no longer leads to `entry`, `added` does. */
export interface NameChange {
  readonly directory: Directory;
  readonly entry: Entry;
  readonly removed: string | undefined;
  readonly added: string | undefined;
}

/** The parts of an absolute path. */
export function partsOf(path: string): string[] {
  if (!path.startsWith('/')) throw misuse(`the path ${path} is not absolute`, { path });
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw misuse(`the path ${path} is not normal`, { path });
  return parts;
}

export class Names {
  root = new Directory();
  /** Changes that are not durable, in the order in which they were made. */
  journal: NameChange[] = [];

  /** What a path leads to; `undefined` where any part is missing. */
  find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.root;
    for (const part of partsOf(path)) {
      if (entry?.kind !== 'directory') return undefined;
      entry = entry.entries.get(part);
    }
    return entry;
  }

  /** The directory that a path's last part is in, and that part. */
  parentOf(path: string): { directory: Entry | undefined; name: string } {
    const parts = partsOf(path);
    const name = parts.pop() ?? '';
    return { directory: this.find(`/${parts.join('/')}`), name };
  }

  link(directory: Directory, name: string, entry: Entry): void {
    this.change({ directory, entry, removed: undefined, added: name });
  }

  unlink(directory: Directory, name: string): void {
    const entry = directory.entries.get(name);
    if (entry !== undefined) this.change({ directory, entry, removed: name, added: undefined });
  }

  rename(directory: Directory, from: string, to: string): void {
    const entry = directory.entries.get(from);
    if (entry !== undefined && from !== to) this.change({ directory, entry, removed: from, added: to });
  }

  /** The changes that a sync of the directory, submitted now, will make durable. */
  unsynced(directory: Directory): NameChange[] {
    return this.journal.filter((change) => change.directory === directory);
  }

  /**
   * Makes those of `changes` durable that are not yet. A name goes through its changes in their order: before a change
   * of a name, all earlier ones of that name become durable.
   */
  commit(changes: Iterable<NameChange>): void {
    const wanted = new Set(changes);
    for (const [at, change] of [...this.journal.entries()].reverse()) {
      if (!wanted.has(change)) continue;
      for (const earlier of this.journal.slice(0, at)) if (sharesName(earlier, change)) wanted.add(earlier);
    }
    this.journal = this.journal.filter((change) => {
      if (!wanted.has(change)) return true;
      apply(change.directory.durable, change);
      return false;
    });
  }

  /** Moves the durable names to one of the states that the disk may be in at this moment. */
  settle(random: Random, policy: CutPolicy, tally: CutTally): void {
    const choice = policy.names ?? 'random';
    const metadata = policy.metadata ?? random.pick(['ordered', 'any'] as const);
    const count = random.integer(this.journal.length + 1);
    const pending = this.journal.length;
    this.commit(this.journal.filter((_, at) => {
      if (choice !== 'random') return choice === 'kept';
      return metadata === 'ordered' ? at < count : random.chance(0.5);
    }));
    tally.namesKept += pending - this.journal.length;
    tally.namesLost += this.journal.length;
  }

  /** Forgets what is not durable, in every directory; returns the files that are left. */
  restart(): Inode[] {
    this.journal = [];
    const files = new Set<Inode>();
    const visit = (directory: Directory): void => {
      directory.entries = new Map(directory.durable);
      for (const entry of directory.entries.values()) {
        if (entry.kind === 'directory') {
          visit(entry);
          continue;
        }
        entry.links = files.has(entry) ? entry.links + 1 : 1;
        files.add(entry);
      }
    };
    visit(this.root);
    return [...files];
  }

  /** Every file with its path, by its visible or its durable names, sorted by path. */
  files(which: 'visible' | 'durable'): [string, Inode][] {
    const found: [string, Inode][] = [];
    const visit = (directory: Directory, prefix: string): void => {
      for (const [name, entry] of which === 'visible' ? directory.entries : directory.durable) {
        if (entry.kind === 'directory') visit(entry, `${prefix}/${name}`);
        else found.push([`${prefix}/${name}`, entry]);
      }
    };
    visit(this.root, '');
    return found.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** The same names, leading to copies of the same files. */
  copy(): Names {
    const copies = new Map<Entry, Entry>();
    const copyOf = <E extends Entry>(entry: E): E => {
      const known = copies.get(entry);
      if (known !== undefined) return known as E;
      if (entry.kind === 'file') {
        const file = entry.copy();
        copies.set(entry, file);
        return file as E;
      }
      const directory = new Directory();
      copies.set(entry, directory);
      for (const [name, below] of entry.entries) directory.entries.set(name, copyOf(below));
      for (const [name, below] of entry.durable) directory.durable.set(name, copyOf(below));
      return directory as E;
    };
    const copy = new Names();
    copy.root = copyOf(this.root);
    copy.journal = this.journal.map((change) => (
      { ...change, directory: copyOf(change.directory), entry: copyOf(change.entry) }));
    return copy;
  }

  private change(change: NameChange): void {
    const { directory, entry, added } = change;
    const replaced = added === undefined ? undefined : directory.entries.get(added);
    if (replaced?.kind === 'file') replaced.links -= 1;
    if (entry.kind === 'file') {
      entry.links += (added === undefined ? 0 : 1) - (change.removed === undefined ? 0 : 1);
    }
    apply(directory.entries, change);
    this.journal.push(change);
  }
}

function sharesName(a: NameChange, b: NameChange): boolean {
  const names = [b.removed, b.added];
  return a.directory === b.directory && [a.removed, a.added].some((name) => name !== undefined && names.includes(name));
}

/** Makes a change in a table of names. A name that leads elsewhere by now is not removed. */
function apply(table: Map<string, Entry>, change: NameChange): void {
  if (change.removed !== undefined && table.get(change.removed) === change.entry) table.delete(change.removed);
  if (change.added !== undefined) table.set(change.added, change.entry);
}
