/** An index codes its rows and learns directions in the background; a search is timed when that is over. */
import type { IndexStats } from "nearfield";

/** What a certified scan on the CPU reads. */
export type ScanCodes = NonNullable<IndexStats["cpu"]["codes"]>;

interface Watched {
  readonly rowCount: number;
  stats(): { readonly cpu: { readonly codes: ScanCodes | null } };
}

const POLL_MS = 20;
/** Polls in a row that must find it ready: between two steps nothing is under way for a moment. */
const STEADY_POLLS = 3;

/** Resolves with the codes that searches now use, or null where they scan in full. Rejects when they are not ready in time. */
export async function scanCopiesReady(index: Watched, timeoutMs: number = 120_000): Promise<ScanCodes | null> {
  const deadline = performance.now() + timeoutMs;
  for (let steady = 0; ; ) {
    const { codes } = index.stats().cpu;
    const isReady = codes === null || (codes.codedRows === index.rowCount && codes.learning === null);
    steady = isReady ? steady + 1 : 0;
    if (steady === STEADY_POLLS) return codes;
    if (!isReady && performance.now() > deadline) {
      throw new Error(
        `the scan copies are not ready after ${timeoutMs / 1000} s: ${codes.codedRows} of ${index.rowCount} rows coded, learning ${codes.learning ?? "done"}`,
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}
