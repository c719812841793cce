/** What the bench commands have in common: their options checked, their failures told. */

/** Throws where `text`, given as `--name`, is no whole number from 1. */
export function countOf(name: string, text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${name} must be a whole number from 1, got ${text}`);
  return count;
}

/** What was wanted by a `--name` that may be repeated, of `all`; all where it was not given. Throws for others. */
export function chosenOf<T extends string>(
  name: string,
  wanted: readonly string[] | undefined,
  all: readonly T[],
): readonly T[] {
  return (wanted ?? all).map((text) => {
    const known = all.find((one) => one === text);
    if (known === undefined) throw new Error(`--${name} must be one of ${all.join(", ")}, got ${text}`);
    return known;
  });
}

/** Runs a command: its exit code is the process's, and 1 where it fails, with the reason on stderr. */
export async function runCommand(main: () => Promise<number>): Promise<void> {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(`nearfield bench: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  });
}
