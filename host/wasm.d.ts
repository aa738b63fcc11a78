/**
 * The bytes of a WebAssembly module, embedded by the bundler and, in tests, by a plugin of vitest.config.ts.
 */
declare module '*.wasm' {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
