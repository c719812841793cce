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

declare module "*?wasm-bytes" {
  /** Base64 of the build for unshared memory. */
  export const owned: string;
  /** Base64 of the build for shared memory. */
  export const shared: string;
}

declare module "comlink/dist/esm/node-adapter.mjs" {
  export { default } from "comlink/dist/esm/node-adapter";
}
