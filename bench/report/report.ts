/** The document and its charts out of result files. */
import { adapterName, readRecords } from "../gpu/record.ts";
import { type BarGroup, barChart, lineChart } from "./charts.ts";
import { withSection } from "./markdown.ts";
import {
  type Comparison,
  isCold,
  isComparison,
  isIngest,
  isMemory,
  machineOf,
  measuredOf,
  newest,
  readLines,
} from "./results.ts";
import {
  bySet,
  coldTable,
  engineTables,
  ingestTable,
  lossLines,
  medianOf,
  memoryTable,
  peerTables,
  problemLines,
} from "./tables.ts";

type Lines = ReturnType<typeof readLines>;

export interface Report {
  readonly text: string;
  /** By file name. */
  readonly charts: ReadonlyMap<string, string>;
}

/** `document`: BENCHMARKS.md with the marks of its generated parts. `files`: JSON lines of any benchmark. */
export function report(document: string, files: readonly string[]): Report {
  const charts = new Map<string, string>();
  const machines = new Map<string, Lines>();
  for (const line of files.flatMap(readLines)) {
    if (Reflect.has(line, "adapter")) continue; // of a GPU
    machines.set(machineOf(line), [...(machines.get(machineOf(line)) ?? []), line]);
  }
  const sections = (of: (lines: Lines, machine: string) => string): string =>
    [...machines]
      .map(([machine, lines]) => of(lines, machine))
      .filter((section) => section !== "")
      .join("\n\n");
  let text = withSection(
    document,
    "peers",
    sections((lines, machine) => peerSection(lines, machine, charts)),
  );
  text = withSection(
    text,
    "engine",
    sections((lines, machine) => engineSection(lines, machine, charts)),
  );
  text = withSection(
    text,
    "rooflines",
    [sections((lines, machine) => rooflineSection(lines, machine, charts)), gpuRooflines(files, charts)]
      .filter((section) => section !== "")
      .join("\n\n"),
  );
  return { text, charts };
}

function comparisonsOf(lines: Lines, type: string, part?: string): Comparison[] {
  const own = lines.filter((line) => line.type === type && (part === undefined || line.part === part));
  return newest(own.filter(isComparison), ({ key, contenders }) => `${key} ${contenders.length}`);
}

function peerSection(lines: Lines, machine: string, charts: Map<string, string>): string {
  const all = comparisonsOf(lines, "peers");
  const [first] = all;
  if (first === undefined) return "";
  const name = `peers-${slug(machine)}.svg`;
  charts.set(name, barChart(peerBars(all), " ×", true));
  const losses = lossLines(all);
  const problems = problemLines(all);
  const versions = Object.entries(Object.assign({}, ...all.map(({ peers }) => peers)) as Record<string, string>);
  return [
    `### ${machine}`,
    `${datesOf(all)}. Median of at most ${Math.max(...all.map(({ rounds }) => rounds))} rounds; in brackets how many times nearfield's time that is. Versions: ${versions.map(([engine, version]) => `${engine} ${version}`).join(", ")}.`,
    `![Queries a second over nearfield's](bench/results/charts/${name})`,
    peerTables(all),
    losses.length === 0
      ? "**Where we lose**: in none of these."
      : `**Where we lose** (peers that find the true neighbours, faster than \`scan: "auto"\`):\n\n${losses.join("\n")}`,
    ...(problems.length === 0 ? [] : [`**Without a number**:\n\n${problems.join("\n")}`]),
  ].join("\n\n");
}

/** Queries a second over nearfield's: below 1 is slower. */
function peerBars(comparisons: readonly Comparison[]): BarGroup[] {
  return [...bySet(comparisons)].map(([title, cases]) => {
    const shown = cases.filter(({ case: { k } }) => k === 10);
    const categories = [...new Set(shown.flatMap((c) => measuredOf(c).map(({ contender }) => contender.name)))].filter(
      (name) => name !== "nearfield",
    );
    const series = shown.map((comparison) => {
      const own = medianOf(comparison, "nearfield");
      return {
        name: `batch ${comparison.case.batch}`,
        values: categories.map((name) => {
          const ms = medianOf(comparison, name);
          return own === undefined || ms === undefined ? null : own / ms;
        }),
      };
    });
    return { title, categories, series };
  });
}

function engineSection(lines: Lines, machine: string, charts: Map<string, string>): string {
  const searches = comparisonsOf(lines, "engine", "search");
  const ingest = newest(lines.filter(isIngest), () => "").at(0);
  const memory = newest(lines.filter(isMemory), ({ task }) => JSON.stringify(task));
  const cold = newest(lines.filter(isCold), () => "").at(0);
  const parts: string[] = [];
  if (searches.length > 0) {
    const name = `latency-${slug(machine)}.svg`;
    charts.set(name, latencyChart(searches));
    parts.push(
      `${datesOf(searches)}, one thread; in brackets the time over that of f32 rows scanned as usual.`,
      `![Milliseconds a query against rows, clusters of 128 dimensions](bench/results/charts/${name})`,
      engineTables(searches),
    );
  }
  if (ingest !== undefined) {
    const { rows, dimensions } = ingest.shape;
    parts.push(`**Ingest**, ${rows.toLocaleString("en")} × ${dimensions}, all threads`, ingestTable(ingest));
  }
  if (memory.length > 0) parts.push("**Memory**, 1,000,000 × 384, two workers", memoryTable(memory));
  if (cold !== undefined) parts.push("**Cold start**, without the start of Node itself", coldTable(cold));
  return parts.length === 0 ? "" : [`### ${machine}`, ...parts].join("\n\n");
}

function latencyChart(searches: readonly Comparison[]): string {
  const clustered = searches.filter(
    ({ case: { data, k } }) => data.source === "clustered" && data.dimensions === 128 && k === 10,
  );
  const lines = [1, 256].flatMap((batch) =>
    ["f32", "f32 full scan", "i8"].map((name) => ({
      name: `${name}, batch ${batch}`,
      points: clustered
        .filter((comparison) => comparison.case.batch === batch)
        .flatMap((comparison) => {
          const ms = medianOf(comparison, name);
          return ms === undefined ? [] : [[comparison.case.data.rows, ms] as const];
        })
        .sort(([a], [b]) => a - b),
    })),
  );
  return lineChart(lines, "rows", "ms a query");
}

function rooflineSection(lines: Lines, machine: string, charts: Map<string, string>): string {
  const kernels = comparisonsOf(lines, "cpu", "kernels");
  if (kernels.length === 0) return "";
  const rates = kernels.flatMap(({ rates: own }) => own ?? []);
  const name = `roofline-${slug(machine)}.svg`;
  const categories = rates.map(({ name: kernel, batch }) => `${kernel}, batch ${batch}`);
  charts.set(
    name,
    barChart(
      [
        {
          title: "one thread, 128-bit WASM SIMD",
          categories,
          series: [
            { name: "of the read bandwidth", values: rates.map(({ ofBandwidth }) => ofBandwidth * 100) },
            {
              name: "of the multiply-adds",
              values: rates.map(({ ofPeak }) => (ofPeak === null ? null : ofPeak * 100)),
            },
          ],
        },
      ],
      " %",
      false,
    ),
  );
  return [
    `### ${machine}`,
    `${datesOf(kernels)}; peaks measured in the same run.`,
    `![Share of the machine's peaks](bench/results/charts/${name})`,
  ].join("\n\n");
}

/** One chart an adapter: the kernels' share of the roofline. */
function gpuRooflines(files: readonly string[], charts: Map<string, string>): string {
  const sections: string[] = [];
  for (const path of files) {
    const cases = readRecords(path).filter((record) => record.type === "case" && record.status === "ok");
    const [first] = cases;
    if (first === undefined || first.adapter === undefined) continue;
    const shown = newest(cases, (record) => (record.type === "case" ? record.key : "")).flatMap((record) => {
      if (record.type !== "case" || record.status !== "ok" || record.rates?.compute == null) return [];
      return [{ key: record.key, fraction: record.rates.compute.fraction * 100 }];
    });
    if (shown.length === 0) continue;
    const adapter = adapterName(first.adapter);
    const name = `roofline-${slug(adapter)}.svg`;
    const group: BarGroup = {
      title: adapter,
      categories: shown.map(({ key }) => key),
      series: [{ name: "kernels, of the roofline", values: shown.map(({ fraction }) => fraction) }],
    };
    charts.set(name, barChart([group], " %", false));
    sections.push(`### ${adapter}\n\n![Share of the roofline](bench/results/charts/${name})`);
  }
  return sections.join("\n\n");
}

function datesOf(records: readonly { readonly date: string; readonly commit: string }[]): string {
  const days = [...new Set(records.map(({ date }) => date.slice(0, 10)))].sort();
  const commits = [...new Set(records.map(({ commit }) => commit.slice(0, 7)))];
  return `${days.join(", ")}, commit ${commits.join(", ")}`;
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
