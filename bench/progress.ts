/** A bar on standard error where that is a terminal, nothing elsewhere; finished lines go above it, to standard output. */
import { SingleBar } from "cli-progress";

export class Progress {
  readonly #bar: SingleBar | undefined;

  constructor(total: number) {
    if (!process.stderr.isTTY) return;
    this.#bar = new SingleBar({ format: "{bar} {value}/{total} {stage}", clearOnComplete: true });
    this.#bar.start(total, 0, { stage: "" });
  }

  show(done: number, stage: string): void {
    this.#bar?.update(done, { stage });
  }

  print(line: string): void {
    if (this.#bar !== undefined) process.stderr.write("\r\u001B[K");
    console.log(line);
  }

  stop(): void {
    this.#bar?.stop();
  }
}
