/**
 * Who may import whom, as data. A unit is a directory below assembly/ or host/, or a file directly in it; for the faces
 * that stand together in host/faces it is one directory deeper. A unit may always import itself.
 */

/** Units of assembly/ and what each may import. */
export const ASSEMBLY: Readonly<Record<string, readonly string[]>> = {
  'index': ['keydir', 'record', 'schema', 'sync', 'index-blocks', 'crc', 'mem', 'layout', 'abi'],
  // A key directory reads frames.
  'keydir': ['record', 'crc', 'mem', 'layout', 'abi'],
  'record': ['crc', 'mem', 'layout', 'abi'],
  'schema': ['crc', 'mem', 'layout', 'abi'],
  'sync': ['crc', 'mem', 'layout', 'abi'],
  'index-blocks': ['crc', 'mem', 'layout', 'abi'],
  'crc': ['layout', 'abi'],
  'mem': ['layout', 'abi'],
  'layout': ['abi'],
  'abi': [],
};

/** The faces: each stands on the log, none on another. Directories below host/faces are faces too. */
export const FACES: readonly string[] = ['record-log', 'wal', 'key-value', 'events', 'typed'];

const BASE = ['errors', 'limits', 'generated'] as const;
const ENGINE = ['core', 'io', ...BASE] as const;

/** Units of host/, but for the faces, and what each may import; 'faces' stands for all of them. */
export const HOST: Readonly<Record<string, readonly string[]>> = {
  'cli': ['index', 'faces', 'generate', 'foreign', 'log', ...ENGINE],
  'index': ['faces', 'foreign', 'log', ...ENGINE],
  // Of the faces it gives the words for schemas alone.
  'schema': ['faces', ...BASE],
  // What generated classes import.
  'codegen-v1': ['faces', ...BASE],
  'faces': ['log', ...ENGINE],
  'log': ENGINE,
  'foreign': ENGINE,
  // Mappings go into the core's memory, so input and output know its type; the core knows no file.
  'io': ['core', ...BASE],
  'core': BASE,
  // It writes classes and touches no store: of the faces it knows schemas and their layout (see PARTIAL).
  'generate': ['faces', 'core', ...BASE],
  'errors': ['limits', 'generated'],
  'limits': ['generated'],
  'generated': [],
  'wasm.d': [],
  'canary.d': [],
};

/** Units of which another unit may import these files alone. */
export const PARTIAL: readonly { readonly from: string; readonly to: string; readonly files: readonly string[] }[] = [
  { from: 'generate', to: 'typed', files: ['schema.ts', 'layout.ts'] },
];

interface Guard {
  readonly modules: RegExp;
  /** Units that may load them. */
  readonly units: readonly string[];
  /** Single files beyond them, each with its reason. */
  readonly files: Readonly<Record<string, string>>;
}

/** Modules that only some units may load. */
export const GUARDED: readonly Guard[] = [
  {
    modules: /^(node:)?fs(\/promises)?$/,
    // The command line, the generator and the readers of foreign formats open files that the user named, never a
    // store's.
    units: ['io', 'cli', 'generate', 'foreign'],
    files: {},
  },
  { modules: /^(koffi|@riaskov\/mmap-io)$/, units: ['io'], files: {} },
  { modules: /^@assemblyscript\/loader$/, units: ['core'], files: {} },
  { modules: /\.wasm$/, units: ['core'], files: {} },
];
