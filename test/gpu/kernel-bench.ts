/** A device with the engine's own memory, commands and pipelines, for tests that run kernels one by one. */
import { Commands } from "../../src/gpu/commands.ts";
import { settle } from "../../src/gpu/error-scopes.ts";
import { MAP_READ, USAGE } from "../../src/gpu/flags.ts";
import { GEMM_KERNELS } from "../../src/gpu/gemm-shaders.ts";
import { DeviceMemory } from "../../src/gpu/memory.ts";
import { Pipelines } from "../../src/gpu/pipelines.ts";
import { openTestDevice, type TestDevice } from "../setup/device.ts";

type Words = Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

export class KernelBench {
  readonly opened: TestDevice;
  readonly memory: DeviceMemory;
  readonly commands: Commands;
  readonly pipelines: Pipelines;

  private constructor(opened: TestDevice) {
    this.opened = opened;
    this.memory = new DeviceMemory(opened.device);
    this.commands = new Commands(this.memory, { submits: 0, dispatches: 0, bindGroupsCreated: 0, kernels: {} });
    this.pipelines = new Pipelines(opened.device, 64, true);
    this.pipelines.add(GEMM_KERNELS);
  }

  static async open(): Promise<KernelBench> {
    return new KernelBench(await openTestDevice());
  }

  upload(data: Words): GPUBuffer {
    const buffer = this.memory.create("test", data.byteLength, USAGE.storage | USAGE.copyDst | USAGE.copySrc);
    if (data.byteLength > 0) this.memory.write(buffer, 0, data);
    return buffer;
  }

  async download(buffer: GPUBuffer, bytes: number = buffer.size): Promise<Uint32Array> {
    const target = this.memory.create("test", bytes, USAGE.mapRead | USAGE.copyDst);
    this.commands.copy(buffer, 0, target, 0, bytes);
    this.commands.submit();
    await target.mapAsync(MAP_READ);
    const copy = new Uint32Array(target.getMappedRange().slice(0, bytes));
    this.memory.destroy(target);
    await settle(this.memory.errors.take());
    return copy;
  }

  close(): void {
    this.memory.destroyAll();
    this.opened.close();
  }
}
