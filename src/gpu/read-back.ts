/**
 * A ring of buffers through which results come back: while one is mapped, others are on their way,
 * and in the steady state none is created.
 */
import { LIMITS } from "../core/limits.ts";
import type { Commands } from "./commands.ts";
import { MAP_READ, USAGE } from "./flags.ts";
import type { DeviceMemory } from "./memory.ts";

export class ReadBackRing {
  readonly #memory: DeviceMemory;
  #free: GPUBuffer[] = [];
  #bytesRead = 0;

  constructor(memory: DeviceMemory) {
    this.#memory = memory;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Records the copy of `bytes` from the start of `source`, submits everything, and resolves with what was copied. */
  read(commands: Commands, source: GPUBuffer, bytes: number): Promise<Uint32Array> {
    const target = this.#take(bytes);
    commands.copy(source, 0, target, 0, bytes);
    commands.submit();
    // Mapping begins in this very stretch: the caller's turn may go to the next batch.
    const mapped = this.#memory.errors.run(() => target.mapAsync(MAP_READ, 0, bytes));
    return mapped.then(
      () => {
        const words = new Uint32Array(target.getMappedRange(0, bytes).slice(0));
        target.unmap();
        this.#bytesRead += bytes;
        this.#give(target);
        return words;
      },
      (error: unknown) => {
        this.#memory.destroy(target);
        throw error;
      },
    );
  }

  /** Lets go of the buffers that are not on their way. */
  dispose(): void {
    for (const buffer of this.#free.splice(0)) this.#memory.destroy(buffer);
  }

  #take(bytes: number): GPUBuffer {
    const fitting = this.#free.findIndex((buffer) => buffer.size >= bytes);
    const [found] = fitting < 0 ? [] : this.#free.splice(fitting, 1);
    if (found !== undefined) return found;
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
    return this.#memory.create("read-back", size, USAGE.mapRead | USAGE.copyDst);
  }

  #give(buffer: GPUBuffer): void {
    this.#free.push(buffer);
    if (this.#free.length <= LIMITS.readBackBuffers) return;
    // The smallest goes: the others serve what it served.
    this.#free.sort((a, b) => b.size - a.size);
    this.#memory.destroy(this.#free.pop());
  }
}
