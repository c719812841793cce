/**
 * `nearfield eval`: how much of the truth a search finds, as a gate for pipelines. A row counts as
 * found where it is no farther than the k-th true neighbour, 1e-3 relative, as in ann-benchmarks:
 * among rows at the same distance none is righter than another.
 */
import { Command, Option } from "commander";
import { NearfieldError } from "../core/errors.ts";
import type { FloatMetric, Precision } from "../core/metric.ts";
import { referenceDistance } from "../core/reference.ts";
import type { VectorIndex } from "../engine/contract.ts";
import { checkIsFree } from "../io/file-output.ts";
import { openNeighbourSink } from "../io/neighbour-sink.ts";
import { openVectors, readNeighbours } from "../io/open-source.ts";
import type { NeighbourLists, VectorBatch, VectorSource } from "../io/vector-source.ts";
import { atLeastOne, share } from "./arguments.ts";
import { indexOfFile, wholeBatches } from "./base-index.ts";
import { CommandFailure } from "./failure.ts";
import { type Recall, recallOf } from "./recall.ts";
import type { Terminal } from "./terminal.ts";

interface EvalOptions {
  readonly base: string;
  readonly queries: string;
  readonly truth?: string;
  readonly makeTruth?: string;
  readonly k: number;
  readonly metric: FloatMetric;
  readonly precision: Exclude<Precision, "b1">;
  readonly minRecall?: number;
  readonly json?: boolean;
}

const QUERY_BATCH = 1024;
/** Relative distance beyond the k-th true one at which a row still counts as found. */
const TOLERANCE = 1e-3;
/** Share of the queries of which a truth may list rows that are not the nearest, as float32 arithmetic does among near duplicates; one for another base or metric does of nearly all. */
const MOST_DOUBTED = 0.1;
/** Relative distance by which k rows must all be nearer than the k-th true one for that. */
const DOUBT = 1e-2;

export function evalCommand(terminal: Terminal): Command {
  return new Command("eval")
    .description("recall of a search against true neighbours; exits 1 below --min-recall")
    .requiredOption("--base <file>", "the rows, in any format that import reads")
    .requiredOption("--queries <file>", "the queries")
    .option("--truth <file>", "true neighbours, row numbers of the base: .ivecs, .ibin or .npy of integers")
    .option("--make-truth <file>", "write the true neighbours, found exactly, to .ivecs or .npy instead")
    .option("-k, --k <neighbours>", "neighbours looked at", atLeastOne, 10)
    .addOption(
      new Option("--metric <metric>", "what near means")
        .choices(["cosine", "dot", "euclidean", "manhattan"])
        .default("cosine"),
    )
    .addOption(
      new Option("--precision <precision>", "how the rows that are searched are stored")
        .choices(["f32", "f16", "i8"])
        .default("f32"),
    )
    .option("--min-recall <share>", "exit with 1 where the mean is below, such as 0.95", share)
    .option("--json", "print JSON")
    .action((options: EvalOptions) => {
      if ((options.truth === undefined) === (options.makeTruth === undefined)) {
        throw new NearfieldError("INVALID_OPTION", {
          got: options.truth === undefined ? "neither --truth nor --make-truth" : "both --truth and --make-truth",
          expected: "one of them",
          remedy: "give the true neighbours, or the file that they shall be written to",
        });
      }
      if (options.makeTruth !== undefined && options.minRecall !== undefined) {
        throw new NearfieldError("INVALID_OPTION", {
          got: "--min-recall with --make-truth",
          expected: "a truth to measure against",
          remedy: "make the truth first, then give it as --truth",
        });
      }
      return options.makeTruth === undefined
        ? evaluate(options, options.truth ?? "", terminal)
        : makeTruth(options, options.makeTruth, terminal);
    });
}

async function makeTruth(options: EvalOptions, path: string, terminal: Terminal): Promise<void> {
  await checkIsFree(path);
  const queries = await openVectors(options.queries);
  let index: VectorIndex | undefined;
  try {
    index = await indexOfFile({ ...options, precision: "f32", dimensions: queries.dimensions }, terminal);
    const { k } = options;
    const sink = await openNeighbourSink(path, Math.min(k, index.rowCount));
    let count = 0;
    try {
      for await (const batch of wholeBatches(queries, QUERY_BATCH)) {
        if (terminal.interrupted.aborted) throw new CommandFailure("interrupted; nothing was written");
        const { rows } = await index.search(batch.vectors, { k });
        await sink.append(rows);
        count += batch.count;
      }
      await sink.finish();
    } catch (error) {
      await sink.abort();
      throw error;
    }
    const report = { file: path, queries: count, k: Math.min(k, index.rowCount), rows: index.rowCount };
    const text = `true neighbours of ${count.toLocaleString("en")} queries, ${report.k} each, → ${path}\n`;
    await terminal.out(options.json === true ? `${JSON.stringify(report)}\n` : text);
  } finally {
    await index?.close();
    await queries.close();
  }
}

async function evaluate(options: EvalOptions, truthPath: string, terminal: Terminal): Promise<void> {
  const { k, precision, minRecall } = options;
  const truth = await readNeighbours(truthPath);
  const queries = await openVectors(options.queries);
  const opened: VectorIndex[] = [];
  try {
    checkTruth(truth, truthPath, k, queries);
    const exact = await indexOfFile({ ...options, precision: "f32", dimensions: queries.dimensions }, terminal);
    opened.push(exact);
    const searched =
      precision === "f32" ? exact : await indexOfFile({ ...options, dimensions: queries.dimensions }, terminal);
    if (searched !== exact) opened.push(searched);
    const recalls: number[] = [];
    const doubts: NearfieldError[] = [];
    for await (const batch of wholeBatches(queries, QUERY_BATCH)) {
      if (terminal.interrupted.aborted) throw new CommandFailure("interrupted");
      checkLists(truth, truthPath, batch, Math.min(k, exact.rowCount), exact.rowCount);
      recalls.push(...(await recallsOf(batch, searched, exact, truth, options, doubts)));
    }
    checkDoubts(doubts, recalls.length, terminal);
    if (recalls.length !== truth.count) throw disagreement(truthPath, truth.count, recalls.length);
    const recall = recallOf(recalls);
    await terminal.out(
      options.json === true
        ? `${JSON.stringify({ ...recall, k, precision, metric: options.metric })}\n`
        : told(recall, k),
    );
    if (minRecall !== undefined && recall.mean < minRecall) {
      throw new CommandFailure(`recall@${k} is ${recall.mean.toFixed(4)}, below ${minRecall}`);
    }
  } finally {
    for (const index of opened) await index.close();
    await queries.close();
  }
}

function told({ queries, mean, low, high, least }: Recall, k: number): string {
  return `recall@${k}  ${mean.toFixed(4)}  (95 % interval ${low.toFixed(4)} … ${high.toFixed(4)}), least of a query ${least.toFixed(4)}, ${queries.toLocaleString("en")} queries\n`;
}

function checkTruth(truth: NeighbourLists, path: string, k: number, { rowCount }: VectorSource): void {
  if (truth.width < k) {
    throw new NearfieldError("INVALID_K", {
      got: `k = ${k}`,
      expected: `at most ${truth.width}, the neighbours of each query in ${path}`,
      remedy: "ask for fewer, or make the truth with a larger -k",
    });
  }
  if (rowCount !== undefined && rowCount !== truth.count) throw disagreement(path, truth.count, rowCount);
}

function disagreement(path: string, lists: number, queries: number): NearfieldError {
  return new NearfieldError("INVALID_OPTION", {
    got: `${lists} lists of neighbours in ${path} for ${queries} queries`,
    expected: "a list for each query",
    remedy: "give the truth of these queries",
  });
}

/** Throws INVALID_OPTION for lists that cannot be the `wanted` nearest of `rowCount` rows, whatever these are. */
function checkLists(
  { rows, width }: NeighbourLists,
  path: string,
  { first, count }: VectorBatch,
  wanted: number,
  rowCount: number,
): void {
  for (let query = first; query < first + count; query++) {
    const list = rows.subarray(query * width, query * width + wanted);
    const beyond = list.find((row) => row >= rowCount);
    if (beyond === undefined && new Set(list).size === list.length) continue;
    const what = beyond === undefined ? "the same row twice" : beyond === 0xffffffff ? "no row" : `row ${beyond}`;
    throw new NearfieldError("INVALID_OPTION", {
      got: `${path}, which has ${what} among the first ${wanted} neighbours of query ${query}`,
      expected: `${wanted} different rows of the base, which are numbered from 0 to ${rowCount - 1}`,
      remedy: "give the truth of this base, or make it with --make-truth",
    });
  }
}

/** Throws where the truth is none for many queries: any row would count as found. Of a few it is told. */
function checkDoubts(doubts: readonly NearfieldError[], queries: number, terminal: Terminal): void {
  const [first] = doubts;
  if (first === undefined) return;
  if (doubts.length > MOST_DOUBTED * queries) throw first;
  terminal.tell(
    `nearfield: of ${doubts.length} queries the truth is not the nearest rows, and recall may look better than it is; the first: ${first.message}`,
  );
}

function noTruth(query: number, { k, truth = "", metric }: EvalOptions, listed: number, found: number): NearfieldError {
  return new NearfieldError("INVALID_OPTION", {
    got: `${truth}, by which neighbour ${k} of query ${query} is at distance ${listed}, where ${k} rows were found within ${found}`,
    expected: `the nearest rows of this base by ${metric} distance`,
    remedy:
      "check --metric, and that base and queries are those of the truth in the same order, or make it anew with --make-truth",
  });
}

/** Of each query, the share of its k rows that are near enough. Distances are those of the rows as given; where they contradict the truth, `doubts` gets why. */
async function recallsOf(
  { first, count, vectors }: VectorBatch,
  searched: VectorIndex,
  exact: VectorIndex,
  truth: NeighbourLists,
  options: EvalOptions,
  doubts: NearfieldError[],
): Promise<number[]> {
  const { k, metric } = options;
  const { dimensions } = exact;
  const result = await searched.search(vectors, { k });
  const recalls: number[] = [];
  for (let q = 0; q < count; q++) {
    const query = vectors.subarray(q * dimensions, (q + 1) * dimensions);
    const at = (first + q) * truth.width;
    const listed = [...truth.rows.subarray(at, at + k)].filter((row) => row !== 0xffffffff);
    const found = [...result.rows.subarray(q * result.k, q * result.k + (result.counts[q] ?? 0))];
    const rows = await exact.get([...listed, ...found]);
    const distanceOf = (i: number): number =>
      referenceDistance(metric, query, rows.subarray(i * dimensions, (i + 1) * dimensions));
    const kth = Math.max(...listed.map((_, i) => distanceOf(i)));
    const limit = kth + TOLERANCE * Math.abs(kth);
    const distances = found.map((_, i) => distanceOf(listed.length + i));
    const farthest = Math.max(...distances);
    if (found.length >= listed.length && farthest < kth - DOUBT * Math.abs(kth))
      doubts.push(noTruth(first + q, options, kth, farthest));
    const near = distances.filter((distance) => distance <= limit).length;
    recalls.push(listed.length === 0 ? 1 : Math.min(1, near / listed.length));
  }
  return recalls;
}
