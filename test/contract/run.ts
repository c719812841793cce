/**
 * Runs one contract case on an index and compares with the oracle, bit for bit. Knows nothing of
 * vitest, so that the same code runs in the browser page.
 */
import { packBits } from "../../src/core/bits.ts";
import type { Precision } from "../../src/core/metric.ts";
import { reference, type ReferenceHit, storedRow } from "../../src/core/reference.ts";
import type { SearchReport, SearchResult } from "../../src/engine/result.ts";
import type { IndexStats, VectorIndex } from "../../src/engine/contract.ts";
import type { Internals } from "../../src/engine/create-index.ts";
import type { ContractCase } from "./cases.ts";
import { makeData } from "./data.ts";
import { uniform } from "./random.ts";

/** The constructors under test: of the built package, in Node or in a page. */
export interface Library {
  createIndex(options: { dimensions: number; metric: string; precision: string }): Promise<VectorIndex>;
  readonly RowSet: { of(rows: Iterable<number>, size: number): never };
}

export interface Expectation {
  readonly hits: readonly ReferenceHit[][];
  readonly eligible: number;
  readonly maxDistance: number | undefined;
}

export interface CaseOutcome {
  /** What differs from the oracle; empty when nothing does. */
  readonly problems: string[];
  readonly precision: Precision;
  readonly report: SearchReport;
  readonly stats: IndexStats;
}

/** Which rows each query of the case may find. */
function eligibleRows(c: ContractCase): boolean[][] {
  const draw = uniform(c.seed ^ 0x2545f491);
  const set = (keep: (row: number) => boolean): boolean[] => Array.from({ length: c.rows }, (_, row) => keep(row));
  switch (c.filter) {
    case "none":
      return [set(() => true)];
    case "half":
    case "removed":
      return [set(() => draw() < 0.5)];
    case "one-row":
      return [set((row) => row === c.rows - 1)];
    case "empty":
      return [set(() => false)];
    case "per-query":
      return Array.from({ length: c.queries }, (_, q) => set(() => draw() < (q % 4) / 4 + 0.05));
    default:
      return c.filter satisfies never;
  }
}

/** The elements of all vectors as rows store them. */
function stored(vectors: Float32Array, { precision, dimensions }: ContractCase): Float64Array {
  const out = new Float64Array(vectors.length);
  for (let at = 0; at < vectors.length; at += dimensions) {
    out.set(storedRow(precision, vectors.subarray(at, at + dimensions)), at);
  }
  return out;
}

/** Vectors as the case gives them: floats, and in every second case of b1 packed bits. */
function given(vectors: Float32Array, { precision, dimensions, seed }: ContractCase): Float32Array | Uint8Array {
  if (precision !== "b1" || seed % 2 === 0) return vectors;
  const size = Math.ceil(dimensions / 8);
  const count = vectors.length / dimensions;
  const bytes = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) packBits(vectors, i * dimensions, dimensions, bytes, i * size);
  return bytes;
}

export function expectation(c: ContractCase): Expectation {
  const data = makeData(c.data, c.metric, c.rows, c.queries, c.dimensions, c.seed, c.precision);
  const rows = stored(data.rows, c);
  const queries = c.precision === "b1" ? stored(data.queries, c) : data.queries;
  const eligible = eligibleRows(c);
  const answer = (q: number, k: number, maxDistance?: number): ReferenceHit[] =>
    reference({
      metric: c.metric,
      rows,
      dimensions: c.dimensions,
      query: queries.subarray(q * c.dimensions, (q + 1) * c.dimensions),
      k,
      isEligible: (row) => (eligible.length === 1 ? eligible[0] : eligible[q])?.[row] ?? false,
      ...(maxDistance === undefined ? {} : { maxDistance }),
    });
  const maxDistance = c.hasLimit && c.queries > 0 ? (answer(0, 5).at(-1)?.distance ?? 1) : undefined;
  const counts = eligible.map((set) => set.filter(Boolean).length);
  return {
    hits: Array.from({ length: c.queries }, (_, q) => answer(q, c.k, maxDistance)),
    eligible: counts.length === 1 ? (counts[0] ?? 0) * c.queries : counts.reduce((a, b) => a + b, 0),
    maxDistance,
  };
}

/** `settle`: waits, after the rows are in, for what goes on in the background. */
export async function runCase(
  library: Library,
  c: ContractCase,
  expected: Expectation,
  settle?: (index: VectorIndex) => Promise<void>,
): Promise<CaseOutcome> {
  const data = makeData(c.data, c.metric, c.rows, c.queries, c.dimensions, c.seed, c.precision);
  const { dimensions, metric, precision } = c;
  const index = await library.createIndex({ dimensions, metric, precision });
  try {
    await index.add(given(data.rows, c));
    await settle?.(index);
    const eligible = eligibleRows(c);
    const sets = eligible.map((set) => [...set.keys()].filter((row) => set[row]));
    if (c.filter === "removed")
      await index.remove([...(eligible[0] ?? []).keys()].filter((row) => eligible[0]?.[row] === false));
    const filters = sets.map((list) => library.RowSet.of(list, c.rows));
    const isFiltered = c.filter !== "none" && c.filter !== "removed";
    const result = await index.search(given(data.queries, c), {
      k: c.k,
      ...(isFiltered ? { filter: c.filter === "per-query" ? filters : (filters[0] ?? []) } : {}),
      ...(expected.maxDistance === undefined ? {} : { maxDistance: expected.maxDistance }),
    });
    return { problems: compare(c, result, expected), precision, report: result.report, stats: index.stats() };
  } finally {
    await index.close();
  }
}

function compare(c: ContractCase, result: SearchResult, { hits, eligible }: Expectation): string[] {
  const problems: string[] = [];
  const check = (what: string, got: unknown, wanted: unknown): void => {
    if (!Object.is(got, wanted) && problems.length < 5)
      problems.push(`${what}: got ${String(got)}, wanted ${String(wanted)}`);
  };
  const width = Math.min(c.k, c.rows);
  check("k", result.k, width);
  check("queries", result.queries, c.queries);
  check("report.exact", result.report.exact, true);
  check("report.total", result.report.total, eligible);
  check("report.scanned", result.report.scanned, eligible);
  check("rows.length", result.rows.length, c.queries * width);
  hits.forEach((wanted, q) => {
    check(`counts[${q}]`, result.counts[q], wanted.length);
    for (let i = 0; i < width; i++) {
      check(`rows[${q}][${i}]`, result.rows[q * width + i], wanted[i]?.row ?? 0xffffffff);
      check(`distances[${q}][${i}]`, result.distances[q * width + i], wanted[i]?.distance ?? Infinity);
    }
  });
  return problems;
}

/** Where a case claims to have run. */
export type Claim = "gpu" | "wasm" | "js";

/** What contradicts the claim: a case that could not run anywhere (no rows, no queries, nothing eligible) must have run nowhere. */
export function checkClaim(
  claim: Claim,
  { precision, report, stats }: CaseOutcome,
  inWorkers: boolean,
  scans: readonly string[] = ["scan_f32", "scan_b1"],
): string[] {
  const problems: string[] = [];
  const kernels = Object.keys(stats.cpu.kernels);
  const gpuScans = scans.reduce((sum, name) => sum + (stats.gpu?.kernels[name] ?? 0), 0);
  const isIdle = report.total === 0;
  if (isIdle) {
    if (stats.cpu.rowsScannedInWorkers + stats.cpu.rowsScannedInPage + gpuScans > 0)
      problems.push("something was scanned for nothing");
    return problems;
  }
  const suffix = claim === "js" ? "/js" : "/wasm";
  // The GPU may rule every row out by itself (maxDistance): then nothing is left to settle.
  const mayRest = claim === "gpu" && report.scan.survivors === 0;
  if ((kernels.length === 0 && !mayRest) || !kernels.every((name) => name.endsWith(suffix)))
    problems.push(`kernels ran: ${kernels.join(", ") || "none"}`);
  if (report.degraded.length > 0) problems.push(`degraded: ${report.degraded.join(", ")}`);
  if (claim === "gpu") {
    if (report.backend !== "gpu") problems.push(`report.backend is ${report.backend}`);
    if ((stats.gpu?.submits ?? 0) === 0) problems.push("no submit");
    if (gpuScans === 0) problems.push(`none of ${scans.join(", ")} ran on the GPU`);
    if (stats.cpu.rowsScannedInWorkers + stats.cpu.rowsScannedInPage > 0) problems.push("the CPU scanned");
    return problems;
  }
  // Rows may all be ruled out by their estimates (maxDistance); what is left is compared canonically.
  const exact = `distance_${precision === "f32" ? "f64" : precision}${suffix}`;
  if (report.scan.survivors > 0 && !kernels.includes(exact)) problems.push(`${exact} did not run`);
  if (report.backend !== "cpu") problems.push(`report.backend is ${report.backend}`);
  if (!scans.some((stem) => kernels.includes(`${stem}${suffix}`)) && !scans.includes("scan_f32"))
    problems.push(`none of ${scans.join(", ")} ran: ${kernels.join(", ")}`);
  const scanned = inWorkers ? stats.cpu.rowsScannedInWorkers : stats.cpu.rowsScannedInPage;
  const elsewhere = inWorkers ? stats.cpu.rowsScannedInPage : stats.cpu.rowsScannedInWorkers;
  if (scanned === 0 || elsewhere > 0) problems.push(`${scanned} rows scanned where claimed, ${elsewhere} elsewhere`);
  return problems;
}

/** Whether the case's pair of precision and metric has a bound. */
export const isProduct = (c: ContractCase): boolean =>
  c.precision !== "b1" && (c.metric === "cosine" || c.metric === "dot" || c.metric === "euclidean");

/** Float32 cannot hold the others' magnitudes, on the CPU: they are compared canonically. */
export const isCertifiable = (c: ContractCase): boolean => isProduct(c) && c.data !== "tiny" && c.data !== "huge";

/** Waits until all rows have the codes that the internals ask for. */
export async function codesReady(index: VectorIndex, { cpu }: Pick<Internals, "cpu">): Promise<void> {
  if (cpu?.["learnRows"] === undefined || index.size === 0) return;
  const directions = index.precision === "i8" ? undefined : cpu["directions"];
  for (const until = performance.now() + 60_000; ; ) {
    const { codes } = index.stats().cpu;
    if (performance.now() > until) throw new Error(`no codes after a minute: ${JSON.stringify(codes)}`);
    const isLearnt = codes?.directions === Math.min(directions ?? index.dimensions, index.dimensions);
    if (isLearnt && codes.codedRows === index.size && codes.learning === null) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}
