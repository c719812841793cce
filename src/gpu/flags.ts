/**
 * The WebGPU constants we use, by value: in Node the `GPUBufferUsage` namespaces exist only after
 * the caller installed Dawn's globals, which a library must not do. The values are the standard's.
 */
export const USAGE = {
  mapRead: 0x0001,
  copySrc: 0x0004,
  copyDst: 0x0008,
  uniform: 0x0040,
  storage: 0x0080,
  queryResolve: 0x0200,
} as const;

export const MAP_READ = 0x0001;
export const STAGE_COMPUTE = 0x4;
