/** What people read while a run goes on: the peaks, then a line a case. */
import { caseKey, type Case } from "./cases.ts";
import type { Peaks } from "./peaks.ts";
import type { CaseOutcome } from "./record.ts";

export function peakLines(peaks: Peaks): string[] {
  const line = (name: string, value: number | null, unit: string): string =>
    `  ${name.padEnd(26)}${value === null ? "not exposed" : `${(value / 1e12).toPrecision(4)} ${unit}`}`;
  return [
    `peaks (by ${peaks.clock === "timestamp" ? "timestamp queries" : "the host's clock: rough"})`,
    line("copy, read + written", peaks.copyBytes, "TB/s"),
    line("read", peaks.readBytes, "TB/s"),
    line("fp32 FMA", peaks.fmaF32Flops, "TFLOP/s"),
    line("DP4A", peaks.dotI8Ops, "TOP/s"),
    line("xor + popcount", peaks.popcountBits, "Tbit/s"),
    line("matrix f16 → f32", peaks.matrixF16Flops, "TFLOP/s"),
    line("matrix i8 → i32", peaks.matrixI8Ops, "TOP/s"),
    `  ${"round trip".padEnd(26)}${peaks.roundTripMs.toPrecision(3)} ms`,
    ...peaks.problems.map((problem) => `  not measured: ${problem}`),
  ];
}

const COLUMNS = [
  ["end to end", 11],
  ["p95", 9],
  ["compute", 9],
  ["floor", 9],
  ["of floor", 9],
  ["GB/s", 8],
  ["Tops/s", 8],
  ["queries/s", 11],
] as const;
const KEY_WIDTH = 48;

export function tableHead(): string {
  return (
    "case (ms; *: kernels untimed, whole search)".padEnd(KEY_WIDTH) +
    COLUMNS.map(([name, width]) => name.padStart(width)).join("")
  );
}

export function tableLine(c: Case, outcome: CaseOutcome): string {
  const key = caseKey(c).padEnd(KEY_WIDTH);
  if (outcome.status !== "ok") return `${key}${outcome.status}: ${outcome.reason}`;
  const { times, rates } = outcome;
  if (times === null || rates === null) return `${key}ok: answers right; no speed in a smoke run`;
  // Rates of the kernels where they are known, else of the whole search, marked.
  const rate = rates.compute ?? rates.endToEnd;
  const mark = rates.compute === null ? "*" : "";
  const cells = [
    times.endToEndMs.median.toPrecision(4),
    times.endToEndMs.p95.toPrecision(4),
    times.computeMs === null ? "–" : times.computeMs.median.toPrecision(4),
    rates.floorMs.toPrecision(3),
    `${(rate.fraction * 100).toFixed(1)} %${mark}`,
    (rate.bytesPerSecond / 1e9).toFixed(1),
    (rate.operationsPerSecond / 1e12).toPrecision(3),
    times.pipelinedQps.toFixed(0),
  ];
  return key + cells.map((cell, i) => ` ${cell.padStart((COLUMNS[i]?.[1] ?? 1) - 1)}`).join("");
}
