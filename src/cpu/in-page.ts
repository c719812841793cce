/** What the caller's thread needs to do a worker's work: loaded when it first does. */
export { compileKernels } from "./kernels.ts";
export { Scanner } from "./scan.ts";
