/** Which build is measured: the commit baked into a bundle (COMMIT in its root), else git's. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export function commitOf(root: string): string {
  const baked = join(root, "COMMIT");
  if (existsSync(baked)) return readFileSync(baked, "utf8").trim();
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
    // Results are appended to while the benchmark runs: they are no change of what is measured.
    const isDirty = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results") !== "";
    return `${git("rev-parse", "HEAD")}${isDirty ? "-dirty" : ""}`;
  } catch {
    return "unknown";
  }
}
