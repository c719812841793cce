/**
 * WebGPU reports most errors late and elsewhere: an invalid call yields zeros, not an exception.
 * Every call that can fail runs inside error scopes here. A scope is pushed and popped in one
 * synchronous stretch, because the scope stack belongs to the device, which others may share.
 */

/** The device refused an allocation. */
export class GpuOutOfMemory extends Error {
  override readonly name = "GpuOutOfMemory";
}

const KINDS = ["validation", "out-of-memory", "internal"] as const satisfies readonly GPUErrorFilter[];

/** What some calls will have reported: `settle` it. */
export type PendingErrors = readonly Promise<GPUError | Error | null>[];

export class ErrorScopes {
  readonly #device: GPUDevice;
  #pending: Promise<GPUError | Error | null>[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  run<T>(call: () => T): T {
    for (const kind of KINDS) this.#device.pushErrorScope(kind);
    try {
      return call();
    } finally {
      for (let i = 0; i < KINDS.length; i++) {
        // On a lost device popping may reject, and elsewhere only if somebody else popped our scope:
        // then nobody knows what the calls did, which is a failure, too.
        this.#pending.push(this.#device.popErrorScope().catch(asError));
      }
    }
  }

  /** The reports of all calls since the last time; they are the taker's from now on. */
  take(): PendingErrors {
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }
}

/** Rejects with the first error among the reports; resolves when there was none. */
export async function settle(pending: PendingErrors): Promise<void> {
  for (const error of await Promise.all(pending)) {
    if (error === null) continue;
    if (isOutOfMemory(error)) throw new GpuOutOfMemory(error.message);
    throw new Error(`WebGPU error: ${error.message}`);
  }
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

/** By name: in Node the GPUOutOfMemoryError class is not a global. */
function isOutOfMemory(error: GPUError | Error): boolean {
  return error.constructor.name === "GPUOutOfMemoryError";
}
