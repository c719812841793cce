/** The GPU backend as the engine gets it: a device found or adopted, and a scanner on it. */
import type { LearnDirections, ProposerFactory } from "../core/backend.ts";
import type { EventSink } from "../core/events.ts";
import type { WorkSlices } from "../core/slices.ts";
import { adoptDevice, type GpuProvider, requestDevice } from "./device.ts";
import { onDeviceLost } from "./device-loss.ts";
import type { GpuTuning } from "./tuning.ts";

export function gpuFactory(
  provider: GpuProvider,
  slices: WorkSlices,
  emit: EventSink,
  learn: LearnDirections,
  tuning?: GpuTuning,
): ProposerFactory {
  return async (request) => {
    const result =
      request.device === undefined
        ? await requestDevice(provider, request.acceptSoftware, request.reason)
        : { open: adoptDevice(request.device, request.reason) };
    if ("refused" in result) return result;
    const { open } = result;
    // Most of this backend, and of no use where there is no device.
    const code = await import("./scanner.ts").catch((cause: unknown) => ({ cause }));
    if ("cause" in code) {
      open.close();
      return { refused: `the GPU backend's code could not be loaded (${String(code.cause)})`, cause: code.cause };
    }
    const { GpuScanner } = code;
    const proposer = new GpuScanner({
      open,
      memoryBudgetBytes: request.memoryBudgetBytes,
      scan: request.scan,
      slices,
      learn,
      onLearningFailed: (cause) =>
        emit({
          code: "gpu-variant-failed",
          level: "warning",
          message: `directions for the GPU's codes could not be learnt; searches go on by codes of the rows themselves: ${String(cause)}`,
          cause,
        }),
      onVariantFailed: (variant, cause) =>
        emit({
          code: "gpu-variant-failed",
          level: "warning",
          message: `the GPU kernel ${variant} is not used on this device: ${String(cause)}`,
          cause,
        }),
      onCodeMissing: (what, cause) =>
        emit({
          code: "gpu-variant-failed",
          level: "warning",
          message: `the GPU backend's code for ${what} could not be loaded; searches do without, and it is tried again: ${String(cause)}`,
          cause,
        }),
      ...(tuning === undefined ? {} : { tuning }),
    });
    const lost = new Promise<string>((resolve) => {
      const stopListening = onDeviceLost(open.device, resolve);
      proposer.onClose(() => {
        stopListening();
        resolve("let go of"); // nobody listens any more, but nobody shall wait for ever
      });
    });
    return { open: { proposer, lost, lose: () => open.device.destroy() } };
  };
}
