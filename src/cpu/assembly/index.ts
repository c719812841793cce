// The WASM kernels of the CPU backend: pure functions over pointers into the imported memory,
// which holds rows, row terms and a scratch area for each worker. They allocate nothing and keep
// no state. Twins in plain JS with the same names: ../kernels-js.ts; a test runs both.
export { scan_f32 } from "./scan_f32";
export { scan_b1 } from "./scan_b1";
export { decode_f16 } from "./decode_f16";
export { decode_i8 } from "./decode_i8";
export { distance_f64, scan_f64 } from "./distance_f64";
export { distance_f16 } from "./distance_f16";
export { distance_i8 } from "./distance_i8";
export { distance_b1 } from "./distance_b1";
export { refine_f16, refine_f32 } from "./refine";
export { scan_i8 } from "./scan_i8";
export { encode_i8 } from "./encode_i8";
export { product_f64 } from "./product_f64";
