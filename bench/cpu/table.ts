/** What people read of the CPU benchmark. Records hold more. */
import type { CallCost } from "./fixed-cost.ts";
import type { KernelRate } from "./kernels.ts";
import type { LoopDelay } from "./loop.ts";
import { row } from "../table-row.ts";
import type { Peaks } from "./peaks.ts";

export function peakLines({ simd, one, all }: Peaks): string[] {
  const line = (name: string, a: number, b: number, unit: string): string =>
    row([name, `${(a / 1e9).toFixed(1)} ${unit}`, `${(b / 1e9).toFixed(1)} ${unit}`], [20, 18, 18]);
  return [
    row([`peaks, ${simd}`, "1 thread", `${all.threads} threads`], [20, 18, 18]),
    line("read", one.readBytes, all.readBytes, "GB/s"),
    line("f32 multiply-add", one.f32Flops, all.f32Flops, "GFLOP/s"),
    line("i8 multiply-add", one.i8Macs, all.i8Macs, "GMAC/s"),
  ];
}

const KERNEL_WIDTHS = [16, 7, 11, 11, 9, 14, 9, 9];

export function kernelHead(): string {
  return row(["scan", "batch", "method", "ms/search", "GB/s", "of bandwidth", "GMAC/s", "of peak"], KERNEL_WIDTHS);
}

export function kernelLine(rate: KernelRate): string {
  const { name, batch, method, ms, bytesPerSecond, ofBandwidth, macsPerSecond, ofPeak } = rate;
  const cells = [
    name,
    String(batch),
    method,
    ms.toPrecision(4),
    (bytesPerSecond / 1e9).toFixed(2),
    percent(ofBandwidth),
    macsPerSecond === null ? "–" : (macsPerSecond / 1e9).toFixed(2),
    ofPeak === null ? "–" : percent(ofPeak),
  ];
  return row(cells, KERNEL_WIDTHS);
}

export function loopLines(delays: readonly LoopDelay[]): string[] {
  const widths = [22, 8, 8, 8, 8];
  return [
    row(["event loop, ms", "s", "p50", "p99", "max"], widths),
    ...delays.map(({ during, seconds, p50, p99, most }) =>
      row([during, seconds.toFixed(1), p50.toFixed(2), p99.toFixed(2), most.toFixed(2)], widths),
    ),
  ];
}

export function callLines(costs: readonly CallCost[]): string[] {
  const widths = [18, 9, 10, 10];
  return [
    row(["a single query, ms", "threads", "p50", "p95"], widths),
    ...costs.map(({ rows, dimensions, threads, ms }) =>
      row([`${rows} × ${dimensions}`, String(threads), ms.median.toFixed(3), ms.p95.toFixed(3)], widths),
    ),
  ];
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(0)} %`;
}
