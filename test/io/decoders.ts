/** Counts the processes that this one started and that live: none may be left of a reader. */
import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";

const started = new Set<ChildProcess>();

subscribe("child_process", (message) => {
  const { process: child } = message as { readonly process: ChildProcess }; // as node:child_process publishes it
  started.add(child);
  child.once("exit", () => started.delete(child));
});

export function decodersAlive(): number {
  return started.size;
}

/** As the operating system would, out of memory. */
export function killDecoders(): void {
  for (const child of started) child.kill("SIGKILL");
}
