/** A bar on stderr with rate and time left, where a person watches; nothing elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import type { Terminal } from "./terminal.ts";

export class ProgressBar {
  readonly #bar: SingleBar | undefined;
  readonly #startedMs = performance.now();
  readonly #unit: string;
  readonly #total: number | undefined;
  readonly #from: number;

  /** `total` undefined: unknown, only count and rate are shown. */
  constructor(terminal: Terminal, what: string, unit: string, total: number | undefined, from = 0) {
    this.#unit = unit;
    this.#total = total;
    this.#from = from;
    if (!terminal.isWatched) return;
    const format =
      total === undefined ? `${what} {value} {rate}` : `${what} {bar} {percentage} % {value} of {total} {rate}{left}`;
    this.#bar = new SingleBar(
      { format, stream: process.stderr, hideCursor: true, clearOnComplete: true },
      Presets.shades_classic,
    );
    this.#bar.start(total ?? 0, from, { rate: "", left: "" });
  }

  show(done: number): void {
    const perSecond = (done - this.#from) / Math.max(1e-3, (performance.now() - this.#startedMs) / 1000);
    this.#bar?.update(done, {
      rate: `${Math.round(perSecond).toLocaleString("en")} ${this.#unit}/s`,
      left: this.#total === undefined ? "" : timeLeft(this.#total - done, perSecond),
    });
  }

  stop(): void {
    this.#bar?.stop();
  }
}

/** As ", 1 min 5 s left"; nothing while the rate is not known. */
export function timeLeft(units: number, perSecond: number): string {
  if (perSecond <= 0 || units <= 0) return "";
  const seconds = Math.ceil(units / perSecond);
  const parts = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  // Two of them are exact enough.
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return `, ${shown.map(([count, unit]) => `${count} ${unit}`).join(" ")} left`;
}
