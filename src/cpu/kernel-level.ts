/** Which kernels this runtime would take, told without any of them. */
import type { KernelBytes, KernelLevel } from "./kernels.ts";

/** The best level that this runtime validates; whether it also compiles, a page's policy decides. */
export function kernelLevel({ simd, relaxed }: KernelBytes): KernelLevel {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(simd)) return "none";
  return relaxed !== undefined && WebAssembly.validate(relaxed) ? "relaxed-simd" : "simd128";
}
