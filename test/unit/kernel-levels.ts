/** The CPU kernels at every level that this runtime has, for tests that hold one against the other. */
import { setFlagsFromString } from "node:v8";
import { inlinedKernels } from "../../src/cpu/kernel-bytes.ts";
import { kernelLevel } from "../../src/cpu/kernel-level.ts";
import { compileKernels, type KernelLevel, type KernelModules } from "../../src/cpu/kernels.ts";

const bytes = await inlinedKernels();

// Node 20 has relaxed SIMD behind a flag, and right only in its optimising compiler; later ones do not know the flag.
// A test file has a process of its own.
if (kernelLevel(bytes) !== "relaxed-simd") {
  setFlagsFromString("--experimental-wasm-relaxed-simd");
  setFlagsFromString("--no-liftoff");
}

export const KERNEL_MODULES: Readonly<Record<KernelLevel, KernelModules>> = {
  "relaxed-simd": (await compileKernels(bytes)).modules,
  simd128: (await compileKernels({ simd: bytes.simd })).modules,
  none: {},
};

export const KERNEL_LEVELS: readonly KernelLevel[] = ["relaxed-simd", "simd128", "none"];
