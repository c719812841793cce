/**
 * Time spent in each kernel, by timestamp queries. For benchmarks and the autotune only: each timed
 * dispatch gets a compute pass of its own, which an ordinary search does without.
 */
import { MAP_READ, USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";

/** Dispatches timed in one submit; those beyond it go untimed and are counted. */
const MOST = 256;

export class KernelTimer {
  readonly #memory: DeviceMemory;
  readonly #isOn: () => boolean;
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #milliseconds: Record<string, number> = {};
  #names: string[] = [];
  #target: GPUBuffer | undefined;
  #pending: Promise<unknown> = Promise.resolve();

  /** `isOn`: asked before each submit. Throws where the device has no `timestamp-query`. */
  constructor(memory: DeviceMemory, isOn: () => boolean) {
    this.#memory = memory;
    this.#isOn = isOn;
    this.#set = memory.device.createQuerySet({ label: "nearfield timer", type: "timestamp", count: 2 * MOST });
    this.#resolved = memory.create("timer", 16 * MOST, USAGE.queryResolve | USAGE.copySrc);
  }

  /** Whether dispatches are to be timed now, each in a pass of its own. */
  get isOn(): boolean {
    return this.#isOn();
  }

  /** Milliseconds by kernel name since the device was opened, of the submits that are done. */
  get milliseconds(): Readonly<Record<string, number>> {
    return { ...this.#milliseconds };
  }

  /** Descriptor fields of the pass that the next dispatch runs in. */
  begin(name: string): Pick<GPUComputePassDescriptor, "timestampWrites"> {
    const at = this.#names.length;
    if (at === MOST) return {};
    this.#names.push(name);
    return {
      timestampWrites: {
        querySet: this.#set,
        beginningOfPassWriteIndex: 2 * at,
        endOfPassWriteIndex: 2 * at + 1,
      },
    };
  }

  /** Puts the timestamps of this encoder's passes where `read` finds them. */
  resolve(encoder: GPUCommandEncoder): void {
    const count = this.#names.length;
    if (count === 0) return;
    this.#target = this.#memory.create("timer read-back", 16 * count, USAGE.mapRead | USAGE.copyDst);
    encoder.resolveQuerySet(this.#set, 0, 2 * count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#target, 0, 16 * count);
  }

  /** Call after the submit. */
  read(): void {
    const target = this.#target;
    const names = this.#names;
    this.#target = undefined;
    this.#names = [];
    if (target === undefined) return;
    const done = target.mapAsync(MAP_READ).then(() => {
      const times = new BigUint64Array(target.getMappedRange(0, 16 * names.length));
      names.forEach((name, i) => {
        const nanoseconds = Number((times[2 * i + 1] ?? 0n) - (times[2 * i] ?? 0n));
        this.#milliseconds[name] = (this.#milliseconds[name] ?? 0) + Math.max(0, nanoseconds) / 1e6;
      });
      this.#memory.destroy(target);
    });
    // A lost device loses its times with it.
    this.#pending = Promise.all([this.#pending, done.catch(() => this.#memory.destroy(target))]);
  }

  /** Resolves when all submits so far are accounted for. */
  async settle(): Promise<void> {
    await this.#pending;
  }
}
