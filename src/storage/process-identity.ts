/** Whether a process still runs and is still the same: numbers of processes are used again. Linux says when one started, others do not. */
import { readFile } from "node:fs/promises";
import { errorCode } from "./file-errors.ts";

/** `start`: of `processStart` when it was known to run; undefined: its number alone decides. */
export async function isRunning(pid: number, start: string | undefined): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) !== "EPERM") return false; // EPERM: it runs, as another user
  }
  const now = await linuxStatus(pid);
  if (now === undefined) return true;
  return !now.isZombie && (start === undefined || now.start === start);
}

/** Undefined where the platform does not say. */
export async function processStart(pid: number): Promise<string | undefined> {
  return (await linuxStatus(pid))?.start;
}

/** `start`: the boot, and clock ticks since. A zombie is dead but has not been waited for; in a container it may stay forever. */
async function linuxStatus(pid: number): Promise<{ readonly start: string; readonly isZombie: boolean } | undefined> {
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    const status = await readFile(`/proc/${pid}/stat`, "utf8");
    // "pid (name) state …": the name may hold anything, so count from its last ")"; state is field 3, the start field 22.
    const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
    const [state, ticks] = [fields[0], fields[22 - 3]];
    if (ticks === undefined) return undefined;
    return { start: `${boot.trim()}/${ticks}`, isZombie: state === "Z" || state === "X" };
  } catch {
    return undefined; // not Linux, or gone meanwhile
  }
}
