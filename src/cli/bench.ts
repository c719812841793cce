/**
 * `nearfield bench`: how fast searches of one's own data are on this machine. Answers are checked
 * before and after timing: there is no number for a wrong answer, and none for a software rasteriser.
 */
import { cpus } from "node:os";
import { Command, Option } from "commander";
import type { BackendInfo } from "../core/backend.ts";
import { NearfieldError } from "../core/errors.ts";
import type { FloatMetric, Precision } from "../core/metric.ts";
import type { VectorIndex } from "../engine/contract.ts";
import { openVectors } from "../io/open-source.ts";
import { checkAnswers, truthOfFirst } from "./answer-check.ts";
import { atLeastOne, batchSizes } from "./arguments.ts";
import { type AskedQueries, queriesAt, readQueries } from "./asked-queries.ts";
import { indexOfFile } from "./base-index.ts";
import { type BatchTimes, queriesFor, timeRounds } from "./bench-rounds.ts";
import { CommandFailure } from "./failure.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { packageVersion } from "./versions.ts";

interface BenchOptions {
  readonly base: string;
  readonly queries: string;
  readonly k: number;
  readonly metric: FloatMetric;
  readonly precision: Exclude<Precision, "b1">;
  readonly batch: readonly number[];
  readonly rounds: number;
  readonly backend: "auto" | "cpu" | "gpu";
  readonly threads?: number;
  readonly json?: boolean;
}

/** Queries held in memory: the largest batch. */
const MOST_QUERIES = 65_536;
/** How long the codes of rows may take before searches are timed without all of them, and how often they are looked at. */
const CODES_MS = 120_000;
const POLL_MS = 20;
/** Looks in a row that must find them ready: between two steps nothing is under way for a moment. */
const STEADY_POLLS = 3;

export function benchCommand(terminal: Terminal): Command {
  return new Command("bench")
    .description("how fast searches of your own data are here; answers are checked before and after")
    .requiredOption("--base <file>", "the rows, in any format that import reads")
    .requiredOption("--queries <file>", "the queries")
    .option("-k, --k <neighbours>", "neighbours of each query", atLeastOne, 10)
    .addOption(
      new Option("--metric <metric>", "what near means")
        .choices(["cosine", "dot", "euclidean", "manhattan"])
        .default("cosine"),
    )
    .addOption(
      new Option("--precision <precision>", "how the rows are stored").choices(["f32", "f16", "i8"]).default("f32"),
    )
    .option("--batch <sizes>", "queries at once, each size timed", batchSizes, [1, 16, 256])
    .option("--rounds <rounds>", "turns of each size", atLeastOne, 7)
    .addOption(new Option("--backend <backend>", "what searches").choices(["auto", "cpu", "gpu"]).default("auto"))
    .option("--threads <threads>", "CPU workers (default: as many as there are cores)", atLeastOne)
    .option("--json", "print JSON")
    .action(async (options: BenchOptions) => {
      const report = await bench(options, terminal);
      await terminal.out(options.json === true ? `${JSON.stringify(report)}\n` : told(report));
    });
}

/** Everything that is told. Times without a unit in their name are milliseconds. */
interface BenchReport extends Pick<BenchOptions, "base" | "k" | "metric" | "precision" | "rounds"> {
  readonly machine: { readonly nearfield: string; readonly node: string; readonly cpu: string };
  readonly rows: number;
  readonly dimensions: number;
  /** How many different ones were asked. */
  readonly queries: { readonly file: string; readonly count: number; readonly repeat: boolean };
  readonly backend: Pick<BackendInfo, "kind" | "name" | "reason" | "threads" | "simd">;
  readonly bytesPerRow: { readonly cpu: number; readonly gpu?: number };
  /** From nothing to an index of all rows, and from there to the first answer. */
  readonly start: { readonly importMs: number; readonly firstAnswerMs: number };
  /** Queries whose answers were compared with the float64 oracle, on the rows as stored, before and after timing. */
  readonly checkedQueries: number;
  readonly results: readonly BatchTimes[];
}

async function bench(options: BenchOptions, terminal: Terminal): Promise<BenchReport> {
  const { base, k, metric, precision, batch: sizes, rounds } = options;
  const needed = queriesFor(sizes, rounds);
  const asked = await askedOf(options.queries, Math.min(MOST_QUERIES, needed));
  const { dimensions } = asked;
  const started = performance.now();
  const index = await indexOfFile({ ...options, dimensions, isTimed: true }, terminal);
  try {
    if (index.rowCount === 0) {
      throw new NearfieldError("INVALID_OPTION", {
        got: `${base} without a row`,
        expected: "one or more",
        remedy: "give a file that has rows",
      });
    }
    const imported = performance.now();
    await index.search(queriesAt(asked, 0, 1), { k });
    const answered = performance.now();
    const truth = await truthOfFirst(base, asked, { metric, precision, k, rowCount: index.rowCount }, terminal);
    await checkAnswers(index, asked, truth, k, sizes);
    await codesReady(index, terminal);
    const results = await timeRounds(index, asked, { k, sizes, rounds }, terminal);
    await checkAnswers(index, asked, truth, k, sizes);
    const { kind, name, reason, threads, simd } = index.backend;
    return {
      machine: { nearfield: packageVersion(), node: process.version, cpu: cpus()[0]?.model ?? "unknown" },
      base,
      rows: index.rowCount,
      dimensions,
      metric,
      precision,
      queries: { file: options.queries, count: asked.count, repeat: asked.count < needed },
      k,
      rounds,
      backend: {
        kind,
        name,
        reason,
        ...(threads === undefined ? {} : { threads }),
        ...(simd === undefined ? {} : { simd }),
      },
      bytesPerRow: bytesPerRow(index),
      start: { importMs: Math.round(imported - started), firstAnswerMs: Math.round(answered - imported) },
      checkedQueries: truth.length,
      results,
    };
  } finally {
    await index.close();
  }
}

async function askedOf(path: string, most: number): Promise<AskedQueries> {
  const source = await openVectors(path);
  try {
    return await readQueries(source, most);
  } finally {
    await source.close();
  }
}

/** Rows get their int8 codes in the background: what lasts is the speed with them. */
async function codesReady(index: VectorIndex, terminal: Terminal): Promise<void> {
  const deadline = performance.now() + CODES_MS;
  for (let steady = 0; steady < STEADY_POLLS; ) {
    if (terminal.interrupted.aborted) throw new CommandFailure("interrupted");
    if (performance.now() > deadline) {
      terminal.tell(
        `nearfield: the codes of the rows are not ready after ${CODES_MS / 1000} s: times are without all of them`,
      );
      return;
    }
    const { codes } = index.stats().cpu;
    const isReady = codes === null || (codes.codedRows === index.rowCount && codes.learning === null);
    steady = isReady ? steady + 1 : 0;
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

function bytesPerRow(index: VectorIndex): BenchReport["bytesPerRow"] {
  const { cpu, gpu } = index.stats();
  const each = (bytes: number): number => Math.round((bytes / index.rowCount) * 10) / 10;
  return { cpu: each(cpu.storeBytes), ...(gpu === null ? {} : { gpu: each(gpu.residentBytes) }) };
}

function told(report: BenchReport): string {
  const { machine, base, rows, dimensions, metric, precision, queries, k, backend, start, results } = report;
  const number = (value: number): string => value.toLocaleString("en", { maximumSignificantDigits: 4 });
  const { cpu, gpu } = report.bytesPerRow;
  const facts = [
    ["base", `${base}: ${rows.toLocaleString("en")} × ${dimensions}, ${metric}, ${precision}`],
    [
      "queries",
      `${queries.file}: ${queries.count.toLocaleString("en")} asked, k = ${k}${queries.repeat ? ", again and again" : ""}`,
    ],
    ["machine", `${machine.cpu}, Node ${machine.node.slice(1)}, nearfield ${machine.nearfield}`],
    ["backend", `${backend.kind}: ${backend.name}; ${backend.reason}`],
    [
      "memory",
      `${cpu.toLocaleString("en")} bytes a row${gpu === undefined ? "" : `, and ${gpu.toLocaleString("en")} on the GPU`}`,
    ],
    ["start", `${seconds(start.importMs)} to read and add the rows, ${seconds(start.firstAnswerMs)} more to an answer`],
    [
      "answers",
      `${report.checkedQueries} queries equal the float64 oracle on the rows as stored, before and after timing`,
    ],
  ];
  const header = ["at once", "median ms", "p95 ms", "least ms", "queries/s", "exact", "survivors", "rescans", "scan"];
  const lines = results.map((times) => [
    number(times.batch),
    number(times.medianMs),
    number(times.p95Ms),
    number(times.leastMs),
    number(times.queriesPerSecond),
    times.exact ? "yes" : "NO",
    number(times.survivorsPerQuery),
    number(times.rescansPerQuery),
    `${times.scan} ${times.directions}`,
  ]);
  const degraded = new Set(results.flatMap((times) => times.degraded));
  return [
    ...facts.map(([name = "", fact = ""]) => `${name.padEnd(8)} ${fact}\n`),
    ...[...degraded].map((what) => `degraded ${what}\n`),
    "\ntimes, survivors and rescans are those of a query; the scan's number is that of its dimensions\n",
    table(header, lines, "right"),
  ].join("");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
