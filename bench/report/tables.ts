/** The tables of BENCHMARKS.md out of records of one machine. Pure. */
import type { Case } from "../cases/case.ts";
import { digits, table } from "./markdown.ts";
import { type Cold, type Comparison, type Ingest, type Measured, measuredOf, type Memory } from "./results.ts";

/** Peers below this share of the true neighbours answer another question: they are told apart. */
const EXACT_RECALL = 0.99;
const OURS = "nearfield";

function dataName({ data: { source, rows, dimensions }, metric }: Case): string {
  const names: Record<typeof source, string> = {
    gaussian: "Gaussian noise",
    clustered: "clusters",
    bits: "clustered bits",
    glove: "GloVe",
    mnist: "MNIST",
    wordnet: "WordNet glosses (MiniLM)",
  };
  return `${names[source]}, ${rows.toLocaleString("en")} × ${dimensions}, ${metric}`;
}

/** Cases of one set of vectors, in the order they first came. */
export function bySet(comparisons: readonly Comparison[]): Map<string, Comparison[]> {
  const sets = new Map<string, Comparison[]>();
  for (const comparison of comparisons) {
    const name = dataName(comparison.case);
    sets.set(name, [...(sets.get(name) ?? []), comparison]);
  }
  for (const cases of sets.values()) cases.sort((a, b) => a.case.k - b.case.k || a.case.batch - b.case.batch);
  return sets;
}

/** Of each set a table: contenders down, searches across, milliseconds a query and their ratio to nearfield's. */
export function peerTables(comparisons: readonly Comparison[]): string {
  return [...bySet(comparisons)].map(([name, cases]) => `**${name}**\n\n${contenderTable(cases, OURS)}`).join("\n\n");
}

export function engineTables(comparisons: readonly Comparison[]): string {
  return [...bySet(comparisons)].map(([name, cases]) => `**${name}**\n\n${contenderTable(cases, "f32")}`).join("\n\n");
}

function contenderTable(cases: readonly Comparison[], base: string): string {
  const names = [...new Set(cases.flatMap(({ contenders }) => contenders.map(({ contender }) => contender.name)))];
  const head = ["ms a query", ...cases.map(({ case: { batch, k } }) => `batch ${batch}, k ${k}`), "recall"];
  const rows = names.map((name) => {
    const recalls: number[] = [];
    const cells = cases.map((comparison) => {
      const outcome = comparison.contenders.find(({ contender }) => contender.name === name);
      if (outcome === undefined) return "–";
      if (outcome.status !== "ok") return outcome.status;
      if (outcome.recall !== null) recalls.push(outcome.recall);
      const own = measuredOf(comparison).find(({ contender }) => contender.name === base);
      const ratio =
        own === undefined || name === base ? "" : ` (${digits(outcome.wallMs.median / own.wallMs.median)} ×)`;
      return `${digits(outcome.wallMs.median)}${ratio}`;
    });
    return [name, ...cells, recalls.length === 0 ? "–" : Math.min(...recalls).toFixed(3)];
  });
  return table(head, rows);
}

/** Contenders without a number, with the reason of each; once where all cases have the same. */
export function problemLines(comparisons: readonly Comparison[]): string[] {
  const reasons = new Map<string, Set<string>>();
  for (const comparison of comparisons) {
    for (const outcome of comparison.contenders) {
      if (outcome.status === "ok") continue;
      const line = `**${outcome.contender.name}**, ${outcome.status}: ${outcome.reason.split("\n")[0] ?? ""}`;
      reasons.set(line, (reasons.get(line) ?? new Set()).add(dataName(comparison.case)));
    }
  }
  const all = bySet(comparisons).size;
  return [...reasons].map(([line, sets]) => `- ${line}${sets.size === all ? "" : ` (${[...sets].join("; ")})`}`);
}

/** Every search in which a peer with the true neighbours is faster than nearfield as it is. */
export function lossLines(comparisons: readonly Comparison[]): string[] {
  return comparisons.flatMap((comparison) => {
    const measured = measuredOf(comparison);
    const own = measured.find(({ contender }) => contender.name === OURS);
    if (own === undefined) return [];
    const faster = measured.filter(
      ({ contender, wallMs, recall }) =>
        contender.engine !== OURS && wallMs.median < own.wallMs.median && (recall ?? 1) >= EXACT_RECALL,
    );
    if (faster.length === 0) return [];
    const { batch, k } = comparison.case;
    const told = faster.map(
      ({ contender, wallMs }) => `${contender.name} ${digits(own.wallMs.median / wallMs.median)} ×`,
    );
    return [`- ${dataName(comparison.case)}, batch ${batch}, k ${k}: ${told.join(", ")} as fast`];
  });
}

export function ingestTable({ rates }: Ingest): string {
  return table(
    ["stored as", "rows a second", "add, ms", "scan copies ready after, ms"],
    rates.map(({ precision, rowsPerSecond, addMs, readyMs }) => [
      precision,
      digits(rowsPerSecond),
      digits(addMs.median),
      digits(readyMs.median),
    ]),
  );
}

export function memoryTable(records: readonly Memory[]): string {
  return table(
    ["stored as", "scan", "memory", "input", "bytes a row", "peak, bytes a row"],
    records.map(({ task: { precision, scan, sharesMemory, input, rows }, use }) => [
      precision,
      scan === "full" ? "full" : use.directions > 0 ? `${use.directions} codes a row` : "auto",
      sharesMemory ? "shared" : "of each worker",
      input,
      digits(use.heldBytes / rows),
      digits(use.peakBytes / rows),
    ]),
  );
}

export function coldTable({ starts }: Cold): string {
  return table(
    ["rows", "to the first answer, ms", "import", "create", "add", "answer"],
    starts.map(({ shape, totalMs, steps }) => [
      `${shape.rows.toLocaleString("en")} × ${shape.dimensions}`,
      ...[totalMs, steps.importMs, steps.createMs, steps.addMs, steps.answerMs].map(({ median }) => digits(median)),
    ]),
  );
}

export function medianOf(comparison: Comparison, name: string): number | undefined {
  const found: Measured | undefined = measuredOf(comparison).find(({ contender }) => contender.name === name);
  return found?.wallMs.median;
}
