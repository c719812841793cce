/**
 * ONNX Runtime as a search engine: one matrix product and TopK, the batch at once. For cosine the rows are of unit length
 * (the order of a query's scores does not depend on the query's own); euclidean ranks by 2 q·x − ‖x‖², which is ‖q‖² less
 * the square.
 */
import type { CaseGroup, Contender } from "../cases/case.ts";
import type { OpenContender } from "../contender.ts";
import type { Vectors } from "../vectors.ts";
import { type ScoreModel, scoreModel } from "./onnx-model.ts";
import { type FloatVectors, floatVectors, metricOf, type OpenPeer, squaredLengths, unitVectors } from "./peer.ts";

interface Tensor {
  readonly data: BigInt64Array;
  dispose(): void;
}

interface Session {
  run(feeds: Readonly<Record<string, Tensor>>): Promise<{ readonly rows: Tensor; readonly scores: Tensor }>;
  release(): Promise<void>;
}

/** What the native and the WASM build have in common. */
export interface OnnxRuntime {
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, shape: readonly number[]) => Tensor;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
}

export const openOnnxRuntime: OpenPeer = (packages, contender, metric, vectors) =>
  openOnnxModel(packages.require("onnxruntime-node") as OnnxRuntime, contender, metric, vectors, {
    intraOpNumThreads: contender.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
  });

/** `threading`: session options that pin the threads. */
export async function openOnnxModel(
  runtime: OnnxRuntime,
  contender: Contender,
  metric: CaseGroup["metric"],
  vectors: Vectors,
  threading: object,
): Promise<OpenContender> {
  const isCosine = metricOf(contender, metric, { cosine: true, euclidean: false });
  const floats = floatVectors(contender, vectors);
  const { dimensions } = floats;
  const session = await runtime.InferenceSession.create(scoreModel(modelOf(isCosine, floats)), {
    graphOptimizationLevel: "all",
    ...threading,
  });
  return {
    contender,
    prepare: (queries, k) => {
      const feeds = {
        queries: new runtime.Tensor("float32", Float32Array.from(queries), [queries.length / dimensions, dimensions]),
        k: new runtime.Tensor("int64", BigInt64Array.of(BigInt(k)), [1]),
      };
      return {
        run: async () => {
          const output = await session.run(feeds);
          return { rows: () => Array.from(output.rows.data, Number) };
        },
      };
    },
    close: () => session.release(),
  };
}

function modelOf(isCosine: boolean, { dimensions, rows }: FloatVectors): ScoreModel {
  if (isCosine) return { dimensions, rows: unitVectors(rows, dimensions), alpha: 1 };
  return { dimensions, rows, bias: Float32Array.from(squaredLengths(rows, dimensions), (x) => -x), alpha: 2 };
}
