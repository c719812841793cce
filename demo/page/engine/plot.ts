/** uPlot set up for latencies: milliseconds over the last searches, colours of the page. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export function latencyPlot(element: HTMLElement, data: uPlot.AlignedData, height: number): uPlot {
  const colour = (name: string) => (): string => getComputedStyle(element).getPropertyValue(name).trim();
  const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return new uPlot(
    {
      width: element.clientWidth,
      height,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
      axes: [
        { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100] },
        { ...axis, size: 56, values: (_, ticks) => ticks.map((ms) => `${ms} ms`) },
      ],
      series: [
        {},
        { label: "GPU", stroke: colour("--gpu"), width: 2 },
        { label: "CPU", stroke: colour("--cpu"), width: 2 },
      ],
    },
    data,
    element,
  );
}
