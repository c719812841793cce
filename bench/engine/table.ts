/** What people read of the engine's benchmark, beside the comparisons (comparison-table.ts). Records hold more. */
import type { Spread } from "../statistics.ts";
import { row } from "../table-row.ts";
import type { ColdStart } from "./cold-start.ts";
import type { IngestRate } from "./ingest.ts";
import type { MemoryTask, MemoryUse } from "./memory.ts";
import type { MicroRate } from "./micro.ts";

const INGEST_WIDTHS = [10, 12, 12, 14];

export function ingestLines(rates: readonly IngestRate[]): string[] {
  return [
    row(["ingest", "rows/s", "add, ms", "ready, ms"], INGEST_WIDTHS),
    ...rates.map(({ precision, rowsPerSecond, addMs, readyMs }) =>
      row([precision, Math.round(rowsPerSecond).toLocaleString("en"), ms(addMs), ms(readyMs)], INGEST_WIDTHS),
    ),
  ];
}

const MEMORY_WIDTHS = [12, 8, 9, 11, 11, 12, 12, 13];

export function memoryHead(): string {
  return row(
    ["memory", "shared", "input", "directions", "B/row", "held / raw", "peak / raw", "in add / raw"],
    MEMORY_WIDTHS,
  );
}

const ELEMENT_BYTES = { f32: 4, f16: 2, i8: 1, b1: 1 / 8 } as const;

export function memoryLine(
  { rows, dimensions, precision, scan, sharesMemory, input }: MemoryTask,
  use: MemoryUse,
): string {
  const ratio = (bytes: number): string => (bytes / (rows * dimensions * ELEMENT_BYTES[precision])).toFixed(3);
  const { directions, heldBytes, peakBytes, peakAddBytes } = use;
  return row(
    [
      scan === "full" ? `${precision} full` : precision,
      sharesMemory ? "yes" : "no",
      input,
      String(directions),
      (heldBytes / rows).toFixed(0),
      ratio(heldBytes),
      ratio(peakBytes),
      ratio(peakAddBytes),
    ],
    MEMORY_WIDTHS,
  );
}

const COLD_WIDTHS = [18, 10, 10, 10, 10, 10];

export function coldLines(starts: readonly ColdStart[]): string[] {
  return [
    row(["cold start, ms", "total", "import", "create", "add", "answer"], COLD_WIDTHS),
    ...starts.map(({ shape, totalMs, steps }) =>
      row(
        [
          `${shape.rows} × ${shape.dimensions}`,
          ms(totalMs),
          ms(steps.importMs),
          ms(steps.createMs),
          ms(steps.addMs),
          ms(steps.answerMs),
        ],
        COLD_WIDTHS,
      ),
    ),
  ];
}

const MICRO_WIDTHS = [36, 12, 12, 18];

export function microLines(rates: readonly MicroRate[]): string[] {
  return [
    row(["micro", "median, µs", "p99, µs", "a second"], MICRO_WIDTHS),
    ...rates.map(({ name, medianUs, p99Us, perSecond, unit }) =>
      row([name, medianUs.toPrecision(3), p99Us.toPrecision(3), `${amount(perSecond)} ${unit}`], MICRO_WIDTHS),
    ),
  ];
}

function ms(spread: Spread): string {
  return spread.median.toFixed(1);
}

function amount(value: number): string {
  return value >= 1e9
    ? `${(value / 1e9).toFixed(2)} G`
    : value >= 1e6
      ? `${(value / 1e6).toFixed(1)} M`
      : value.toFixed(0);
}
