/** Charts of the report as SVG, by echarts without a browser. Ink and grid are CSS variables that follow the reader's light or dark scheme; the colours of series are legible on both. */
import { init } from "echarts";
import type { EChartsOption } from "echarts";

const WIDTH = 860;
/** Stand-ins that echarts takes for colours; `themed` makes variables of them. */
const INK = "#0a0b0c";
const GRID = "#0d0e0f";
const COLOURS = ["#2f81f7", "#c27803", "#2da44e", "#a371f7", "#e5534b", "#768390"];

/** Of one group of bars. */
export interface BarGroup {
  readonly title: string;
  /** From top to bottom. */
  readonly categories: readonly string[];
  /** [series] of [categories]; null leaves a gap. */
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

const ROW_PIXELS = 15;
/** Of a label, at its widest. */
const LETTER_PIXELS = 7;
const HEAD_PIXELS = 70;
const GAP_PIXELS = 64;

/** Groups of horizontal bars, one below the other, with one scale. `isLog`: ratios, whose bars begin at 1. */
export function barChart(groups: readonly BarGroup[], unit: string, isLog: boolean): string {
  const heights = groups.map(({ categories, series }) => categories.length * (series.length * ROW_PIXELS + 8));
  const tops = heights.map((_, i) =>
    heights.slice(0, i).reduce((sum, height) => sum + height + GAP_PIXELS, HEAD_PIXELS),
  );
  const height = (tops.at(-1) ?? 0) + (heights.at(-1) ?? 0) + 40;
  const names = [...new Set(groups.flatMap(({ series }) => series.map(({ name }) => name)))];
  const longest = Math.max(...groups.flatMap(({ categories }) => categories.map(({ length }) => length)));
  const left = 24 + LETTER_PIXELS * longest;
  const bounds = isLog ? boundsOf(groups) : { min: 0, max: 100 };
  return render(height, {
    color: COLOURS,
    legend: { data: names, top: 4, textStyle: { color: INK } },
    title: groups.map(({ title }, i) => ({
      text: title,
      left: 8,
      top: (tops[i] ?? 0) - 28,
      textStyle: { color: INK, fontSize: 13, fontWeight: "bold" as const },
    })),
    grid: heights.map((own, i) => ({ left, right: 60, top: tops[i] ?? 0, height: own })),
    xAxis: groups.map((_, i) => ({
      gridIndex: i,
      type: isLog ? ("log" as const) : ("value" as const),
      ...bounds,
      axisLabel: { color: INK, formatter: (value: number) => `${value}${unit}` },
      splitLine: { lineStyle: { color: GRID } },
    })),
    yAxis: groups.map(({ categories }, i) => ({
      gridIndex: i,
      type: "category" as const,
      data: [...categories],
      inverse: true,
      axisLabel: { color: INK },
      axisLine: { onZero: false, lineStyle: { color: GRID } },
      axisTick: { show: false },
    })),
    series: groups.flatMap(({ series }, i) =>
      series.map(({ name, values }) => ({
        name,
        type: "bar" as const,
        xAxisIndex: i,
        yAxisIndex: i,
        data: values.map((value) => value ?? Number.NaN),
        color: COLOURS[names.indexOf(name) % COLOURS.length] ?? INK,
        label: {
          show: true,
          position: "right" as const,
          color: INK,
          fontSize: 10,
          formatter: ({ value }: { value: unknown }) => `${Number(value).toPrecision(2)}${unit}`,
        },
      })),
    ),
  });
}

function boundsOf(groups: readonly BarGroup[]): { min: number; max: number } {
  const values = groups.flatMap(({ series }) => series.flatMap(({ values: own }) => own.filter((v) => v !== null)));
  const power = (value: number, round: (x: number) => number): number => 10 ** round(Math.log10(value));
  return { min: power(Math.min(1, ...values), Math.floor), max: power(Math.max(1, ...values), Math.ceil) };
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Both axes logarithmic. */
export function lineChart(lines: readonly Line[], xName: string, yName: string): string {
  const axis = { type: "log" as const, axisLabel: { color: INK }, splitLine: { lineStyle: { color: GRID } } };
  return render(420, {
    color: COLOURS,
    legend: { data: lines.map(({ name }) => name), top: 4, textStyle: { color: INK } },
    grid: { left: 70, right: 30, top: 60, bottom: 50 },
    xAxis: { ...axis, name: xName, nameLocation: "middle", nameGap: 30, nameTextStyle: { color: INK } },
    yAxis: { ...axis, name: yName, nameTextStyle: { color: INK, align: "left" } },
    series: lines.map(({ name, points }, i) => ({
      name,
      type: "line" as const,
      symbolSize: 7,
      color: COLOURS[i % COLOURS.length] ?? INK,
      lineStyle: { width: 2, type: i < 3 ? ("solid" as const) : ("dashed" as const) },
      data: points.map(([x, y]) => [x, y]),
    })),
  });
}

function render(height: number, option: EChartsOption): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  try {
    chart.setOption({ animation: false, backgroundColor: "transparent", ...option });
    return themed(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

const STYLE =
  "<style>:root{--ink:#24292f;--grid:#d0d7de}@media(prefers-color-scheme:dark){:root{--ink:#d1d7e0;--grid:#3d444d}}</style>";

function themed(svg: string): string {
  const end = svg.indexOf(">") + 1;
  const coloured = svg.slice(end).replaceAll(INK, "var(--ink)").replaceAll(GRID, "var(--grid)");
  return `${svg.slice(0, end)}${STYLE}${renumbered(coloured)}\n`;
}

/** echarts counts charts and classes through a process: the same chart shall have the same text wherever it is drawn. */
function renumbered(svg: string): string {
  const places = new Map<string, number>();
  return svg.replaceAll(/\bzr\d+-([a-z]+)-?\d+/g, (name, kind: string) => {
    if (!places.has(name)) places.set(name, places.size);
    return `zr-${kind}-${places.get(name)}`;
  });
}
