/** Where the bytes of the kernels come from: inlined by vite.plugins.ts, or the package's file `kernels.wasm`. */
import { inflated } from "../core/inlined-wasm.ts";
import simd from "./assembly/index.ts?wasm-bytes";
import relaxed from "./assembly/relaxed.ts?wasm-bytes=relaxed-simd";
import type { KernelBytes } from "./kernels.ts";
import { customSection } from "./module-bytes.ts";

export async function inlinedKernels(): Promise<KernelBytes> {
  return { simd: await inflated(simd), relaxed: await inflated(relaxed) };
}

/**
 * The two builds in one file: the simd128 module, with the relaxed one as its custom section
 * "relaxed". Read from the bytes, because the page itself may not compile.
 */
export function splitKernels(file: Uint8Array<ArrayBuffer>): KernelBytes {
  const section = customSection(file, "relaxed");
  if (section === undefined) throw new Error("no relaxed build inside");
  return { simd: file, relaxed: section };
}
