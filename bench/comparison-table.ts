/** What people read of a comparison. Records hold more. */
import { caseKey } from "./cases/case.ts";
import type { CaseResult, ContenderOutcome } from "./compare.ts";
import type { Spread } from "./statistics.ts";

const COLUMNS = [
  ["wall ms/q", 11],
  ["least–p95", 17],
  ["cpu ms/q", 10],
  ["speedup", 9],
  ["of cpu", 8],
  ["recall", 8],
  ["scan", 24],
] as const;
const NAME_WIDTH = 24;

/** A line with the case, a heading, a line for each contender. */
export function comparisonLines(result: CaseResult, base: string | undefined): string[] {
  return [
    "",
    `${caseKey(result.case)}, median of ${result.rounds} rounds${base === undefined ? "" : `, speed-up over ${base}`}`,
    "".padEnd(NAME_WIDTH) + COLUMNS.map(([name, width]) => name.padStart(width)).join(""),
    ...result.contenders.map(line),
  ];
}

function line(outcome: ContenderOutcome): string {
  const name = outcome.contender.name.padEnd(NAME_WIDTH);
  if (outcome.status !== "ok") return `${name}${outcome.status}: ${outcome.reason}`;
  const { wallMs, cpuMs, speedup, cpuSpeedup, recall } = outcome;
  const cells = [
    digits(wallMs.median),
    `${digits(wallMs.least)}–${digits(wallMs.p95)}`,
    cpuMs === null ? "–" : digits(cpuMs.median),
    times(speedup),
    times(cpuSpeedup),
    recall === null ? "–" : recall.toFixed(4),
    scanCell(outcome),
  ];
  return name + cells.map((cell, i) => ` ${cell.padStart((COLUMNS[i]?.[1] ?? 1) - 1)}`).join("");
}

function scanCell({ scan, codes }: ContenderOutcome & { status: "ok" }): string {
  if (scan === null) return "–";
  if (scan.method === "full") return "full";
  return `${scan.method}, ${codes?.directions ?? scan.prefixDimensions} directions`;
}

function times(spread: Spread | null): string {
  return spread === null ? "–" : `${digits(spread.median)} ×`;
}

function digits(value: number): string {
  return value.toPrecision(3);
}
