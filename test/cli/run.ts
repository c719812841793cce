/** Runs the built command line as a user would, in a process of its own. */
import { execFile } from "node:child_process";
import { join } from "node:path";

const CLI = join(process.cwd(), "dist", "cli.js");

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function nearfield(args: readonly string[], cwd: string = process.cwd()): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { cwd, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}
