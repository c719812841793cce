/** An index learns and codes its rows in the background; a search is timed when that is over. */
import type { IndexStats } from "nearfield";

/** What a certified scan on the CPU reads; absent where the index scans in full. */
export interface ScanCodes {
  /** Leading directions coded. */
  readonly directions: number;
  readonly codedRows: number;
  /** Share of the learning done; null: none under way. */
  readonly learning: number | null;
}

export interface Watched {
  readonly rowCount: number;
  stats(): IndexStats;
}

const POLL_MS = 20;

/** Resolves with the codes that searches now use, or undefined where they scan in full. Rejects when they are not ready in time. */
export async function scanCopiesReady(index: Watched, timeoutMs: number = 120_000): Promise<ScanCodes | undefined> {
  const polls = Math.ceil(timeoutMs / POLL_MS);
  for (let poll = 0; ; poll++) {
    const codes = codesOf(index);
    if (codes === undefined || (codes.codedRows === index.rowCount && codes.learning === null)) return codes;
    if (poll >= polls) {
      throw new Error(
        `the scan copies are not ready after ${timeoutMs / 1000} s: ${codes.codedRows} of ${index.rowCount} rows coded, learning ${codes.learning ?? "done"}`,
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

function codesOf(index: Watched): ScanCodes | undefined {
  const codes: unknown = Reflect.get(index.stats().cpu, "codes");
  return typeof codes === "object" && codes !== null ? (codes as ScanCodes) : undefined;
}
