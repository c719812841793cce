/** ONNX Runtime's WASM build, as pages load it, with the same model as the native one; numThreads pins its threads. */
import { type OnnxRuntime, openOnnxModel } from "./onnxruntime.ts";
import type { OpenPeer } from "./peer.ts";

interface OnnxRuntimeWeb extends OnnxRuntime {
  readonly env: { readonly wasm: { numThreads: number } };
}

export const openOnnxRuntimeWeb: OpenPeer = (packages, contender, metric, vectors) => {
  const runtime = packages.require("onnxruntime-web") as OnnxRuntimeWeb;
  runtime.env.wasm.numThreads = contender.threads;
  return openOnnxModel(runtime, contender, metric, vectors, { executionProviders: ["wasm"] });
};
