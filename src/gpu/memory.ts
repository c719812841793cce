/** Every GPU buffer of an index passes through here: labelled, numbered, counted, and gone after `destroyAll`. */
import { ErrorScopes } from "./error-scopes.ts";

export class DeviceMemory {
  readonly device: GPUDevice;
  readonly errors: ErrorScopes;
  readonly #live = new Map<GPUBuffer, { readonly bytes: number; readonly id: number }>();
  #created = 0;
  #bytes = 0;
  #destroyed = 0;
  #isClosed = false;

  constructor(device: GPUDevice) {
    this.device = device;
    this.errors = new ErrorScopes(device);
  }

  get buffersCreated(): number {
    return this.#created;
  }

  /** Buffers destroyed so far: who keeps something made from a buffer looks whether this moved. */
  get buffersDestroyed(): number {
    return this.#destroyed;
  }

  get bytesAllocated(): number {
    return this.#bytes;
  }

  /** A number that no other buffer of this memory ever has. */
  idOf(buffer: GPUBuffer): number {
    const entry = this.#live.get(buffer);
    if (entry === undefined) throw new Error("a buffer that is not of this memory, or destroyed");
    return entry.id;
  }

  /** Throws after `destroyAll`: whoever still works then is to stop. */
  create(label: string, size: number, usage: number): GPUBuffer {
    if (this.#isClosed) throw new Error(`no buffer "${label}" is made any more: the memory was let go of`);
    const bytes = Math.max(16, Math.ceil(size / 16) * 16);
    const buffer = this.errors.run(() => this.device.createBuffer({ label: `nearfield ${label}`, size: bytes, usage }));
    this.#live.set(buffer, { bytes, id: this.#created });
    this.#created++;
    this.#bytes += bytes;
    return buffer;
  }

  write(buffer: GPUBuffer, offset: number, data: ArrayBufferView<ArrayBuffer>): void {
    this.errors.run(() => this.device.queue.writeBuffer(buffer, offset, data.buffer, data.byteOffset, data.byteLength));
  }

  /** Idempotent, and takes undefined, so that owners can let go without asking. */
  destroy(buffer: GPUBuffer | undefined): void {
    const entry = buffer === undefined ? undefined : this.#live.get(buffer);
    if (buffer === undefined || entry === undefined) return;
    this.#live.delete(buffer);
    this.#bytes -= entry.bytes;
    this.#destroyed++;
    buffer.destroy();
  }

  destroyAll(): void {
    this.#isClosed = true;
    for (const buffer of this.#live.keys()) buffer.destroy();
    this.#live.clear();
    this.#bytes = 0;
  }
}

/** A buffer that is replaced by a larger one when more is needed; contents are lost then. */
export class GrowingBuffer {
  readonly #memory: DeviceMemory;
  readonly #label: string;
  readonly #usage: number;
  #buffer: GPUBuffer | undefined;

  constructor(memory: DeviceMemory, label: string, usage: number) {
    this.#memory = memory;
    this.#label = label;
    this.#usage = usage;
  }

  atLeast(bytes: number): GPUBuffer {
    if (this.#buffer !== undefined && this.#buffer.size >= bytes) return this.#buffer;
    this.#memory.destroy(this.#buffer);
    this.#buffer = this.#memory.create(this.#label, bytes, this.#usage);
    return this.#buffer;
  }

  destroy(): void {
    this.#memory.destroy(this.#buffer);
    this.#buffer = undefined;
  }
}
