/** Every variant of every shader that the engine can ask for. */
import { FLOAT_METRICS, type FloatMetric, type Precision } from "../../src/core/metric.ts";
import type { MatrixShape, TileShape, Variant } from "../../src/gpu/pipelines.ts";
import { GEMM_KERNELS } from "../../src/gpu/gemm-shaders.ts";
import { SHAPES } from "../../src/gpu/gemm-variants.ts";
import { KERNELS, type KernelName, type KernelSource } from "../../src/gpu/shaders.ts";

/** The shaders of every search and those that come with large batches. */
export const SOURCES: Readonly<Record<KernelName, KernelSource>> = { ...KERNELS, ...GEMM_KERNELS };

const FLOAT_PRECISIONS: readonly Precision[] = ["f32", "f16", "i8"];
const PRODUCT_METRICS: readonly FloatMetric[] = ["cosine", "dot", "euclidean"];
const EMITS = ["keys", "candidates"] as const;
const REGISTER_QUERIES = [1, 2, 4, 8, 16];

const factsOf = (precision: Precision): number => (precision === "i8" ? 2 : 1);
const codeFactsOf = (metric: FloatMetric): number => (metric === "cosine" ? 2 : 3);

function* plain(shapes: readonly Pick<Variant, "qb" | "tile">[]): Generator<Variant> {
  for (const metric of FLOAT_METRICS) {
    for (const precision of FLOAT_PRECISIONS) {
      for (const emit of EMITS) {
        for (const shape of shapes) yield { metric, precision, emit, facts: factsOf(precision), ...shape };
      }
    }
  }
}

function* coded(shapes: readonly Pick<Variant, "qb" | "tile" | "sum" | "matrix">[]): Generator<Variant> {
  for (const metric of PRODUCT_METRICS) {
    for (const emit of EMITS) {
      for (const shape of shapes) yield { metric, emit, facts: codeFactsOf(metric), rounding: 2 ** -19, ...shape };
    }
  }
}

function* bits(): Generator<Variant> {
  for (const metric of ["hamming", "jaccard"] as const) {
    for (const emit of metric === "hamming" ? ([...EMITS, "histogram"] as const) : EMITS) {
      for (const qb of REGISTER_QUERIES) yield { metric, precision: "b1", emit, facts: 1, qb };
    }
  }
}

function* encoders(): Generator<Variant> {
  for (const metric of PRODUCT_METRICS) {
    for (const isIdentity of [true, false]) {
      yield { metric, precision: "f32", facts: 1, codeFacts: 8, isIdentity, isQuery: true };
      for (const precision of ["f32", "f16"] as const) {
        yield { metric, precision, facts: 1, codeFacts: codeFactsOf(metric), isIdentity, isQuery: false };
      }
    }
  }
}

function* refiners(): Generator<Variant> {
  for (const metric of FLOAT_METRICS) {
    for (const precision of FLOAT_PRECISIONS) yield { metric, precision, facts: factsOf(precision) };
  }
  for (const metric of ["hamming", "jaccard"] as const) yield { metric, precision: "b1", facts: 1 };
}

const inRegisters = REGISTER_QUERIES.map((qb) => ({ qb }));
const tiled = (shapes: readonly TileShape[]): { tile: TileShape }[] => shapes.map((tile) => ({ tile }));

/** Those of the table that stay within the default limits. */
const SMALLEST_MATRIX = SHAPES.gemm_i8_matrix.slice(-1);

function* halved(shapes: readonly Pick<Variant, "tile" | "sum" | "matrix">[]): Generator<Variant> {
  for (const metric of ["cosine", "dot"] as const) {
    for (const emit of EMITS) {
      for (const shape of shapes) yield { metric, precision: "f16", emit, facts: 1, ...shape };
    }
  }
}

const MATRIX_I8: MatrixShape = { component: "i8", m: 16, n: 16, k: 32, lanes: 32 };
const MATRIX_F16: MatrixShape = { component: "f16", m: 16, n: 16, k: 16, lanes: 32 };

/** Variants for matrix units, of every tile. */
export function matrixVariants(name: "gemm_i8_matrix" | "gemm_f16_matrix"): Variant[] {
  const matrix = name === "gemm_i8_matrix" ? MATRIX_I8 : MATRIX_F16;
  const shapes = SHAPES[name].map((tile) => ({ tile, sum: "matrix" as const, matrix }));
  return name === "gemm_i8_matrix" ? [...coded(shapes)] : [...halved(shapes)];
}

/** Variants that compile on any device with the default limits. */
export function variants(name: KernelName): Variant[] {
  switch (name) {
    case "scan_f32":
      return [...plain(inRegisters)];
    case "gemm_f32":
      return [...plain(tiled(SHAPES.gemm_f32))];
    case "scan_i8":
      return [...coded(inRegisters)];
    case "gemm_i8":
      return [...coded(tiled(SHAPES.gemm_i8))];
    case "gemm_i8_matrix":
      return [...coded(SMALLEST_MATRIX.map((tile) => ({ tile, sum: "plain" as const })))];
    case "gemm_f16_matrix":
      return [...halved(SMALLEST_MATRIX.map((tile) => ({ tile, sum: "plain" as const })))];
    case "scan_b1":
      return [...bits()];
    case "encode_i8":
      return [...encoders()];
    case "refine":
      return [...refiners()];
    case "collect":
      return [true, false].map((usesPick) => ({ emit: "candidates", usesPick }));
    case "compact":
      return [{ usesPick: true }, { usesPick: false }];
    case "repack":
    case "blank":
    case "select_k":
    case "select_bin":
    case "rank_ties":
      return [{}];
    default:
      return name satisfies never;
  }
}
