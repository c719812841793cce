/**
 * Devices that fail when told to: a real one behind a Proxy that counts its asynchronous steps and
 * its live buffers, and a WebGPU (`GpuProvider`) that hands out such devices and counts who asked.
 */
import type { GpuProvider } from "../../src/gpu/device.ts";

/** The asynchronous steps that the engine takes on a device. */
export const STEPS = ["compile", "map", "pop", "done"] as const;
export type Step = (typeof STEPS)[number];

/** lose: `device.destroy()` just before the step's promise is returned. out-of-memory: what the error scope reports. */
export type Fault = "lose" | "reject" | "out-of-memory";

// In Node WebGPU's error classes are no globals; the engine goes by their names.
class GPUOutOfMemoryError extends Error {}
export class GPUValidationError extends Error {}

export interface FaultyDevice {
  readonly device: GPUDevice;
  /** Made on this device and not destroyed. */
  readonly live: ReadonlySet<GPUBuffer>;
  /** The most bytes that were live at once. */
  readonly peakBytes: number;
  /** Steps taken so far. */
  readonly taken: Readonly<Record<Step, number>>;
}

export interface Faults {
  /** What to do about the n-th step (from 1) of a kind. */
  readonly onStep?: (step: Step, n: number) => Fault | undefined;
  /** Bytes of live buffers beyond which an allocation fails as a full device lets it fail. */
  readonly capBytes?: () => number;
  /** False: another owner shares the device, `destroy` does nothing. */
  readonly mayDestroy?: boolean;
}

/** Each call gives a device of its own to the engine, whose caches go by device. */
export function faulty(real: GPUDevice, { onStep, capBytes, mayDestroy = true }: Faults = {}): FaultyDevice {
  const live = new Set<GPUBuffer>();
  const taken: Record<Step, number> = { compile: 0, map: 0, pop: 0, done: 0 };
  let bytes = 0;
  let peakBytes = 0;
  let refused = 0;

  const step = <T>(
    kind: Step,
    call: () => Promise<T>,
    outOfMemory: () => T | undefined = () => undefined,
  ): Promise<T> => {
    const n = ++taken[kind];
    const fault = onStep?.(kind, n);
    const promise = call();
    if (fault === "lose") real.destroy();
    if (fault === "reject") return promise.then(() => Promise.reject(new Error(`the ${kind} step was made to fail`)));
    if (fault === "out-of-memory") return promise.then((value) => outOfMemory() ?? value);
    return promise;
  };

  const createBuffer = (descriptor: GPUBufferDescriptor): GPUBuffer => {
    const isRefused = capBytes !== undefined && bytes + descriptor.size > capBytes();
    if (isRefused) refused++;
    // No usage is invalid: the buffer is an error object, like one that there was no memory for.
    const buffer = real.createBuffer(isRefused ? { ...descriptor, size: 16, usage: 0 } : descriptor);
    if (isRefused) Object.defineProperty(buffer, "size", { value: descriptor.size });
    const [destroy, mapAsync] = [buffer.destroy.bind(buffer), buffer.mapAsync.bind(buffer)];
    live.add(buffer);
    if (!isRefused) bytes += descriptor.size;
    peakBytes = Math.max(peakBytes, bytes);
    buffer.destroy = () => {
      if (live.delete(buffer) && !isRefused) bytes -= descriptor.size;
      return destroy();
    };
    buffer.mapAsync = (...range) => step("map", () => mapAsync(...range));
    return buffer;
  };

  const popErrorScope = (): Promise<GPUError | null> => {
    const isShort = refused > 0;
    if (isShort) refused--;
    return step(
      "pop",
      async () => {
        const reported = await real.popErrorScope();
        return isShort ? new GPUOutOfMemoryError("beyond the cap") : reported;
      },
      () => new GPUOutOfMemoryError("made to fail"),
    );
  };

  const queue = over(real.queue, {
    onSubmittedWorkDone: () => step("done", () => real.queue.onSubmittedWorkDone()),
  });
  const device = over(real, {
    queue,
    createBuffer,
    popErrorScope,
    createComputePipelineAsync: (descriptor: GPUComputePipelineDescriptor) =>
      step("compile", () => real.createComputePipelineAsync(descriptor)),
    ...(mayDestroy ? {} : { destroy: () => undefined }),
  });
  return {
    device,
    live,
    taken,
    get peakBytes() {
      return peakBytes;
    },
  };
}

/** `target` with some properties replaced; its methods keep their `this`. */
export function over<T extends object>(target: T, replaced: Readonly<Record<string, unknown>>): T {
  return new Proxy(target, {
    get(_, key) {
      if (typeof key === "string" && key in replaced) return replaced[key];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

export interface CountingProvider extends GpuProvider {
  /** Devices asked for, one at a time if all is well. */
  readonly asked: number;
  readonly mostAtOnce: number;
  /** Leases not given back. */
  readonly leases: number;
}

/** A WebGPU whose n-th device (from 1) is what `give` resolves with; null: there is no adapter. */
export function countingProvider(
  adapter: GPUAdapter,
  give: (n: number) => GPUDevice | null | Promise<GPUDevice | null>,
): CountingProvider {
  let [asked, atOnce, mostAtOnce, leases] = [0, 0, 0, 0];
  return {
    get asked() {
      return asked;
    },
    get mostAtOnce() {
      return mostAtOnce;
    },
    get leases() {
      return leases;
    },
    acquire: () => {
      leases++;
      let isHeld = true;
      const requestAdapter = async (): Promise<GPUAdapter | null> => {
        mostAtOnce = Math.max(mostAtOnce, ++atOnce);
        const device = await give(++asked);
        atOnce--;
        return device === null ? null : over(adapter, { requestDevice: () => Promise.resolve(device) });
      };
      return Promise.resolve({
        gpu: { requestAdapter } as unknown as GPU, // all that the engine asks of it
        release: () => {
          if (isHeld) leases--;
          isHeld = false;
        },
      });
    },
  };
}
