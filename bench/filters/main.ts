/**
 * `npm run bench:filters`: what ids, metadata and filters cost at a size that people complain
 * about. Every filter's rows are checked against JSON.parse and plain JavaScript before and after
 * timing. One JSON line for each measurement.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compileFilter, type Filter } from "../../src/collection/filter.ts";
import { IdTable } from "../../src/collection/id-table.ts";
import type { Metadata } from "../../src/collection/metadata.ts";
import { MetadataTable } from "../../src/collection/metadata-table.ts";
import { systemClock } from "../../src/core/clock.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { countBits } from "../../src/core/rowset.ts";
import { type SliceStats, WorkSlices } from "../../src/core/slices.ts";
import { countOf, runCommand } from "../command-line.ts";
import { commitOf } from "../commit.ts";
import { interleave } from "../interleave.ts";
import { runtime } from "../machine.ts";
import { nodeClocks } from "../node-clocks.ts";
import { ResultFile } from "../result-file.ts";
import { round, spreadOf } from "../statistics.ts";
import { makeRecords, type Records } from "./records.ts";

const USAGE = `npm run bench:filters -- [options]
options:
  --rows N      records (default 1000000)
  --rounds N    turns of each filter (default 15)
  --out FILE    where to append results (default build/bench-filters.jsonl)`;

const OPTIONS = {
  rows: { type: "string", default: "1000000" },
  rounds: { type: "string", default: "15" },
  out: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

const SCHEMA = 1;
// build/bench-filters/main.js and bench/filters/main.ts both lie two folders below the package.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

interface Case {
  readonly name: string;
  readonly filter: Filter;
  /** The same, in plain JavaScript. */
  readonly isMatch: (film: Film) => boolean;
}

interface Film extends Metadata {
  title: string;
  year: number;
  lang: string;
  tags: readonly string[];
  score: number;
  studio: string;
}

/** The first is the one that has a target: a range, one of 1,000 strings, and tags. */
const CASES: readonly Case[] = [
  {
    name: "range & one of 1000 & tags",
    filter: { year: { $gte: 1990 }, studio: "studio-7", tags: { $in: ["genre-1", "genre-2", "genre-3"] } },
    isMatch: ({ year, studio, tags }) =>
      year >= 1990 && studio === "studio-7" && tags.some((tag) => ["genre-1", "genre-2", "genre-3"].includes(tag)),
  },
  {
    name: "range & not one & tags",
    filter: { year: { $gte: 1990 }, studio: { $ne: "studio-7" }, tags: { $in: ["genre-1", "genre-2", "genre-3"] } },
    isMatch: ({ year, studio, tags }) =>
      year >= 1990 && studio !== "studio-7" && tags.some((tag) => ["genre-1", "genre-2", "genre-3"].includes(tag)),
  },
  { name: "one language", filter: { lang: "en" }, isMatch: ({ lang }) => lang === "en" },
  {
    name: "a fraction's range",
    filter: { score: { $gt: 5, $lte: 7.5 } },
    isMatch: ({ score }) => score > 5 && score <= 7.5,
  },
  { name: "strings from … on", filter: { title: { $gte: "the" } }, isMatch: ({ title }) => title >= "the" },
  {
    name: "or, not",
    filter: { $or: [{ lang: "ja" }, { $not: { tags: "genre-5" } }] },
    isMatch: ({ lang, tags }) => lang === "ja" || !tags.includes("genre-5"),
  },
];

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const rows = countOf("rows", values.rows);
  const rounds = countOf("rounds", values.rounds);
  const file = new ResultFile(values.out ?? join(root, "build", "bench-filters.jsonl"));
  const about = { schema: SCHEMA, type: "filters", commit: commitOf(root), runtime: runtime(), rows };
  const report = (part: string, found: object): void => {
    file.append({ ...about, date: new Date().toISOString(), part, ...found });
    console.log(part.padEnd(28), JSON.stringify(found));
  };
  try {
    const records = makeRecords(rows);
    await measureIds(records, report);
    await measureFilters(records, rounds, report);
    console.log(`results: ${file.path}`);
    return 0;
  } finally {
    file.close();
  }
}

type Report = (part: string, found: object) => void;

async function measureIds({ ids }: Records, report: Report): Promise<void> {
  const table = new IdTable();
  report("ids: adopt", await timed(() => table.append(ids)));
  const slices = new WorkSlices(systemClock, LIMITS.sliceElements);
  report("ids: index", {
    ...(await timed(() => table.prepare(slices))),
    ...sliced(slices.stats),
    bytes: table.sizeBytes,
  });
  const count = Math.min(1_000_000, table.count);
  const wanted = Array.from({ length: count }, (_, i) => table.idOf((i * 7919) % table.count));
  let found = 0;
  const { ms } = await timed(() => {
    for (const id of wanted) if (table.rowOf(id) !== undefined) found++;
  });
  if (found !== count) throw new Error(`found ${found} of ${count} ids`);
  report("ids: rowOf", { ms, perSecond: round((count / ms) * 1000) });
  const gone = Uint32Array.from({ length: table.count }, (_, row) =>
    row % 4 === 0 ? 0xffffffff : row - Math.floor(row / 4) - 1,
  );
  const compaction = new WorkSlices(systemClock, LIMITS.sliceElements);
  report("ids: compact", { ...(await timed(() => table.compact(gone, compaction))), ...sliced(compaction.stats) });
}

async function measureFilters({ metadata }: Records, rounds: number, report: Report): Promise<void> {
  const table = new MetadataTable();
  report("metadata: adopt", await timed(() => table.append(metadata)));
  const run = async (filter: Filter): Promise<{ bits: Uint32Array; stats: SliceStats }> => {
    const slices = new WorkSlices(systemClock, LIMITS.sliceElements);
    return { bits: await table.match(compileFilter(filter), slices), stats: slices.stats };
  };
  for (const { name, filter } of CASES) {
    let stats: SliceStats = { count: 0, largest: 0 };
    const time = await timed(async () => {
      ({ stats } = await run(filter));
    });
    report(`first use: ${name}`, { ...time, ...sliced(stats), columns: table.columnKeys });
  }
  report("memory", {
    jsonBytes: table.jsonBytes,
    bytes: table.sizeBytes,
    ratio: round(table.sizeBytes / table.jsonBytes),
  });
  const expected = expectedCounts(table);
  const check = async (): Promise<void> => {
    for (const [i, { name, filter }] of CASES.entries()) {
      const count = countBits((await run(filter)).bits);
      if (count !== expected[i]) throw new Error(`${name} matches ${count} rows, expected ${expected[i]}`);
    }
  };
  await check();
  const turns = CASES.map(({ name, filter }) => ({
    name,
    run: async () => {
      await run(filter);
    },
  }));
  const timings = await interleave(turns, rounds, nodeClocks, () => {});
  await check();
  for (const [i, { name }] of CASES.entries()) {
    const timing = timings[i];
    if (timing !== undefined) report(`filter: ${name}`, { rows: expected[i], ms: spreadOf(timing.wallMs) });
  }
}

function expectedCounts(table: MetadataTable): number[] {
  const counts = CASES.map(() => 0);
  for (let row = 0; row < table.count; row++) {
    // makeRecords made them.
    const film = table.get(row) as Film;
    for (const [i, { isMatch }] of CASES.entries()) if (isMatch(film)) counts[i] = (counts[i] ?? 0) + 1;
  }
  return counts;
}

async function timed(task: () => unknown): Promise<{ ms: number }> {
  const start = nodeClocks.wallMs();
  await task();
  return { ms: round(nodeClocks.wallMs() - start) };
}

function sliced({ count, largest }: SliceStats): object {
  return { slices: count, largestSlice: largest };
}

await runCommand(main);
