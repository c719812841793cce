/**
 * Runs the cases of one index through the public API: rows in, answers checked, searches timed,
 * the first answer compared again. Yields an outcome a case; owns and closes the index.
 */
import { freemem } from "node:os";
import { createIndex, type IndexStats, NearfieldError, type SearchResult, type VectorIndex } from "nearfield";
import { type Internals, withInternals } from "nearfield/testing";
import { sameAnswer } from "../answers.ts";
import type { BenchDevice } from "./device.ts";
import type { Case, IndexShape } from "./cases.ts";
import { RowGenerator } from "./data.ts";
import { type Peaks, warmUp } from "./peaks.ts";
import type { CaseOutcome, CaseTimes, Counters, Rate, UploadTimes } from "./record.ts";
import { roofline } from "./roofline.ts";
import { round, spreadOf } from "../statistics.ts";
import { findProblem } from "./verify.ts";

/** Searches are repeated until both are reached, or the most. */
const LEAST_REPETITIONS = 7;
const MOST_REPETITIONS = 400;
const CASE_MS = 700;
const COMPUTE_MS = 200;
/** The device is kept busy before times are taken, so that its clocks are those of a busy one. */
const WARM_MS = 200;
const PIPELINED_MS = 500;
/** Callers at once: enough to fill a ring of staging buffers, few enough to leave the batches as they are. */
const CALLERS = 4;
/** Different batches in turn, so that no cache of the last query's work is measured. */
const QUERY_SETS = 4;
/** Host memory beyond the rows: the engine's own, Node's, pieces on their way. */
const SPARE_BYTES = 2 * 2 ** 30;

export interface MeasureOptions {
  readonly bench: BenchDevice;
  /** Undefined: a smoke run, which records no speed. */
  readonly peaks: Peaks | undefined;
  readonly threads: number | undefined;
  readonly usesMatrixUnits: boolean;
  readonly onProgress: (stage: string) => void;
}

/** Shared with the engine, which asks it before each submit: timed kernels run in passes of their own, which takes time. */
interface Timing extends Record<string, number> {
  timestamps: 0 | 1;
}

type Measured = readonly [Case, CaseOutcome];

/** `cases`: all of one index. */
export async function* measureIndex(cases: readonly Case[], options: MeasureOptions): AsyncGenerator<Measured> {
  const [first] = cases;
  if (first === undefined) return;
  const missing = missingMemory(first);
  if (missing !== undefined) {
    yield* all(cases, { status: "failed", verified: false, reason: missing });
    return;
  }
  const generator = await RowGenerator.open(options.bench.device, first.dimensions);
  const timing: Timing = { timestamps: 0 };
  let index: VectorIndex | undefined;
  let addMs: number;
  try {
    options.onProgress("adding rows");
    index = await openIndex(first, timing, options);
    addMs = await fill(index, generator, first.rows, options.onProgress);
  } catch (error) {
    await index?.close();
    generator.close();
    yield* all(cases, outcomeOf(error));
    return;
  }
  try {
    let firstSearchMs: number | undefined;
    for (const c of cases) {
      options.onProgress(`batch ${c.batch}, k ${c.k}`);
      try {
        const run = new CaseRun(c, index, generator, timing, options);
        await run.prepare();
        firstSearchMs ??= run.firstSearchMs;
        const upload = { addMs: round(addMs), firstSearchMs: round(firstSearchMs), uploadedBytes: uploaded(index) };
        yield [c, await run.outcome(upload)];
      } catch (error) {
        yield [c, outcomeOf(error)];
      }
    }
  } finally {
    await index.close();
    generator.close();
  }
}

function* all(cases: readonly Case[], outcome: CaseOutcome): Generator<Measured> {
  for (const c of cases) yield [c, outcome];
}

function outcomeOf(error: unknown): CaseOutcome {
  const isMissing = error instanceof NearfieldError && error.code === "UNSUPPORTED";
  const reason = error instanceof Error ? error.message : String(error);
  return { status: isMissing ? "unsupported" : "failed", verified: false, reason };
}

/** Rows live in host memory as float32 whatever the device holds. */
function missingMemory({ rows, dimensions }: IndexShape): string | undefined {
  const needed = rows * dimensions * 4 + SPARE_BYTES;
  if (needed < freemem() || rows * dimensions < 2 ** 24) return undefined;
  return `needs ${gib(needed)} GiB of host memory, ${gib(freemem())} GiB are free`;
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function openIndex(
  shape: IndexShape,
  timing: Timing,
  { bench, threads, usesMatrixUnits }: MeasureOptions,
): Promise<VectorIndex> {
  const internals: Internals = { gpu: usesMatrixUnits ? Object.assign(timing, { matrix: 1 }) : timing };
  const { dimensions, metric, precision, scan } = shape;
  const options = { dimensions, metric, precision, scan, backend: "gpu", device: bench.device } as const;
  return createIndex(withInternals({ ...options, ...(threads === undefined ? {} : { threads }) }, internals));
}

/** Milliseconds spent in `add`. */
async function fill(
  index: VectorIndex,
  generator: RowGenerator,
  rows: number,
  onProgress: (stage: string) => void,
): Promise<number> {
  let addMs = 0;
  let done = 0;
  for await (const piece of generator.pieces(rows)) {
    const started = performance.now();
    await index.add(piece);
    addMs += performance.now() - started;
    done += piece.length / generator.dimensions;
    onProgress(`adding rows: ${Math.floor((done / rows) * 100)} %`);
  }
  return addMs;
}

function uploaded(index: VectorIndex): number {
  return index.stats().gpu?.uploadedBytes ?? 0;
}

class CaseRun {
  /** Of this case; the first of an index brings the rows to the device. */
  firstSearchMs = 0;
  readonly #case: Case;
  readonly #index: VectorIndex;
  readonly #generator: RowGenerator;
  readonly #timing: Timing;
  readonly #options: MeasureOptions;
  #queries: readonly Float32Array[] = [];
  #answer: SearchResult | undefined;

  constructor(c: Case, index: VectorIndex, generator: RowGenerator, timing: Timing, options: MeasureOptions) {
    this.#case = c;
    this.#index = index;
    this.#generator = generator;
    this.#timing = timing;
    this.#options = options;
  }

  async prepare(): Promise<void> {
    const { batch, dimensions } = this.#case;
    const queries = await this.#generator.queries(batch * QUERY_SETS);
    this.#queries = Array.from({ length: QUERY_SETS }, (_, i) =>
      queries.subarray(i * batch * dimensions, (i + 1) * batch * dimensions),
    );
    const started = performance.now();
    this.#answer = await this.#search(0);
    this.firstSearchMs = performance.now() - started;
  }

  async outcome(upload: UploadTimes): Promise<CaseOutcome> {
    const answer = this.#answer;
    const [queries] = this.#queries;
    if (answer === undefined || queries === undefined) throw new Error("prepare() comes first");
    if (this.#case.scan === "certified" && answer.report.scan.method === "full")
      return { status: "unsupported", verified: false, reason: "the engine answered by a full scan" };
    const problem = await findProblem(this.#generator, this.#case, queries, answer);
    if (problem !== undefined) return { status: "wrong", verified: false, reason: problem };
    const { peaks } = this.#options;
    const times = peaks === undefined ? undefined : await this.#times(upload);
    const before = this.#index.stats();
    const last = await this.#search(0);
    const counters = countersOf(before, this.#index.stats(), last);
    if (!sameAnswer(answer, last))
      return { status: "wrong", verified: false, reason: "the answer after timing differs from the one before" };
    const fallback = fallbackOf(last);
    if (fallback !== undefined) return { status: "failed", verified: false, reason: fallback };
    if (times === undefined || peaks === undefined)
      return { status: "ok", verified: true, times: null, rates: null, counters };
    if (typeof times === "string") return { status: "failed", verified: false, reason: times };
    const floor = roofline({ ...this.#case, prefixDimensions: counters.prefixDimensions }, peaks);
    const rate = (ms: number): Rate => ({
      bytesPerSecond: round(floor.bytes / (ms / 1000)),
      operationsPerSecond: round(floor.operations / (ms / 1000)),
      fraction: round(floor.floorMs / ms),
    });
    const rates = {
      ...floor,
      floorMs: round(floor.floorMs),
      compute: times.computeMs === null ? null : rate(times.computeMs.median),
      endToEnd: rate(times.endToEndMs.median),
    };
    return { status: "ok", verified: true, times, rates, counters };
  }

  #search(turn: number): Promise<SearchResult> {
    const queries = this.#queries[turn % QUERY_SETS];
    if (queries === undefined) throw new Error("prepare() comes first");
    return this.#index.search(queries, { k: this.#case.k });
  }

  /** The times, or why they say nothing. */
  async #times(upload: UploadTimes): Promise<CaseTimes | string> {
    for (let i = 0; i < 2; i++) await this.#search(i + 1); // buffers are there
    await warmUp(this.#options.bench.device, WARM_MS);
    const endToEnd: number[] = [];
    const wrong = await this.#repeated(CASE_MS, async (turn) => {
      const at = performance.now();
      const result = await this.#search(turn);
      endToEnd.push(performance.now() - at);
      return result;
    });
    if (wrong !== undefined) return wrong;
    const pipelinedQps = round(await this.#pipelined());
    const compute: number[] = [];
    const kernelsBefore = kernelTimes(this.#index);
    this.#timing.timestamps = 1;
    try {
      await warmUp(this.#options.bench.device, WARM_MS);
      const amiss = await this.#repeated(COMPUTE_MS, async (turn) => {
        const before = totalOf(kernelTimes(this.#index));
        const result = await this.#search(turn);
        const after = totalOf(kernelTimes(this.#index));
        if (before !== undefined && after !== undefined) compute.push(after - before);
        return result;
      });
      if (amiss !== undefined) return amiss;
    } finally {
      this.#timing.timestamps = 0;
    }
    const kernelsAfter = kernelTimes(this.#index);
    return {
      upload,
      endToEndMs: spreadOf(endToEnd),
      computeMs: compute.length > 0 ? spreadOf(compute) : null,
      kernelMs: kernelsAfter === undefined ? null : perSearch(kernelsBefore ?? {}, kernelsAfter, compute.length),
      pipelinedQps,
      callers: CALLERS,
    };
  }

  /** Searches for so many milliseconds, and often enough; what is amiss with an answer, if anything. */
  async #repeated(ms: number, search: (turn: number) => Promise<SearchResult>): Promise<string | undefined> {
    const started = performance.now();
    for (let turn = 0; turn < LEAST_REPETITIONS || performance.now() - started < ms; turn++) {
      if (turn === MOST_REPETITIONS) return undefined;
      const fallback = fallbackOf(await search(turn));
      if (fallback !== undefined) return fallback;
    }
    return undefined;
  }

  async #pipelined(): Promise<number> {
    const started = performance.now();
    let searches = 0;
    const caller = async (number: number): Promise<void> => {
      do {
        await this.#search(number);
        searches++;
      } while (performance.now() - started < PIPELINED_MS);
    };
    await Promise.all(Array.from({ length: CALLERS }, (_, i) => caller(i)));
    return (searches * this.#case.batch) / ((performance.now() - started) / 1000);
  }
}

/** Cumulative milliseconds by kernel, where the engine and the device have them. */
function kernelTimes(index: VectorIndex): Readonly<Record<string, number>> | undefined {
  const { gpu } = index.stats();
  const times: unknown = gpu === null ? undefined : Reflect.get(gpu, "kernelMs");
  return typeof times === "object" && times !== null ? { ...times } : undefined;
}

function totalOf(times: Readonly<Record<string, number>> | undefined): number | undefined {
  return times === undefined ? undefined : Object.values(times).reduce((sum, ms) => sum + ms, 0);
}

function perSearch(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
  searches: number,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([name, ms]) => [name, round((ms - (before[name] ?? 0)) / searches)]),
  );
}

/** A search that was not the GPU's own says nothing about it. */
function fallbackOf({ report }: SearchResult): string | undefined {
  const amiss = report.degraded.filter((what) => what !== "boundary:1e-6");
  if (amiss.length > 0) return `degraded: ${amiss.join(", ")}`;
  return report.backend === "gpu" ? undefined : `the ${report.backend} finished the search`;
}

function countersOf(before: IndexStats, after: IndexStats, { report }: SearchResult): Counters {
  const { survivors, rescans, method, prefixDimensions } = report.scan;
  const [a, b] = [before.gpu, after.gpu];
  return {
    submits: (b?.submits ?? 0) - (a?.submits ?? 0),
    dispatches: (b?.dispatches ?? 0) - (a?.dispatches ?? 0),
    readBackBytes: (b?.readBackBytes ?? 0) - (a?.readBackBytes ?? 0),
    survivors,
    rescans,
    method,
    prefixDimensions,
    shards: b?.shards ?? 0,
    streamedRows: (b?.streamedRows ?? 0) - (a?.streamedRows ?? 0),
    residentBytes: b?.residentBytes ?? 0,
  };
}
