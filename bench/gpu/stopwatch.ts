/** Times one compute pass: by timestamp queries where the device has them, else by the host's clock until the queue is idle. */

const MAP_READ = 0x0001;
const USAGE = { mapRead: 0x0001, copySrc: 0x0004, copyDst: 0x0008, queryResolve: 0x0200 } as const;

export class Stopwatch {
  /** `wall` includes submission and Dawn's polling: good for passes of 10 ms and more only. */
  readonly clock: "timestamp" | "wall";
  readonly #device: GPUDevice;
  readonly #timestamps: { querySet: GPUQuerySet; resolved: GPUBuffer; readable: GPUBuffer } | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#timestamps = device.features.has("timestamp-query") ? timestampsOf(device) : undefined;
    this.clock = this.#timestamps === undefined ? "wall" : "timestamp";
  }

  /** Milliseconds that the pass took. */
  async time(encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
    const timestamps = this.#timestamps;
    const encoder = this.#device.createCommandEncoder({ label: "timed" });
    const pass = encoder.beginComputePass(
      timestamps === undefined
        ? {}
        : { timestampWrites: { querySet: timestamps.querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
    );
    encode(pass);
    pass.end();
    if (timestamps === undefined) return this.#wall(encoder);
    const { querySet, resolved, readable } = timestamps;
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, 16);
    this.#device.queue.submit([encoder.finish()]);
    await readable.mapAsync(MAP_READ);
    const [begin = 0n, end = 0n] = new BigUint64Array(readable.getMappedRange());
    readable.unmap();
    return Number(end - begin) / 1e6;
  }

  async #wall(encoder: GPUCommandEncoder): Promise<number> {
    const commands = encoder.finish();
    await this.#device.queue.onSubmittedWorkDone();
    const started = performance.now();
    this.#device.queue.submit([commands]);
    await this.#device.queue.onSubmittedWorkDone();
    return performance.now() - started;
  }

  close(): void {
    this.#timestamps?.querySet.destroy();
    this.#timestamps?.resolved.destroy();
    this.#timestamps?.readable.destroy();
  }
}

function timestampsOf(device: GPUDevice): { querySet: GPUQuerySet; resolved: GPUBuffer; readable: GPUBuffer } {
  return {
    querySet: device.createQuerySet({ label: "stopwatch", type: "timestamp", count: 2 }),
    resolved: device.createBuffer({
      label: "stopwatch resolved",
      size: 16,
      usage: USAGE.queryResolve | USAGE.copySrc,
    }),
    readable: device.createBuffer({ label: "stopwatch readable", size: 16, usage: USAGE.mapRead | USAGE.copyDst }),
  };
}
