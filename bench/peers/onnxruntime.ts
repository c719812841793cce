/**
 * ONNX Runtime as a search engine: one matrix product and TopK. For cosine the rows are of unit length (the order of a
 * query's scores does not depend on the query's own); euclidean ranks by 2 q·x − ‖x‖², which is ‖q‖² less the square.
 */
import type { CaseGroup, Contender } from "../cases.ts";
import type { OpenContender } from "../contender.ts";
import type { Vectors } from "../vectors.ts";
import { type ScoreModel, scoreModel } from "./onnx-model.ts";
import type { PeerPackages } from "./packages.ts";

interface Tensor {
  readonly data: BigInt64Array;
  dispose(): void;
}

interface Session {
  run(feeds: Readonly<Record<string, Tensor>>): Promise<{ readonly rows: Tensor; readonly scores: Tensor }>;
  release(): Promise<void>;
}

interface OnnxRuntime {
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, shape: readonly number[]) => Tensor;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
}

export async function openOnnxRuntime(
  packages: PeerPackages,
  contender: Contender,
  metric: CaseGroup["metric"],
  { dimensions, rows }: Vectors,
): Promise<OpenContender> {
  if (rows instanceof Uint8Array) throw new Error("the model takes no packed bits");
  const runtime = packages.require("onnxruntime-node") as OnnxRuntime;
  const session = await runtime.InferenceSession.create(scoreModel(modelOf(metric, dimensions, rows)), {
    intraOpNumThreads: contender.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
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

function modelOf(metric: CaseGroup["metric"], dimensions: number, rows: Float32Array): ScoreModel {
  const count = rows.length / dimensions;
  const squares = new Float64Array(count);
  for (let i = 0; i < rows.length; i++) {
    const row = Math.floor(i / dimensions);
    squares[row] = (squares[row] ?? 0) + (rows[i] ?? 0) ** 2;
  }
  if (metric === "euclidean")
    return { dimensions, rows, bias: new Float32Array(squares).map((square) => -square), alpha: 2 };
  const scaled = rows.map((value, i) => value / Math.sqrt(squares[Math.floor(i / dimensions)] ?? 1));
  return { dimensions, rows: scaled, alpha: 1 };
}
