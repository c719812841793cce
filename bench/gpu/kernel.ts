/** Compiles the benchmark's own shaders and binds their buffers; a shader that does not compile throws with the compiler's message. */

export const BUFFER = { mapRead: 0x0001, copySrc: 0x0004, copyDst: 0x0008, uniform: 0x0040, storage: 0x0080 } as const;
export const MAP_READ = 0x0001;

export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  /** Buffers in the order of their bindings. */
  bind(...buffers: readonly GPUBuffer[]): GPUBindGroup;
}

/** By code: a run has a few dozen shaders and asks for some of them again with every case. */
const compiled = new WeakMap<GPUDevice, Map<string, Promise<Kernel>>>();

export function compile(device: GPUDevice, label: string, code: string): Promise<Kernel> {
  const known = compiled.get(device) ?? new Map<string, Promise<Kernel>>();
  compiled.set(device, known);
  const kernel = known.get(code) ?? compileAnew(device, label, code);
  known.set(code, kernel);
  return kernel;
}

async function compileAnew(device: GPUDevice, label: string, code: string): Promise<Kernel> {
  const module = device.createShaderModule({ label, code });
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter((message) => message.type === "error");
  if (errors.length > 0)
    throw new Error(`${label} does not compile: ${errors.map((e) => `${e.lineNum}: ${e.message}`).join("; ")}`);
  const pipeline = await device.createComputePipelineAsync({
    label,
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  return {
    pipeline,
    bind: (...buffers) =>
      device.createBindGroup({
        label,
        layout: pipeline.getBindGroupLayout(0),
        entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
      }),
  };
}

export function storage(device: GPUDevice, label: string, bytes: number, usage = 0): GPUBuffer {
  return device.createBuffer({ label, size: Math.ceil(bytes / 16) * 16, usage: BUFFER.storage | usage });
}

export function uniform(device: GPUDevice, label: string, words: readonly number[]): GPUBuffer {
  const buffer = device.createBuffer({
    label,
    size: Math.ceil(words.length / 4) * 16,
    usage: BUFFER.uniform | BUFFER.copyDst,
  });
  device.queue.writeBuffer(buffer, 0, new Uint32Array(words));
  return buffer;
}
