/**
 * TensorFlow.js as a search engine, on its WASM (SIMD, pinned by setThreadsCount) or its plain JavaScript backend: a matrix
 * product and topk, the batch at once. Rows lie transposed, [dimensions × rows]: their products took a sixth of the time of
 * `matMul(…, transposeB)` on WASM. Cosine has rows of unit length; euclidean ranks by 2 q·x − ‖x‖².
 */
import type { OpenContender } from "../contender.ts";
import type { CaseGroup, Contender } from "../cases/case.ts";
import type { Vectors } from "../vectors.ts";
import type { PeerPackages } from "./packages.ts";
import { floatVectors, metricOf, squaredLengths, unitVectors } from "./peer.ts";

interface Tensor {
  data(): Promise<Int32Array>;
  dispose(): void;
}

interface TensorFlow {
  enableProdMode(): void;
  setBackend(name: string): Promise<boolean>;
  tensor1d(values: Float32Array): Tensor;
  tensor2d(values: Float32Array, shape: readonly [number, number]): Tensor;
  tidy<T>(work: () => T): T;
  topk(scores: Tensor, k: number, sorted: boolean): { readonly values: Tensor; readonly indices: Tensor };
  readonly fused: { matMul(options: { a: Tensor; b: Tensor; bias?: Tensor }): Tensor };
}

/** Scores of one product, 128 MB: all 256 queries of 100,000 rows, 33 of a million, which WASM's 2 GB would not hold. */
const MOST_SCORES = 1 << 25;

export async function openTfjs(
  backend: "wasm" | "cpu",
  packages: PeerPackages,
  contender: Contender,
  metric: CaseGroup["metric"],
  vectors: Vectors,
): Promise<OpenContender> {
  const { dimensions, rowCount, rows } = floatVectors(contender, vectors);
  const isCosine = metricOf(contender, metric, { cosine: true, euclidean: false });
  const tf = packages.require("@tensorflow/tfjs") as TensorFlow;
  const wasm = packages.require("@tensorflow/tfjs-backend-wasm") as { setThreadsCount(threads: number): void };
  wasm.setThreadsCount(contender.threads);
  tf.enableProdMode(); // or it prints an advertisement for its native backend
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js could not start its backend ${backend}`);
  const stored = isCosine ? unitVectors(rows, dimensions) : rows;
  const b = tf.tensor2d(transposed(stored, dimensions), [dimensions, rowCount]);
  const bias = isCosine ? undefined : tf.tensor1d(Float32Array.from(squaredLengths(rows, dimensions), (x) => -x));

  const search = async (queries: Float32Array, k: number): Promise<Int32Array> => {
    const found = tf.tidy(() => {
      const a = tf.tensor2d(queries, [queries.length / dimensions, dimensions]);
      return tf.topk(tf.fused.matMul({ a, b, ...(bias === undefined ? {} : { bias }) }), k, true);
    });
    const nearest = await found.indices.data();
    found.indices.dispose();
    found.values.dispose();
    return nearest;
  };
  return {
    contender,
    prepare: (queries, k) => {
      const width = Math.max(1, Math.floor(MOST_SCORES / rowCount)) * dimensions;
      const scaled = Float32Array.from(queries, (x) => (isCosine ? x : 2 * x));
      const pieces = Array.from({ length: Math.ceil(scaled.length / width) }, (_, i) =>
        scaled.slice(i * width, (i + 1) * width),
      );
      return {
        run: async () => {
          // One backend is active a process, and the other contender of TensorFlow.js may have had its turn.
          await tf.setBackend(backend);
          const found: Int32Array[] = [];
          for (const piece of pieces) found.push(await search(piece, k));
          return { rows: () => found.flatMap((rowsOfPiece) => Array.from(rowsOfPiece)) };
        },
      };
    },
    close: async () => {
      await tf.setBackend(backend);
      b.dispose();
      bias?.dispose();
    },
  };
}

function transposed(values: Float32Array, dimensions: number): Float32Array {
  const rowCount = values.length / dimensions;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rowCount; row++)
    for (let d = 0; d < dimensions; d++) out[d * rowCount + row] = values[row * dimensions + d] ?? 0;
  return out;
}
