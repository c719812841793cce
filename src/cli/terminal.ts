/**
 * What commands talk to: data goes to stdout and nothing else does, words for people to stderr,
 * progress only where stderr is a terminal. Injected, so that tests see what a user would.
 */

export interface Terminal {
  /** Data: text for people, or JSON for machines. Resolves when it is accepted: a slow reader slows the writer. */
  readonly out: (text: string) => Promise<void>;
  /** A line for people. */
  readonly tell: (line: string) => void;
  /** Whether a person watches. */
  readonly isWatched: boolean;
  /** Aborts when the user wants it to end. */
  readonly interrupted: AbortSignal;
}

/** The terminal that the process has. Its first SIGINT asks for an end, a second one is the shell's. */
export function processTerminal(): Terminal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort(new Error("interrupted")));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read our output went away, as `head` does: no failure of ours.
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(`nearfield: the output could not be written (${error.message})\n`);
    process.exit(1);
  });
  return {
    out: (text) =>
      new Promise((resolve, reject) => {
        process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
      }),
    tell: (line) => void process.stderr.write(`${line}\n`),
    isWatched: process.stderr.isTTY,
    interrupted: controller.signal,
  };
}
