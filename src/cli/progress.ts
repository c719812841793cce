/** A bar on stderr with rate and time left, where a person watches; nothing elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import type { Terminal } from "./terminal.ts";

export class ProgressBar {
  readonly #bar: SingleBar | undefined;
  readonly #startedMs = performance.now();
  readonly #unit: string;
  #from = 0;

  /** `total` undefined: unknown, only count and rate are shown. */
  constructor(terminal: Terminal, what: string, unit: string, total: number | undefined, from = 0) {
    this.#unit = unit;
    this.#from = from;
    if (!terminal.isWatched) return;
    const format =
      total === undefined
        ? `${what} {value} {rate}`
        : `${what} {bar} {percentage} % {value} of {total} {rate}, {eta_formatted} left`;
    this.#bar = new SingleBar(
      { format, stream: process.stderr, hideCursor: true, clearOnComplete: true },
      Presets.shades_classic,
    );
    this.#bar.start(total ?? 0, from, { rate: "" });
  }

  show(done: number): void {
    const perSecond = (done - this.#from) / Math.max(1e-3, (performance.now() - this.#startedMs) / 1000);
    this.#bar?.update(done, { rate: `${Math.round(perSecond).toLocaleString("en")} ${this.#unit}/s` });
  }

  stop(): void {
    this.#bar?.stop();
  }
}
