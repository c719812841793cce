// What vite.plugins.ts makes of imports with a query, for the type checker.

declare module "*.wgsl?raw" {
  const code: string;
  export default code;
}

declare module "*?inline-source" {
  /** The bundled, minified module as a classic script. */
  const source: string;
  export default source;
}

declare module "*?module-file" {
  /** Where the module lies, bundled into a file of its own. */
  const url: URL;
  export default url;
}

declare module "*?wasm-bytes" {
  /** The module deflated, as base64. */
  const base64: string;
  export default base64;
}

declare module "*?wasm-bytes=relaxed-simd" {
  /** The module, with relaxed SIMD, deflated, as base64. */
  const base64: string;
  export default base64;
}

declare module "comlink/dist/esm/node-adapter.mjs" {
  export { default } from "comlink/dist/esm/node-adapter";
}
