/** A file of vectors as an index: what scoring and evaluation search. */
import { NearfieldError } from "../core/errors.ts";
import type { FloatMetric, Precision } from "../core/metric.ts";
import type { VectorIndex } from "../engine/contract.ts";
import { createIndexOn } from "../engine/create-index.ts";
import { openVectors } from "../io/open-source.ts";
import type { VectorBatch, VectorSource } from "../io/vector-source.ts";
import { platform } from "../node-platform.ts";
import { ProgressBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

export interface BaseOptions {
  /** The file. */
  readonly base: string;
  readonly metric: FloatMetric;
  readonly precision: Exclude<Precision, "b1">;
  /** Of the queries; another width is refused. */
  readonly dimensions: number;
  readonly backend?: "auto" | "gpu" | "cpu";
  readonly threads?: number;
  /** Refuse a software rasteriser before anything is read (BACKEND_UNAVAILABLE). Default false. */
  readonly isTimed?: boolean;
}

const BASE_BATCH = 16_384;

/** An index of all rows of the base. Rejects where a row is none: numbers of rows must be those of the file. */
export async function indexOfFile(
  { base, metric, precision, dimensions, backend = "auto", threads, isTimed = false }: BaseOptions,
  terminal: Terminal,
): Promise<VectorIndex> {
  const source = await openVectors(base);
  const bar = new ProgressBar(terminal, "reading the base", "rows", source.rowCount);
  let index: VectorIndex | undefined;
  try {
    if (source.dimensions !== dimensions) {
      throw new NearfieldError("INVALID_DIMENSIONS", {
        got: `rows of ${source.dimensions} elements and queries of ${dimensions}`,
        expected: "the same",
        remedy: "give queries of the model that made the base",
      });
    }
    const wanted = { dimensions, metric, precision, backend };
    index = await createIndexOn(platform, threads === undefined ? wanted : { ...wanted, threads });
    if (isTimed && index.backend.software) {
      throw new NearfieldError("BACKEND_UNAVAILABLE", {
        got: `${index.backend.name}, a software rasteriser, as the GPU`,
        expected: "a GPU whose speed means something",
        remedy: "say --backend cpu, or install a GPU driver",
      });
    }
    for await (const { vectors, first } of wholeBatches(source, BASE_BATCH)) {
      await index.add(vectors).catch((error: unknown) => {
        throw rowOf(error, base, first);
      });
      bar.show(index.rowCount);
    }
    return index;
  } catch (error) {
    await index?.close();
    throw error;
  } finally {
    bar.stop();
    await source.close();
  }
}

/** An error of `add` in words of the file. */
function rowOf(error: unknown, path: string, first: number): unknown {
  const details: unknown = error instanceof NearfieldError ? error.details : undefined;
  const position: unknown =
    typeof details === "object" && details !== null ? Reflect.get(details, "position") : undefined;
  if (typeof position !== "number") return error;
  return new NearfieldError("INVALID_VECTOR", {
    got: `row ${first + position} of ${path}, counted from 0, which the metric or the precision cannot take`,
    expected: "finite numbers in every row, and under cosine not zeros alone",
    remedy: "repair it: rows are known by their numbers, so none can be left out",
    details: { row: first + position },
    cause: error,
  });
}

/** Batches that have every row. */
export async function* wholeBatches(
  source: VectorSource,
  size: number,
  from = 0,
): AsyncGenerator<VectorBatch, void, void> {
  for await (const batch of source.batches({ from, size })) {
    const [bad] = batch.rejected;
    if (bad !== undefined) {
      throw new NearfieldError("INVALID_VECTOR", {
        got: `row ${bad.row} of ${source.path}: ${bad.reason}`,
        expected: "a vector in every row",
        remedy: "repair it",
        details: bad,
      });
    }
    yield batch;
  }
}
