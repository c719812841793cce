/** The options of `createIndex`: what they are, and their check, one by one, before anything is opened. */
import { describe, NearfieldError } from "../core/errors.ts";
import type { EngineEvent } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { isBitMetric, type Metric, metricFits, METRICS, type Precision, PRECISIONS } from "../core/metric.ts";
import type { IndexOptions } from "./contract.ts";

/** Options after the check, defaults filled in. */
export interface ResolvedOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly precision: Precision;
  readonly scan: "auto" | "full" | "certified";
  readonly backend: "auto" | "gpu" | "cpu";
  readonly device: GPUDevice | undefined;
  readonly threads: number;
  readonly memoryBudgetBytes: number | undefined;
  readonly skipsInvalid: boolean;
  readonly batchWindowMs: number;
  readonly maxQueued: number;
  readonly workerUrl: string | URL | undefined;
  readonly wasmUrl: string | URL | undefined;
  readonly onEvent: ((event: EngineEvent) => void) | undefined;
}

/** Throws INVALID_DIMENSIONS, INVALID_OPTION, or UNSUPPORTED for a certified scan of a metric without a bound. */
export function resolveOptions(options: IndexOptions, defaultThreads: number): ResolvedOptions {
  if (typeof options !== "object" || options === null) {
    throw invalidOption("options", options, "an object such as { dimensions: 384 }", "see createIndex");
  }
  const { dimensions } = options;
  if (!isIntegerIn(dimensions, 1, LIMITS.maxDimensions)) {
    throw new NearfieldError("INVALID_DIMENSIONS", {
      got: `dimensions ${describe(dimensions)}`,
      expected: `an integer from 1 to ${LIMITS.maxDimensions}`,
      remedy: "give the length of your vectors",
    });
  }
  const precision = oneOf("precision", options.precision ?? "f32", PRECISIONS);
  const metric = oneOf("metric", options.metric ?? (precision === "b1" ? "hamming" : "cosine"), METRICS);
  if (!metricFits(metric, precision)) {
    throw invalidOption(
      "metric and precision",
      `${metric} with ${precision}`,
      "cosine, dot, euclidean or manhattan with f32, f16 or i8; hamming or jaccard with b1",
      "change one of the two",
    );
  }
  const scan = oneOf("scan", options.scan ?? "auto", ["auto", "full", "certified"]);
  if (scan === "certified" && (metric === "manhattan" || isBitMetric(metric))) {
    throw new NearfieldError("UNSUPPORTED", {
      got: `scan "certified" with metric ${metric}`,
      expected: "cosine, dot or euclidean, whose distances an int8 scan can bound",
      remedy: 'use scan "auto" or "full": the answer is the same',
    });
  }
  return {
    dimensions,
    metric,
    precision,
    scan,
    backend: oneOf("backend", options.backend ?? "auto", ["auto", "gpu", "cpu"]),
    device: checkedDevice(options.device),
    threads: integer("threads", options.threads, Math.min(defaultThreads, LIMITS.maxThreads), 1, LIMITS.maxThreads),
    memoryBudgetBytes:
      options.memoryBudgetBytes === undefined
        ? undefined
        : integer("memoryBudgetBytes", options.memoryBudgetBytes, 0, 1, Number.MAX_SAFE_INTEGER),
    skipsInvalid: oneOf("invalid", options.invalid ?? "reject", ["reject", "skip"]) === "skip",
    batchWindowMs: milliseconds(options.batchWindowMs),
    maxQueued: integer("maxQueued", options.maxQueued, LIMITS.queuedQueries, 1, Number.MAX_SAFE_INTEGER),
    workerUrl: url("workerUrl", options.workerUrl),
    wasmUrl: url("wasmUrl", options.wasmUrl),
    onEvent: callback(options.onEvent),
  };
}

function isIntegerIn(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw invalidOption(name, value, allowed.map((a) => `"${a}"`).join(", "), "choose one of these");
}

function integer(name: string, value: unknown, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback;
  if (isIntegerIn(value, least, most)) return value;
  throw invalidOption(name, value, `an integer from ${least} to ${most}`, "leave it out for the default");
}

function milliseconds(value: unknown): number {
  if (value === undefined) return LIMITS.batchWindowMs;
  if (typeof value === "number" && value >= 0 && value <= LIMITS.maxBatchWindowMs) return value;
  throw invalidOption(
    "batchWindowMs",
    value,
    `a number from 0 to ${LIMITS.maxBatchWindowMs}`,
    "leave it out for the default",
  );
}

function url(name: string, value: unknown): string | URL | undefined {
  if (value === undefined || value instanceof URL || (typeof value === "string" && value !== "")) return value;
  throw invalidOption(name, value, "a string or URL", "leave it out to use what is built in");
}

function checkedDevice(value: GPUDevice | undefined): GPUDevice | undefined {
  if (value === undefined || typeof value?.createBuffer === "function") return value;
  throw invalidOption("device", value, "a GPUDevice", "leave it out to let nearfield request one");
}

function callback(value: unknown): ((event: EngineEvent) => void) | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "function") return (event) => void value(event);
  throw invalidOption("onEvent", value, "a function", "leave it out to hear nothing");
}

export function invalidOption(name: string, value: unknown, expected: string, remedy: string): NearfieldError {
  return new NearfieldError("INVALID_OPTION", {
    got: `${describe(value)} for ${name}`,
    expected,
    remedy,
  });
}

/** Throws INVALID_OPTION for a signal that is none. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw invalidOption("signal", signal, "an AbortSignal", "leave it out, or give controller.signal");
}
