// The kernels that gain from relaxed SIMD, for runtimes that have it: the same sources as those of
// index.ts, compiled with the feature on, laid over them by ../kernels.ts. Estimates only: what
// relaxed instructions give may differ from one machine to the next, and margins allow for that
// (core/margin.ts), so no canonical distance may ever be exported here.
export { scan_f32 } from "./scan_f32";
export { scan_i8 } from "./scan_i8";
